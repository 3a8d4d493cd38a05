"""ObjectStorage with a client made for the test: opening, keys, facts, probe and closing."""

import threading

import pytest

from slicer.errors import StorageError, StorageRefused, StorageUnavailable
from slicer.storage.bucket import Bucket
from slicer.storage.keys import PROBE_KEY
from slicer.storage.objects import ObjectStorage, Upload
from slicer.storage.proof import Acknowledgement


class Scripted:
    """A client that fails where it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.uploads: list[Upload] = []
        self.fail: dict[str, Exception] = {}
        self.threads: set[str] = set()

    def _called(self, name: str) -> None:
        self.calls.append(name)
        self.threads.add(threading.current_thread().name)
        if name in self.fail:
            raise self.fail[name]

    def open(self, key: str) -> None:
        self._called("open")

    def put(self, upload: Upload) -> Acknowledgement:
        self.uploads.append(upload)
        self._called("put")
        return Acknowledgement(f'"{upload.md5.hex()}"')

    def delete(self, name: str) -> None:
        self._called(f"delete {name}")

    def link(self, name: str, seconds: int) -> str:
        self._called(f"link {name} {seconds}")
        return f"https://link/{name}"

    def translated(self, key: str, error: Exception) -> StorageError:
        if isinstance(error, PermissionError):
            return StorageRefused(key, str(error), "x")
        return StorageUnavailable(key, str(error), "x")

    def close(self) -> None:
        self._called("close")


def made(bucket: Bucket | None = None) -> tuple[ObjectStorage, Scripted]:
    client = Scripted()
    return ObjectStorage(bucket or Bucket("bucket", "pre"), client), client


async def test_the_client_is_opened_once_and_in_a_thread() -> None:
    store, client = made()
    assert client.calls == []
    await store.put("a", b"x", "audio/ogg")
    await store.put("b", b"x", "audio/ogg")
    await store.close()
    assert client.calls == ["open", "put", "put", "close"]
    assert "MainThread" in client.threads, "close alone"
    assert [each.name for each in client.uploads] == ["pre/a", "pre/b"]


async def test_opening_is_tried_again() -> None:
    store, client = made()
    client.fail["open"] = OSError("no keys")
    with pytest.raises(StorageUnavailable, match="a: no keys"):
        await store.put("a", b"x", "audio/ogg")
    client.fail.clear()
    await store.put("a", b"x", "audio/ogg")
    await store.close()


@pytest.mark.parametrize("asked", [True, False])
async def test_facts_go_where_they_are_asked_for(asked: bool) -> None:
    store, client = made(Bucket("bucket", metadata=asked))
    await store.put("a", b"x", "audio/ogg", {"anchor": "ä"})
    await store.close()
    assert client.uploads[0].metadata == ({"anchor": "%C3%A4"} if asked else {})


async def test_the_prefix_counts_for_the_length() -> None:
    store, client = made()
    with pytest.raises(StorageRefused, match="1025 bytes"):
        await store.put("x" * 1021, b"", "audio/ogg")
    await store.close()
    assert client.uploads == []


async def test_a_probe_that_may_not_be_deleted_is_no_fault() -> None:
    store, client = made()
    client.fail[f"delete pre/{PROBE_KEY}"] = PermissionError("no")
    await store.check()
    client.fail[f"delete pre/{PROBE_KEY}"] = OSError("gone")
    with pytest.raises(StorageUnavailable):
        await store.check()
    await store.close()
