"""What a bucket holds, to be shown: listed and read by obstore. Nothing of the service reads.

COS is read by its S3 API (tencentcloud.com/document/product/436/10687). OSS is not read.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from slicer.errors import BadInput, StorageError, StorageUnavailable
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
from slicer.storage.s3 import S3
from slicer.storage.s3_fast import endpoint_of

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

MAX_OBJECT = 64 * 1024 * 1024
"""Bytes of an object that is read."""
RIGHT = "to list the bucket and to read its objects"
VENDORS = {"s3": S3, "cos": COS, "gs": GCS, "az": AZURE}
"""Whose buckets can be read."""
_EXTRAS = {"s3": "fast", "cos": "fast", "gs": "gcs", "az": "azure"}
_ADVICE = {"gs": GCS_ADVICE, "az": AZURE_ADVICE}
_KEYS = "give access key and secret key, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object: its key below what the URL named, and its size in bytes."""

    key: str
    size: int


class BucketReader:
    """A bucket, or what lies under a prefix of it. Its methods raise StorageError."""

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
                    key = one["path"].removeprefix(prefix).lstrip("/")
                    if key and not any(faults(key)):
                        yield StoredObject(key, one["size"])
        except Exception as error:
            raise self.told("", error) from error

    async def read(self, one: StoredObject) -> bytes:
        """Its bytes, of which there are as many as were listed."""
        import obstore  # noqa: PLC0415

        try:
            result = await obstore.get_async(self.store(), self.name(one.key))
            size = result.meta["size"]
            data = bytes(await result.bytes_async()) if size == one.size <= MAX_OBJECT else b""
        except Exception as error:
            raise self.told(one.key, error) from error
        if len(data) != one.size:
            text = f"{size} bytes, {one.size} were listed and {MAX_OBJECT} are read at most"
            raise StorageUnavailable(one.key, text, "list it again")
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


def open_reader(
    url: str, credentials: Credentials | None = None, timeouts: Timeouts | None = None
) -> BucketReader:
    """Open `s3://bucket/prefix?region=…` as `open_storage` does; no I/O. Raises BadInput."""
    split = urlsplit(url)
    vendor = VENDORS.get(split.scheme)
    if vendor is None:
        schemes = ", ".join(f"{scheme}://" for scheme in VENDORS)
        raise BadInput("storage", f"{split.scheme}:", f"a bucket: {schemes}")
    bucket = Bucket.from_url(split, vendor)
    if bucket.scheme == "s3" and bucket.endpoint is None and bucket.region is None:
        raise BadInput("storage", bucket.label, "the same with its region: ?region=…")
    require_obstore(split.scheme, _EXTRAS[split.scheme])
    waits = timeouts or Timeouts()

    def make() -> "S3Store | GCSStore | AzureStore":
        if bucket.scheme == "gs":
            return gcs_store(bucket, credentials, waits)
        if bucket.scheme == "az":
            return azure_store(bucket, credentials, waits)
        return _s3_store(bucket, credentials, waits)

    advice = _ADVICE.get(split.scheme, _KEYS)
    return BucketReader(bucket, make, ObstoreClient(make, credentials, RIGHT, advice, None))


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
