"""Tencent COS: its own SDK signs, `transport` sends.

`cos://name-appid/prefix?region=ap-guangzhou`. An endpoint that is an address is connected to,
and the bucket's usual name is signed and sent. One that is a name takes the place of
`cos.<region>.myqcloud.com`, with the bucket before it.
"""

import base64
import importlib.util
import logging
import os
import re
from ipaddress import ip_address
from types import SimpleNamespace
from typing import TYPE_CHECKING, Protocol
from urllib.parse import SplitResult, urlsplit

from slicer.errors import BadInput, StorageError, StorageRefused
from slicer.storage import Credentials
from slicer.storage.bucket import Bucket, Vendor
from slicer.storage.objects import ObjectStorage, Timeouts, Upload
from slicer.storage.proof import Acknowledgement
from slicer.storage.transport import HttpTransport, Response, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BUCKET = re.compile(r"(?=.{3,63}$)[a-z0-9][a-z0-9-]*[a-z0-9]-[0-9]{5,20}|[a-z0-9]-[0-9]{5,20}")
_REDUNDANT = ("STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING")
COS = Vendor(
    "cos",
    lambda name: _BUCKET.fullmatch(name) is not None,
    "a bucket's full name with its APPID, such as slices-1250000000",
    ("AES256", "cos/kms"),
    (*_REDUNDANT, *(f"MAZ_{name}" for name in _REDUNDANT), "COLD", "ARCHIVE", "DEEP_ARCHIVE"),
    "ap-guangzhou",
    region_required=True,
    options=("link",),
)
RIGHT = "name/cos:PutObject"
_VARIABLES = ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY")
_TOKEN = "TENCENTCLOUD_TOKEN"  # noqa: S105  # a variable's name
# They write the key that signs, each signature and each header at DEBUG and INFO, and every
# failure with its traceback at ERROR.
_TALKATIVE = ("qcloud_cos.cos_auth", "qcloud_cos.cos_client")


def open_cos(url: SplitResult, credentials: Credentials | None = None) -> ObjectStorage:
    """Open `cos://name-appid/prefix?region=…&endpoint=…`; no I/O. Raises BadInput."""
    bucket = Bucket.from_url(url, COS)
    if importlib.util.find_spec("qcloud_cos") is None:
        raise BadInput(
            "storage", url.scheme, "cos:// needs Tencent's SDK: pip install 'rtc-slicer[cos]'"
        )
    return cos_storage(bucket, credentials)


def cos_storage(
    bucket: Bucket, credentials: Credentials | None = None, timeouts: Timeouts | None = None
) -> ObjectStorage:
    """The same for a bucket that was read already."""
    return ObjectStorage(bucket, CosClient(bucket, credentials, timeouts or Timeouts()))


class _Sdk(Protocol):
    """What is used of `qcloud_cos.CosS3Client`, which has no types."""

    put_object: "Callable[..., Mapping[str, str]]"
    delete_object: "Callable[..., object]"
    get_presigned_url: "Callable[[str, str, str, int], str]"


