"""What a bucket holds, to be shown: listed and read by obstore, OSS by its own SDK. Nothing of the
service reads.

COS is read by its S3 API (tencentcloud.com/document/product/436/10687).
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from slicer.errors import BadInput, StorageError, StorageUnavailable, counted
from slicer.storage import Credentials
from slicer.storage.azure import ADVICE as AZURE_ADVICE
from slicer.storage.azure import AZURE, azure_store
from slicer.storage.bucket import Bucket
from slicer.storage.cos import COS
from slicer.storage.gcs import ADVICE as GCS_ADVICE
from slicer.storage.gcs import GCS, gcs_store
from slicer.storage.keys import faults
from slicer.storage.objects import Timeouts
from slicer.storage.obstore_client import (
    NO_RETRY,
    ObstoreClient,
    client_options,
    require_obstore,
)
from slicer.storage.oss import (
    OSS,
    Sdk,
    SdkHttp,
    connect,
    list_page,
    oss_bucket,
    read_object,
    require_sdk,
)
from slicer.storage.s3 import S3
from slicer.storage.s3_fast import endpoint_of
from slicer.storage.transport import HttpTransport, translated

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

MAX_OBJECT = 64 * 1024 * 1024
"""Bytes of an object that is read."""
RIGHT = "to list the bucket and to read its objects"
VENDORS = {"s3": S3, "cos": COS, "oss": OSS, "gs": GCS, "az": AZURE}
"""Whose buckets can be read."""
OBSTORE = {"s3": "fast", "cos": "fast", "gs": "gcs", "az": "azure"}
"""Whose buckets obstore reads, with the extra that brings it."""
_ADVICE = {"gs": GCS_ADVICE, "az": AZURE_ADVICE}
_KEYS = "give access key and secret key, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object: its key below what the URL named, and its size in bytes."""

    key: str
    size: int


class BucketReader(Protocol):
    """A bucket, or what lies under a prefix of it. Its methods raise StorageError."""

    @property
    def label(self) -> str: ...

    def objects(self) -> AsyncIterator[StoredObject]:
        """All there are, as the store lists them. What is no key of ours is left out."""
        ...

    async def read(self, one: StoredObject) -> bytes:
        """Its bytes, of which there are as many as were listed."""
        ...


class ObstoreReader:
    """A bucket that obstore reads."""

    def __init__(
        self,
        bucket: Bucket,
        make: "Callable[[], S3Store | GCSStore | AzureStore]",
        client: ObstoreClient,
    ) -> None:
        self._bucket, self._make, self._client = bucket, make, client
        self._store: S3Store | GCSStore | AzureStore | None = None

    @property
    def label(self) -> str:
        return self._bucket.label

    async def objects(self, under: str = "") -> AsyncIterator[StoredObject]:
        """All there are, or those in a folder, as the store lists them. What is no key of ours is
        left out."""
        import obstore  # noqa: PLC0415

        prefix = self._bucket.prefix
        try:
            async for page in obstore.list(self.store(), f"{prefix}/{under}".strip("/") or None):
                for one in page:
                    if found := below(prefix, one["path"], one["size"]):
                        yield found
        except Exception as error:
            raise self.told("", error) from error

    async def read(self, one: StoredObject) -> bytes:
        import obstore  # noqa: PLC0415

        try:
            result = await obstore.get_async(self.store(), self.name(one.key))
            size = result.meta["size"]
            data = bytes(await result.bytes_async()) if size == one.size <= MAX_OBJECT else b""
        except Exception as error:
            raise self.told(one.key, error) from error
        if len(data) != one.size:
            raise other_size(one, size)
        return data

    def store(self) -> "S3Store | GCSStore | AzureStore":
        """The bucket as obstore has it."""
        if self._store is None:
            self._store = self._make()
        return self._store

    def name(self, key: str) -> str:
        """A key in the bucket."""
        return self._bucket.key(key)

    def told(self, key: str, error: Exception) -> StorageError:
        """What obstore raised, as our error."""
        return self._client.translated(key, error)


