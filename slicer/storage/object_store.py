"""A bucket of ours to work with: objects are put, listed, read and deleted, by obstore.

What is kept here proves itself (a checksum is in it), so a receipt is not asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from slicer.storage import Credentials
from slicer.storage.objects import Timeouts
from slicer.storage.reading import MAX_OBJECT, ObstoreReader, open_obstore_reader

TIMEOUTS = Timeouts(connect=2.0, read=10.0)


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A bucket, or what lies under a prefix of it. Its methods raise StorageError."""

    reader: ObstoreReader

    @property
    def label(self) -> str:
        return self.reader.label

    async def put(self, key: str, data: bytes) -> None:
        """Whole or not at all, over whatever was there."""
        import obstore  # noqa: PLC0415

        name = self.reader.name(key)
        try:
            await obstore.put_async(self.reader.store(), name, data, use_multipart=False)
        except Exception as error:
            raise self.reader.told(key, error) from error

    async def keys(self, under: str) -> Sequence[str]:
        """All that lie in a folder."""
        return [one.key async for one in self.reader.objects(under)]

    async def read(self, key: str) -> bytes | None:
        """An object's bytes; None: it is gone."""
        import obstore  # noqa: PLC0415

        try:
            found = await obstore.get_async(self.reader.store(), self.reader.name(key))
            return bytes(await found.bytes_async()) if found.meta["size"] <= MAX_OBJECT else None
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self.reader.told(key, error) from error

    async def delete(self, key: str) -> None:
        """Also where it is gone."""
        import obstore  # noqa: PLC0415

        try:
            await obstore.delete_async(self.reader.store(), self.reader.name(key))
        except FileNotFoundError:
            return
        except Exception as error:
            raise self.reader.told(key, error) from error


def open_object_store(url: str, credentials: Credentials | None = None) -> ObjectStore:
    """Open `s3://bucket/prefix?region=…`, or another that obstore works with; no I/O. Raises
    BadInput."""
    return ObjectStore(open_obstore_reader(url, credentials, TIMEOUTS))
