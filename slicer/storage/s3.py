"""Any store that speaks S3, by botocore, or by obstore where that is installed and suffices.

It never retries by itself: the outbox does, which knows the order and the circuit.

Without credentials botocore's usual chain is asked: environment, profile, instance role.
"""

import base64
import importlib.util
import re
import threading
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import SplitResult

from slicer.errors import BadInput, StorageError, StorageRefused, StorageUnavailable
from slicer.storage import Credentials, s3_fast
from slicer.storage.answers import Answer, hide, rekeyed, retry_after, storage_error
from slicer.storage.bucket import Bucket, Vendor
from slicer.storage.objects import CONNECTIONS, ObjectStorage, Timeouts, Upload
from slicer.storage.proof import Acknowledgement
from slicer.storage.transport import UNREACHABLE

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from botocore.loaders import Loader
    from botocore.session import Session
    from types_boto3_s3.client import S3Client as Sdk
    from types_boto3_s3.literals import ServerSideEncryptionType, StorageClassType
    from types_boto3_s3.type_defs import PutObjectRequestTypeDef

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_IPV4 = re.compile(r"\d+(\.\d+){3}")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html; some of these
# suffixes make an SDK talk to another host.
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", "--op-s3", ".mrap", "--x-s3", "--table-s3")


def _is_bucket(name: str) -> bool:
    return bool(
        _BUCKET.fullmatch(name)
        and ".." not in name
        and not _IPV4.fullmatch(name)
        and not name.startswith(_RESERVED_PREFIXES)
        and not name.endswith(_RESERVED_SUFFIXES)
    )