class OssReader:
    """A bucket that Aliyun's SDK reads, opened at the first call."""

    def __init__(self, bucket: Bucket, credentials: Credentials | None, timeouts: Timeouts) -> None:
        self._bucket, self._credentials = bucket, credentials
        self._http = SdkHttp(HttpTransport(timeouts, RIGHT, most=MAX_OBJECT + 1))
        self._opening = threading.Lock()
        self._sdk: Sdk | None = None

    @property
    def label(self) -> str:
        return self._bucket.label

    async def objects(self) -> AsyncIterator[StoredObject]:
        token: str | None = None
        while True:
            page = await self._ask("", partial(self._list, token))
            for one in page.contents or ():
                if found := below(self._bucket.prefix, one.key, one.size):
                    yield found
            token = page.next_continuation_token
            if not token:
                return

    async def read(self, one: StoredObject) -> bytes:
        data: bytes = await self._ask(one.key, partial(self._get, self._bucket.key(one.key)))
        if len(data) != one.size or one.size > MAX_OBJECT:
            raise other_size(one, len(data))
        return data

    async def _ask(self, key: str, work: Callable[[], Any]) -> Any:
        try:
            return await asyncio.to_thread(work)
        except Exception as error:
            raise translated(key, error, self._credentials) from error

    def _list(self, token: str | None) -> SimpleNamespace:
        return list_page(self._open(), self._bucket, token)

    def _get(self, name: str) -> bytes:
        return read_object(self._open(), self._bucket, name)

    def _open(self) -> Sdk:
        with self._opening:
            if self._sdk is None:
                self._sdk, self._credentials = connect(
                    "", self._bucket, self._credentials, self._http
                )
            return self._sdk


def below(prefix: str, name: str, size: int) -> StoredObject | None:
    """An object that a bucket lists, as it is called below *prefix*; None for what is no key of
    ours."""
    key = name.removeprefix(prefix).lstrip("/")
    return None if not key or any(faults(key)) else StoredObject(key, size)


def other_size(one: StoredObject, size: int) -> StorageError:
    """It is not what was listed any more, or too large."""
    text = f"{counted(size, 'byte')}, {one.size} were listed and {MAX_OBJECT} are read at most"
    return StorageUnavailable(one.key, text, "list it again")


def open_reader(
    url: str, credentials: Credentials | None = None, timeouts: Timeouts | None = None
) -> BucketReader:
    """Open `s3://bucket/prefix?region=…` as `open_storage` does; no I/O. Raises BadInput."""
    split = urlsplit(url)
    if split.scheme == "oss":
        require_sdk()
        return OssReader(oss_bucket(split), credentials, timeouts or Timeouts())
    return _obstore_reader(_bucket(url, VENDORS), credentials, timeouts or Timeouts())


def open_obstore_reader(
    url: str, credentials: Credentials | None, timeouts: Timeouts
) -> ObstoreReader:
    """The same of a bucket that obstore works with. Raises BadInput."""
    return _obstore_reader(_bucket(url, OBSTORE), credentials, timeouts)


def _bucket(url: str, allowed: Iterable[str]) -> Bucket:
    split = urlsplit(url)
    if split.scheme not in allowed:
        schemes = ", ".join(f"{scheme}://" for scheme in allowed)
        raise BadInput("storage", f"{split.scheme}:", f"a bucket: {schemes}")
    bucket = Bucket.from_url(split, VENDORS[split.scheme])
    if bucket.scheme == "s3" and bucket.endpoint is None and bucket.region is None:
        raise BadInput("storage", bucket.label, "the same with its region: ?region=…")
    return bucket


def _obstore_reader(
    bucket: Bucket, credentials: Credentials | None, timeouts: Timeouts
) -> ObstoreReader:
    require_obstore(bucket.scheme, OBSTORE[bucket.scheme])

    def make() -> "S3Store | GCSStore | AzureStore":
        if bucket.scheme == "gs":
            return gcs_store(bucket, credentials, timeouts)
        if bucket.scheme == "az":
            return azure_store(bucket, credentials, timeouts)
        return _s3_store(bucket, credentials, timeouts)

    advice = _ADVICE.get(bucket.scheme, _KEYS)
    return ObstoreReader(bucket, make, ObstoreClient(make, credentials, RIGHT, advice, None))


def _s3_store(bucket: Bucket, credentials: Credentials | None, timeouts: Timeouts) -> "S3Store":
    from obstore.store import S3Store  # noqa: PLC0415

    if bucket.scheme == "cos" and bucket.endpoint is None:
        bucket = replace(bucket, endpoint=f"https://cos.{bucket.region}.myqcloud.com")
    endpoint, in_host = endpoint_of(bucket)
    return S3Store(
        bucket.name,
        region=bucket.region or "us-east-1",
        endpoint=endpoint,
        virtual_hosted_style_request=in_host,
        access_key_id=credentials.access_key if credentials else None,
        secret_access_key=credentials.secret_key if credentials else None,
        client_options=client_options(endpoint, timeouts),
        retry_config=NO_RETRY,
    )
