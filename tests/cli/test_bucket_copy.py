"""The newest slices of a bucket, within bounds of number and bytes, once each."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from slicer.cli import bucket_copy
from slicer.cli.bucket_copy import Copied, copy
from slicer.cli.sheet import named
from slicer.errors import BadInput, StorageUnavailable
from slicer.storage.reading import BucketReader, StoredObject


class Shelf:
    """A bucket of slices of 10 bytes, a second apart, and of what is none."""

    label = "s3://shelf"

    def __init__(self, number: int) -> None:
        self.listed = [
            StoredObject(f"t/ada/audios/1_2_ada_202601020304{second:02}.ogg", 10)
            for second in range(number)
        ] + [StoredObject("t/manifest.json", 99)]
        self.read_keys: list[str] = []
        self.broken = False

    async def objects(self) -> AsyncIterator[StoredObject]:
        for one in self.listed:
            yield one

    async def read(self, one: StoredObject) -> bytes:
        if self.broken:
            raise StorageUnavailable(one.key, "no connection", "check it")
        self.read_keys.append(one.key)
        return b"x" * 10


async def copied(shelf: Shelf, folder: Path, limit: int = 100, most: int = 10_000) -> Copied:
    reader: BucketReader = shelf
    return await copy(reader, folder, named, limit, most)


async def test_the_newest_within_both_bounds(tmp_path: Path) -> None:
    shelf = Shelf(9)
    assert await copied(shelf, tmp_path / "a", limit=4) == Copied(4, 5, 0)
    assert sorted(shelf.read_keys) == [one.key for one in shelf.listed[5:9]]
    shelf.read_keys.clear()
    assert await copied(shelf, tmp_path / "b", most=35) == Copied(3, 6, 6)
    assert sorted(shelf.read_keys) == [one.key for one in shelf.listed[6:9]]
    assert (tmp_path / "b" / shelf.listed[8].key).read_bytes() == b"x" * 10


async def test_what_is_there_is_not_read_again(tmp_path: Path) -> None:
    shelf = Shelf(3)
    await copied(shelf, tmp_path)
    (tmp_path / shelf.listed[1].key).write_bytes(b"half")
    shelf.read_keys.clear()
    assert await copied(shelf, tmp_path) == Copied(3, 0, 0)
    assert shelf.read_keys == [shelf.listed[1].key]


async def test_a_store_that_fails_is_told_once(tmp_path: Path) -> None:
    shelf = Shelf(20)
    shelf.broken = True
    with pytest.raises(StorageUnavailable, match="no connection"):
        await copied(shelf, tmp_path)


async def test_a_bucket_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_copy, "MOST_LISTED", 3)
    with pytest.raises(BadInput, match="PLACE: got 's3://shelf'; allowed: a prefix with 3 objects"):
        await copied(Shelf(3), tmp_path)