class CosClient:
    """One bucket. Without credentials, TENCENTCLOUD_SECRET_ID and _KEY (and _TOKEN) are read."""

    def __init__(self, bucket: Bucket, credentials: Credentials | None, timeouts: Timeouts) -> None:
        self._bucket, self._credentials = bucket, credentials
        at_address = _address(bucket.endpoint) is not None
        host = f"{bucket.name}.cos.{bucket.region}.myqcloud.com"
        self._session = _Session(HttpTransport(timeouts, RIGHT, host if at_address else None))
        self._sdk: _Sdk | None = None
        self._signer: _Sdk | None = None
        """For links: of the bucket's usual name, wherever it is connected to."""

    def open(self, key: str) -> None:
        from qcloud_cos import CosConfig, CosS3Client  # noqa: PLC0415

        for name in _TALKATIVE:
            logging.getLogger(name).disabled = True
        token = None
        if self._credentials is None:
            self._credentials, token = _from_environment(key)
        endpoint = urlsplit(self._bucket.endpoint or "https:")
        usual = f"cos.{self._bucket.region}.myqcloud.com"
        address = _address(self._bucket.endpoint)
        place = {
            "Region": self._bucket.region,
            "SecretId": self._credentials.access_key,
            "SecretKey": self._credentials.secret_key,
            "Token": token,
            "Scheme": endpoint.scheme,
            "Endpoint": usual if address else endpoint.netloc or usual,
        }
        connected = {"IP": address, "Port": endpoint.port} if address else {}
        self._sdk = CosS3Client(CosConfig(**place, **connected), retry=0, session=self._session)
        self._signer = CosS3Client(CosConfig(**place)) if self._bucket.link else None

    def put(self, upload: Upload) -> Acknowledgement:
        assert self._sdk is not None
        bucket = self._bucket
        options = {
            "StorageClass": bucket.storage_class,
            "ServerSideEncryption": bucket.encryption,
            "SSEKMSKeyId": bucket.encryption_key,
        }
        answered = self._sdk.put_object(
            Bucket=bucket.name,
            Key=upload.name,
            Body=upload.data,
            ContentType=upload.content_type,
            ContentMD5=base64.b64encode(upload.md5).decode(),
            Metadata={f"x-cos-meta-{name}": value for name, value in upload.metadata.items()},
            **{name: value for name, value in options.items() if value},
        )
        encryption = answered.get("x-cos-server-side-encryption", "AES256")
        customer = answered.get("x-cos-server-side-encryption-customer-algorithm")
        encrypted = encryption != "AES256" or customer is not None
        return Acknowledgement(
            answered.get("etag", ""), encrypted, answered.get("x-cos-hash-crc64ecma", "")
        )

    def delete(self, name: str) -> None:
        assert self._sdk is not None
        self._sdk.delete_object(Bucket=self._bucket.name, Key=name)

    def link(self, name: str, seconds: int) -> str:
        assert self._signer is not None
        return self._signer.get_presigned_url(self._bucket.name, name, "GET", seconds)

    def translated(self, key: str, error: Exception) -> StorageError:
        return translated(key, error, self._credentials)

    def close(self) -> None:
        self._session.transport.close()


class _Session:
    """What the SDK takes for a session of `requests`."""

    def __init__(self, transport: HttpTransport) -> None:
        self.transport = transport

    def put(
        self,
        url: str,
        *,
        headers: "Mapping[str, str | bytes]",
        auth: "Callable[[SimpleNamespace], object]",
        data: bytes = b"",
        **_: object,
    ) -> SimpleNamespace:
        return self._send("PUT", url, headers, auth, data)

    def delete(
        self,
        url: str,
        *,
        headers: "Mapping[str, str | bytes]",
        auth: "Callable[[SimpleNamespace], object]",
        **_: object,
    ) -> SimpleNamespace:
        return self._send("DELETE", url, headers, auth, b"")

    def _send(
        self,
        method: str,
        url: str,
        headers: "Mapping[str, str | bytes]",
        auth: "Callable[[SimpleNamespace], object]",
        data: bytes,
    ) -> SimpleNamespace:
        # Host and length are given, so that the signature is over what goes out.
        signed: dict[str, str] = {"Host": urlsplit(url).netloc, "Content-Length": str(len(data))}
        for name, value in headers.items():
            signed[name] = value.decode() if isinstance(value, bytes) else value
        auth(SimpleNamespace(method=method, url=url, headers=signed))
        response: Response = self.transport.send(method, url, signed, data)
        return SimpleNamespace(status_code=response.status, headers=response.headers)


def _address(endpoint: str | None) -> str | None:
    """The endpoint's host as a URL writes it, if it is an address."""
    host = urlsplit(endpoint or "").hostname or ""
    try:
        return f"[{host}]" if ip_address(host).version == 6 else host
    except ValueError:
        return None


def _from_environment(key: str) -> tuple[Credentials, str | None]:
    access, secret = (os.environ.get(name, "") for name in _VARIABLES)
    if not access or not secret:
        advice = f"give access key and secret key, or set {' and '.join(_VARIABLES)}"
        raise StorageRefused(key, "no credentials were found", advice)
    return Credentials(access, secret), os.environ.get(_TOKEN)
