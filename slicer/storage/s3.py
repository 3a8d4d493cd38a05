"""Any store that speaks S3, by botocore; knows nothing of slices, never tries twice by itself.

`check` stores and deletes a probe: HeadBucket needs a right (s3:ListBucket) that an uploader
need not have, and would not prove the one it needs. Where deleting is not allowed, the probe
stays. Without credentials botocore's usual chain is asked: environment, profile, instance role.
"""

import base64
import hashlib
import importlib.util
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Self, cast
from urllib.parse import SplitResult

from slicer.errors import BadInput, StorageError, StorageRefused, StorageUnavailable
from slicer.storage import Credentials, Receipt
from slicer.storage.answers import Answer, storage_error
from slicer.storage.bucket import Bucket
from slicer.storage.keys import PROBE_KEY, check_key
from slicer.storage.threads import Threads

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from botocore.loaders import Loader
    from botocore.session import Session
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import PutObjectOutputTypeDef

CONNECTIONS = 8
"""Threads, and connections kept open: uploads side by side."""

_MD5 = re.compile(r"[0-9a-f]{32}")
_GIVE_KEYS = "give access key and secret key, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_UNREACHABLE = "check endpoint and network; it is tried again"

# botocore's exceptions that hold no answer, by name (the SDK is not imported here), special ones
# first → whether they wait for a human, what was said, what to do.
_FAILURES = {
    "NoCredentialsError": (True, "no credentials were found", _GIVE_KEYS),
    "PartialCredentialsError": (True, "only half of the credentials was found", _GIVE_KEYS),
    "ProfileNotFound": (True, "AWS_PROFILE names a profile that is not there", "correct it"),
    "CredentialRetrievalError": (False, "no credentials could be fetched", _GIVE_KEYS),
    "SSLError": (False, "no TLS connection", "check the endpoint and its certificate"),
    "ConnectTimeoutError": (False, "no connection in time", _UNREACHABLE),
    "EndpointConnectionError": (False, "no connection", _UNREACHABLE),
    "ProxyConnectionError": (False, "no connection to the proxy", _UNREACHABLE),
    "ReadTimeoutError": (False, "no answer in time", _UNREACHABLE),
    "ConnectionError": (False, "the connection broke", _UNREACHABLE),
    "HTTPClientError": (False, "the connection broke", _UNREACHABLE),
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a connection, and for each answer."""

    connect: float = 3.0
    read: float = 10.0


class S3Storage:
    """A bucket, or what lies under a prefix of it."""

    def __init__(
        self,
        bucket: Bucket,
        credentials: Credentials | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._bucket = bucket
        self._credentials = credentials
        self._timeouts = timeouts or Timeouts()
        self._threads = Threads("s3-storage", CONNECTIONS)
        self._opening = threading.Lock()
        self._client: S3Client | None = None

    @classmethod
    def from_url(cls, url: SplitResult, credentials: Credentials | None = None) -> Self:
        """Open `s3://bucket/prefix?region=…&endpoint=…&path_style=1`; no I/O. Raises BadInput."""
        bucket = Bucket.from_url(url)
        if importlib.util.find_spec("botocore") is None:
            raise BadInput("storage", url.scheme, "s3:// needs boto3: pip install 'rtc-slicer[s3]'")
        return cls(bucket, credentials)

    @property
    def label(self) -> str:
        return self._bucket.label

    async def check(self) -> None:
        """Store a probe and delete it again."""
        await self.put(PROBE_KEY, b"", "application/octet-stream")
        await self._threads.run(PROBE_KEY, self._delete_probe)

    async def put(
        self,
        key: str,
        data: bytes,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> Receipt:
        check_key(key)
        check_key(self._bucket.key(key))  # the prefix counts for the length
        return await self._threads.run(key, partial(self._put, key, data, content_type))

    async def close(self) -> None:
        await self._threads.close()
        if self._client is not None:
            self._client.close()

    def _put(self, key: str, data: bytes, content_type: str) -> Receipt:
        md5 = hashlib.md5(data, usedforsecurity=False)
        try:
            output = self._open(key).put_object(
                Bucket=self._bucket.name,
                Key=self._bucket.key(key),
                Body=data,
                ContentType=content_type,
                ContentMD5=base64.b64encode(md5.digest()).decode(),
            )
        except StorageError:
            raise
        except Exception as error:
            raise self._translated(key, error) from error
        return Receipt(key, len(data), _proof(key, md5.hexdigest(), output))

    def _delete_probe(self) -> None:
        try:
            client = self._open(PROBE_KEY)
            client.delete_object(Bucket=self._bucket.name, Key=self._bucket.key(PROBE_KEY))
        except Exception as error:
            told = self._translated(PROBE_KEY, error)
            # A refusal is no fault: the put has proved what is needed.
            if isinstance(told, StorageUnavailable):
                raise told from error

    def _open(self, key: str) -> "S3Client":
        """The client, made at the first call: loading it takes a tenth of a second or more."""
        with self._opening:
            if self._client is None:
                self._client = self._connect(key)
            return self._client

    def _connect(self, key: str) -> "S3Client":
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
        return cast("S3Client", client)

    def _translated(self, key: str, error: Exception) -> StorageError:
        """What the SDK raised, as our error, without a secret."""
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "ClientError" in kinds:
            return storage_error(key, self._answer(cast("ClientError", error)))
        for kind, (refused, said, advice) in _FAILURES.items():
            if kind in kinds:
                return (StorageRefused if refused else StorageUnavailable)(key, said, advice)
        said = self._without_keys(f"{_in_words(error)}: {error}")
        return StorageUnavailable(key, said, "was it an S3 store that answered?")

    def _answer(self, error: "ClientError") -> Answer:
        said = error.response.get("Error", {})
        meta = error.response.get("ResponseMetadata", {})
        headers = meta.get("HTTPHeaders", {})
        region = str(headers.get("x-amz-bucket-region") or said.get("Region", ""))
        return Answer(
            int(meta.get("HTTPStatusCode", 0)),
            str(said.get("Code", "")),
            self._without_keys(str(said.get("Message", ""))),
            region[:63],
        )

    def _without_keys(self, text: str) -> str:
        keys = self._credentials
        for secret in (keys.secret_key, keys.access_key) if keys else ():
            text = text.replace(secret, "***") if secret else text
        return text[:500]


def _session() -> "Session":
    """A session of its own for each store, since one may not be shared by threads."""
    from botocore.session import get_session  # noqa: PLC0415

    session = get_session()
    session.register_component("data_loader", _descriptions())
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


def _proof(key: str, md5: str, output: "PutObjectOutputTypeDef") -> str:
    """The ETag, proven to be of our bytes where it can be.

    It is their MD5 unless the store encrypts with a key of KMS or of the customer. No ETag at
    all means that not the store answered, but a proxy or portal between.
    """
    etag = output.get("ETag", "").strip('"')
    if not etag:
        raise StorageUnavailable(
            key, "success was said without an ETag", "was it an S3 store that answered?"
        )
    plain = output.get("ServerSideEncryption", "AES256") == "AES256"
    if plain and not output.get("SSECustomerAlgorithm") and _MD5.fullmatch(etag) and etag != md5:
        raise StorageUnavailable(
            key, f"the store holds other bytes (ETag {etag})", "it is tried again"
        )
    return etag
