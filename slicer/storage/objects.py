"""A bucket of any vendor as a Storage: probe, proof, threads, and secrets kept out of messages.

`check` stores and deletes a probe. Asking for the bucket would need a right that an uploader need
not have, and would not prove the one it needs. Where deleting is not allowed, the probe stays.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from slicer.errors import StorageError, StorageUnavailable
from slicer.storage import Receipt
from slicer.storage.bucket import Bucket
from slicer.storage.keys import PROBE_KEY, check_key, without_probe
from slicer.storage.metadata import encoded
from slicer.storage.proof import Acknowledgement, md5, prove
from slicer.storage.threads import Threads

CONNECTIONS = 8
"""Threads, and connections kept open: uploads side by side."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a connection or for a block to be taken, and for each answer."""

    connect: float = 5.0
    read: float = 20.0


@dataclass(frozen=True, slots=True)
class Upload:
    """One object on its way. *name*: its key in the bucket; *md5*: of *data*, 16 bytes;
    *metadata*: fit for headers, without the vendor's prefix."""

    name: str
    data: bytes
    content_type: str
    md5: bytes
    metadata: Mapping[str, str] = field(default_factory=dict)


class Client(Protocol):
    """One vendor's SDK at one bucket, blocking, used by CONNECTIONS threads at once.

    It never tries twice by itself: the outbox does, and tells. Its methods may raise anything
    that `translated` has words for.
    """

    def open(self, key: str) -> None:
        """Load the SDK and find credentials; called once before the rest, *key* is for errors."""
        ...

    def put(self, upload: Upload) -> Acknowledgement: ...

    def delete(self, name: str) -> None: ...

    def link(self, name: str, seconds: int) -> str:
        """A URL by which anyone may read the object for so long; no I/O. Asked for only where the
        vendor's URLs have the option `link`."""
        ...

    def translated(self, key: str, error: Exception) -> StorageError:
        """What the SDK raised, as our error, without a secret."""
        ...

    def close(self) -> None:
        """Also where `open` was never called or failed."""
        ...


class ObjectStorage:
    """A bucket, or what lies under a prefix of it."""

    def __init__(self, bucket: Bucket, client: Client) -> None:
        self._bucket, self._client = bucket, client
        self._threads = Threads(f"{bucket.scheme}-storage", CONNECTIONS)
        self._opening = threading.Lock()
        self._opened = False

    @property
    def label(self) -> str:
        return self._bucket.label

    async def check(self) -> None:
        """Store a probe and delete it again."""
        try:
            await self.put(PROBE_KEY, b"", "application/octet-stream")
            await self._threads.run(PROBE_KEY, self._delete_probe)
        except StorageError as error:
            raise without_probe(error) from error

    async def put(
        self,
        key: str,
        data: bytes,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> Receipt:
        check_key(key)
        name = self._bucket.key(key)
        check_key(name)  # the prefix counts for the length
        headers = encoded(key, metadata) if metadata and self._bucket.metadata else {}
        return await self._threads.run(
            key, partial(self._put, key, name, data, content_type, headers)
        )

    async def close(self) -> None:
        await self._threads.close()
        self._client.close()

    def _put(
        self, key: str, name: str, data: bytes, content_type: str, metadata: Mapping[str, str]
    ) -> Receipt:
        digest = md5(data)
        upload = Upload(name, data, content_type, digest.digest(), metadata)
        try:
            self._open(key)
            word = self._client.put(upload)
            seconds = self._bucket.link
            url = self._client.link(name, seconds) if seconds else ""
        except Exception as error:
            raise self._client.translated(key, error) from error
        return Receipt(key, len(data), prove(key, data, digest.hexdigest(), word), url)

    def _delete_probe(self) -> None:
        try:
            self._client.delete(self._bucket.key(PROBE_KEY))
        except Exception as error:
            failure = self._client.translated(PROBE_KEY, error)
            # A refusal is no fault: the put has proved what is needed.
            if isinstance(failure, StorageUnavailable):
                raise failure from error

    def _open(self, key: str) -> None:
        """Open the client at the first call: loading an SDK takes a tenth of a second or more."""
        with self._opening:
            if not self._opened:
                self._client.open(key)
                self._opened = True
