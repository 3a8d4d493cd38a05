"""Aliyun OSS: its own SDK signs (V4), `transport` sends.

`oss://bucket/prefix?region=cn-hangzhou`. An endpoint that is an address is spoken to with the
bucket in the path, one that is a name with the bucket before it.
"""

import base64
import importlib.util
import re
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Protocol
from urllib.parse import SplitResult, urlsplit

from slicer.errors import BadInput, StorageError, StorageRefused
from slicer.storage import Credentials
from slicer.storage.bucket import Bucket, Vendor
from slicer.storage.objects import ObjectStorage, Timeouts, Upload
from slicer.storage.proof import Acknowledgement
from slicer.storage.transport import HttpTransport, translated

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
OSS = Vendor(
    "oss",
    lambda name: _BUCKET.fullmatch(name) is not None,
    "a bucket's name: 3 to 63 of a-z 0-9 -, first and last a letter or digit",
    ("AES256", "KMS", "SM4"),
    ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive"),
    "cn-hangzhou (without 'oss-')",
    region_required=True,
    options=("link",),
)
RIGHT = "oss:PutObject"
_GIVE_KEYS = "give access key and secret key, or set OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET"


def open_oss(url: SplitResult, credentials: Credentials | None = None) -> ObjectStorage:
    """Open `oss://bucket/prefix?region=…&endpoint=…`; no I/O. Raises BadInput."""
    bucket = oss_bucket(url)
    require_sdk()
    return oss_storage(bucket, credentials)


def oss_storage(
    bucket: Bucket, credentials: Credentials | None = None, timeouts: Timeouts | None = None
) -> ObjectStorage:
    """The same for a bucket that was read already."""
    return ObjectStorage(bucket, OssClient(bucket, credentials, timeouts or Timeouts()))


class _Request(Protocol):
    """What is used of `alibabacloud_oss_v2.types.HttpRequest`."""

    method: str
    url: str
    headers: "MutableMapping[str, str]"
    body: bytes


class OssClient:
    """One bucket. Without credentials, OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET (and
    OSS_SESSION_TOKEN) are read."""

    def __init__(self, bucket: Bucket, credentials: Credentials | None, timeouts: Timeouts) -> None:
        self._bucket, self._credentials = bucket, credentials
        self._http = SdkHttp(HttpTransport(timeouts, RIGHT))
        self._put_request: Callable[..., object] | None = None
        self._delete_request: Callable[..., object] | None = None
        self._get_request: Callable[..., object] | None = None
        self._sdk: Sdk | None = None

    def open(self, key: str) -> None:
        import alibabacloud_oss_v2 as sdk  # noqa: PLC0415

        self._put_request, self._delete_request = sdk.PutObjectRequest, sdk.DeleteObjectRequest
        self._get_request = sdk.GetObjectRequest
        self._sdk, self._credentials = connect(key, self._bucket, self._credentials, self._http)

    def put(self, upload: Upload) -> Acknowledgement:
        assert self._sdk is not None
        assert self._put_request is not None
        bucket = self._bucket
        request = self._put_request(
            bucket=bucket.name,
            key=upload.name,
            body=upload.data,
            content_type=upload.content_type,
            content_length=len(upload.data),
            content_md5=base64.b64encode(upload.md5).decode(),
            storage_class=bucket.storage_class,
            server_side_encryption=bucket.encryption,
            server_side_encryption_key_id=bucket.encryption_key,
            metadata=dict(upload.metadata) or None,
        )
        headers = self._sdk.put_object(request).headers
        encrypted = headers.get("x-oss-server-side-encryption", "AES256") != "AES256"
        return Acknowledgement(
            headers.get("etag", ""), encrypted, headers.get("x-oss-hash-crc64ecma", "")
        )

    def delete(self, name: str) -> None:
        assert self._sdk is not None
        assert self._delete_request is not None
        self._sdk.delete_object(self._delete_request(bucket=self._bucket.name, key=name))

    def link(self, name: str, seconds: int) -> str:
        assert self._sdk is not None
        assert self._get_request is not None
        request = self._get_request(bucket=self._bucket.name, key=name)
        return str(self._sdk.presign(request, expires=timedelta(seconds=seconds)).url)

    def translated(self, key: str, error: Exception) -> StorageError:
        return translated(key, error, self._credentials)

    def close(self) -> None:
        self._http.transport.close()