S3 = Vendor(
    "s3",
    _is_bucket,
    "a bucket's name: 3 to 63 of a-z 0-9 . -, first and last a letter or digit, "
    "no '..', no IP address, no prefix or suffix that S3 reserves",
    ("AES256", "aws:kms", "aws:kms:dsse"),
    (
        *("STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "REDUCED_REDUNDANCY"),
        *("GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"),
    ),
    "eu-west-1",
    options=("path_style", "link"),
)
_GIVE_KEYS = "give access key and secret key, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

# botocore's exceptions that hold no answer, by name (the SDK is not imported here), special ones
# first → whether they wait for a human, what was said, what to do.
_FAILURES = {
    "NoCredentialsError": (True, "no credentials were found", _GIVE_KEYS),
    "PartialCredentialsError": (True, "only half of the credentials was found", _GIVE_KEYS),
    "ProfileNotFound": (True, "AWS_PROFILE names a profile that is not there", "correct it"),
    "CredentialRetrievalError": (False, "no credentials could be fetched", _GIVE_KEYS),
    "SSLError": (False, "no TLS connection", "check the endpoint and its certificate"),
    "ConnectTimeoutError": (False, "no connection in time", UNREACHABLE),
    "EndpointConnectionError": (False, "no connection", UNREACHABLE),
    "ProxyConnectionError": (False, "no connection to the proxy", UNREACHABLE),
    "ReadTimeoutError": (False, "no answer in time", UNREACHABLE),
    "ConnectionError": (False, "the connection broke", UNREACHABLE),
    # It follows a redirect by itself, asks on the way where the bucket is, and is redirected.
    "RecursionError": (True, "redirected without end", "wrong region or endpoint: correct it"),
    "HTTPClientError": (False, "the connection broke", UNREACHABLE),
}


def open_s3(url: SplitResult, credentials: Credentials | None = None) -> ObjectStorage:
    """Open `s3://bucket/prefix?region=…&endpoint=…&path_style=1`; no I/O. Raises BadInput."""
    bucket = Bucket.from_url(url, S3)
    if importlib.util.find_spec("botocore") is None:
        raise BadInput("storage", url.scheme, "s3:// needs boto3: pip install 'rtc-slicer[s3]'")
    return s3_storage(bucket, credentials)


def s3_storage(
    bucket: Bucket, credentials: Credentials | None = None, timeouts: Timeouts | None = None
) -> ObjectStorage:
    """The same for a bucket that was read already."""
    return ObjectStorage(bucket, S3Client(bucket, credentials, timeouts or Timeouts()))


class S3Client:
    """One bucket. The fast client takes the puts it is fit for; botocore is made when the first
    of the others comes, since it takes ten times the memory."""

    def __init__(self, bucket: Bucket, credentials: Credentials | None, timeouts: Timeouts) -> None:
        self._bucket, self._credentials, self._timeouts = bucket, credentials, timeouts
        self._opening = threading.Lock()
        self._sdk: Sdk | None = None
        self._fast: s3_fast.FastS3 | None = None

    def open(self, key: str) -> None:
        if s3_fast.fits(self._bucket, self._credentials):
            assert self._credentials is not None
            self._fast = s3_fast.FastS3(self._bucket, self._credentials, self._timeouts)
        else:
            self._open_sdk(key)

    def put(self, upload: Upload) -> Acknowledgement:
        if self._fast is not None and (word := self._fast.put(upload)) is not None:
            return word
        bucket = self._bucket
        request: PutObjectRequestTypeDef = {
            "Bucket": bucket.name,
            "Key": upload.name,
            "Body": upload.data,
            "ContentType": upload.content_type,
            "ContentMD5": base64.b64encode(upload.md5).decode(),
            "Metadata": upload.metadata,
        }
        if bucket.storage_class:
            request["StorageClass"] = cast("StorageClassType", bucket.storage_class)
        if bucket.encryption:
            request["ServerSideEncryption"] = cast("ServerSideEncryptionType", bucket.encryption)
        if bucket.encryption_key:
            request["SSEKMSKeyId"] = bucket.encryption_key
        response = self._open_sdk(upload.name).put_object(**request)
        kms = response.get("ServerSideEncryption", "AES256") != "AES256"
        return Acknowledgement(
            response.get("ETag", ""), kms or bool(response.get("SSECustomerAlgorithm"))
        )

    def delete(self, name: str) -> None:
        self._open_sdk(name).delete_object(Bucket=self._bucket.name, Key=name)

    def link(self, name: str, seconds: int) -> str:
        params = {"Bucket": self._bucket.name, "Key": name}
        return self._open_sdk(name).generate_presigned_url("get_object", params, seconds)

    def close(self) -> None:
        if self._sdk is not None:
            self._sdk.close()

    def translated(self, key: str, error: Exception) -> StorageError:
        if isinstance(error, StorageError):
            return rekeyed(key, error, self._credentials)
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "ClientError" in kinds:
            return storage_error(key, self._hidden(_answer(cast("ClientError", error))))
        for kind, (refused, reason, advice) in _FAILURES.items():
            if kind in kinds:
                return (StorageRefused if refused else StorageUnavailable)(key, reason, advice)
        reason = hide(f"{_in_words(error)}: {error}", self._credentials)
        return StorageUnavailable(key, reason, "was it an S3 store that answered?")

    def _open_sdk(self, key: str) -> "Sdk":
        with self._opening:
            if self._sdk is None:
                self._sdk = self._connect(key)
            return self._sdk

    def _connect(self, key: str) -> "Sdk":
        from botocore.config import Config  # noqa: PLC0415

        bucket, keys = self._bucket, self._credentials
        config = Config(
            connect_timeout=self._timeouts.connect,
            read_timeout=self._timeouts.read,
            retries={"total_max_attempts": 1},  # the outbox tries again, and tells
            max_pool_connections=CONNECTIONS,
            s3={"addressing_style": "path" if bucket.path_style else "auto"},
            # Newer default checksums are refused by many a store; Content-MD5 by none.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        session = _session()
        if not (bucket.region or bucket.endpoint or session.get_config_variable("region")):
            # The SDK would try us-east-1, and follow a redirect at every single put.
            raise StorageRefused(key, "no region is known", "add ?region=… to the storage URL")
        client = session.create_client(
            "s3",
            region_name=bucket.region,
            endpoint_url=bucket.endpoint,
            aws_access_key_id=keys.access_key if keys else None,
            aws_secret_access_key=keys.secret_key if keys else None,
            config=config,
        )
        return cast("Sdk", client)

    def _hidden(self, answer: Answer) -> Answer:
        return replace(answer, message=hide(answer.message, self._credentials))


def _answer(error: "ClientError") -> Answer:
    details = error.response.get("Error", {})
    meta = error.response.get("ResponseMetadata", {})
    headers = meta.get("HTTPHeaders", {})
    region = str(headers.get("x-amz-bucket-region") or details.get("Region", ""))
    return Answer(
        int(meta.get("HTTPStatusCode", 0)),
        str(details.get("Code", "")),
        str(details.get("Message", "")),
        region[:63],
        retry_after(str(headers.get("retry-after", ""))),
    )


def _session() -> "Session":
    """A session of its own for each store, since one may not be shared by threads."""
    from botocore.handlers import add_expect_header  # noqa: PLC0415
    from botocore.session import get_session  # noqa: PLC0415

    session = get_session()
    session.register_component("data_loader", _descriptions())
    # Waiting for "100 Continue" costs a round trip; and where the connection breaks within that
    # line, botocore 1.44 reads it for ever.
    session.unregister("before-call.s3", cast("Any", add_expect_header))
    return session


@cache
def _descriptions() -> "Loader":
    """What the SDK knows of S3, for all stores: 13 MB and 0.15 s that each would take again."""
    from botocore.loaders import create_loader  # noqa: PLC0415

    return create_loader()


def _in_words(error: Exception) -> str:
    """`ReadTimeoutError` as "read timeout". The SDK's own text would repeat the whole URL."""
    name = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