class Sdk(Protocol):
    """What is used of `alibabacloud_oss_v2.Client`."""

    put_object: "Callable[..., SimpleNamespace]"
    delete_object: "Callable[..., object]"
    presign: "Callable[..., SimpleNamespace]"
    list_objects_v2: "Callable[..., SimpleNamespace]"
    get_object: "Callable[..., SimpleNamespace]"


class SdkHttp:
    """What the SDK takes for its HttpClient."""

    def __init__(self, transport: HttpTransport) -> None:
        self.transport = transport

    def open(self) -> None:
        """The transport opens itself."""

    def close(self) -> None:
        """The client of the bucket does."""

    def send(self, request: _Request, **_: object) -> SimpleNamespace:
        headers = {name: value for name, value in request.headers.items() if value is not None}
        headers["Host"] = urlsplit(request.url).netloc
        headers["Content-Length"] = str(len(request.body))
        response = self.transport.send(request.method, request.url, headers, request.body)
        return SimpleNamespace(
            status_code=response.status,
            reason="OK",
            headers=response.headers,
            content=response.body,
            is_stream_consumed=True,
            request=request,
            read=lambda: response.body,
            close=lambda: None,
        )


def connect(
    key: str, bucket: Bucket, credentials: Credentials | None, http: SdkHttp
) -> tuple[Sdk, Credentials]:
    """The SDK at one bucket, and the credentials that it found. Raises StorageRefused, about *key*,
    where there are none."""
    import alibabacloud_oss_v2 as sdk  # noqa: PLC0415

    try:
        provider = (
            sdk.credentials.StaticCredentialsProvider(
                credentials.access_key, credentials.secret_key
            )
            if credentials
            else sdk.credentials.EnvironmentVariableCredentialsProvider()
        )
    except sdk.exceptions.CredentialsBaseError as error:
        raise StorageRefused(key, "no credentials were found", _GIVE_KEYS) from error
    found = provider.get_credentials()
    config = sdk.config.load_default()
    config.region, config.endpoint = bucket.region, bucket.endpoint
    config.credentials_provider, config.http_client = provider, http
    config.retry_max_attempts = 1
    config.disable_upload_crc64_check = True  # `proof` compares, and at less cost
    return sdk.Client(config), Credentials(found.access_key_id, found.access_key_secret)


def list_page(sdk: Sdk, bucket: Bucket, token: str | None) -> SimpleNamespace:
    """Up to a thousand objects below the bucket's prefix, as ListObjectsV2 answers; *token*: where
    the page before ended."""
    from alibabacloud_oss_v2 import ListObjectsV2Request  # noqa: PLC0415

    prefix = f"{bucket.prefix}/" if bucket.prefix else None
    request = ListObjectsV2Request(
        bucket.name, prefix=prefix, continuation_token=token, max_keys=1000
    )
    return sdk.list_objects_v2(request)


def read_object(sdk: Sdk, bucket: Bucket, name: str) -> bytes:
    """An object's bytes."""
    from alibabacloud_oss_v2 import GetObjectRequest  # noqa: PLC0415

    data: bytes = sdk.get_object(GetObjectRequest(bucket.name, name)).body.content
    return data


def require_sdk() -> None:
    """Raise BadInput where Aliyun's SDK is not installed."""
    if importlib.util.find_spec("alibabacloud_oss_v2") is None:
        raise BadInput("storage", "oss", "oss:// needs Aliyun's SDK: pip install 'rtc-slicer[oss]'")


def oss_bucket(url: SplitResult) -> Bucket:
    """The bucket that a URL names. Raises BadInput."""
    bucket = Bucket.from_url(url, OSS)
    if (bucket.region or "").startswith("oss-"):
        raise BadInput("storage.region", bucket.region, "the region alone: cn-hangzhou")
    return bucket
