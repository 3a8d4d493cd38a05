"""One folder of the spool: what is written is there, whole and alone; what is torn is known."""

import errno
import os
import stat
from pathlib import Path

import pytest

from slicer.delivery.spool.folder import (
    Folder,
    clear,
    folder_name,
    free_bytes,
    listing,
    numbers,
    read,
    set_aside,
)
from slicer.delivery.spool.record import StoreUrls
from slicer.delivery.spool.settings import Fsync, SpoolSettings
from tests.harness.delivery.spooling import file_of, spool_settings, with_fields

URLS = StoreUrls("s3://bucket")


@pytest.fixture
def settings(tmp_path: Path) -> SpoolSettings:
    return spool_settings(tmp_path)


@pytest.fixture
def folder(tmp_path: Path, settings: SpoolSettings) -> Folder:
    return Folder(tmp_path / "one", URLS, settings)


def test_what_is_written_is_read_and_listed(folder: Folder) -> None:
    for number in (12, 3):
        folder.write(number, file_of(f"ada/{number}"))
    found = listing(folder.path)
    assert [one.number for one in found] == [3, 12]
    for one in found:
        assert one.header is not None
        assert one.header.urls == URLS
        assert read(one.path, URLS) == file_of(one.header.info.key)
        assert one.size == one.path.stat().st_size
    assert sorted(numbers(folder.path)) == [3, 12]


def test_nobody_else_may_read_it(folder: Folder) -> None:
    path = folder.write(1, file_of("ada/1"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_what_a_crash_left_is_not_listed_and_is_cleared(folder: Folder) -> None:
    whole = folder.write(1, file_of("ada/1"))
    torn = folder.path / "0000000000000002.part"
    torn.write_bytes(whole.read_bytes()[:100])
    assert [one.number for one in listing(folder.path)] == [1]
    assert sorted(numbers(folder.path)) == [1, 2], "its number is not given again"
    assert clear(folder.path) == 1
    assert not torn.exists()
    assert whole.exists()


@pytest.mark.parametrize("size", [0, 10, 30, -1])
def test_a_record_that_the_machine_tore_is_listed_as_damaged(folder: Folder, size: int) -> None:
    path = folder.write(1, file_of("ada/1"))
    path.write_bytes(path.read_bytes()[:size])
    assert [one.header for one in listing(folder.path)] == [None]
    set_aside(path)
    assert [(one.number, one.header) for one in listing(folder.path)] == [(1, None)]
    assert [path.name for path in folder.path.iterdir()] == ["0000000000000001.damaged"]


@pytest.mark.parametrize("field", ["to", "backup"])
def test_a_record_that_is_for_other_stores_is_not_read(folder: Folder, field: str) -> None:
    path = folder.write(1, file_of("ada/1"))
    path.write_bytes(with_fields(path.read_bytes(), {field: "s3://another"}))
    with pytest.raises(ValueError, match="other stores"):
        read(path, URLS)
    path.write_bytes(with_fields(path.read_bytes(), {field: getattr(URLS, field), "keys": True}))
    assert read(path, URLS) == file_of("ada/1"), "whose keys it has is another question"


def test_a_folder_is_named_by_stores_and_keys() -> None:
    names = {
        folder_name(URLS),
        folder_name(URLS, "", ""),
        folder_name(URLS, "id", ""),
        folder_name(URLS, "", "id"),
        folder_name(StoreUrls("s3://bucket", "s3://other"), "id", ""),
    }
    assert len(names) == 5
    assert folder_name(StoreUrls("s3://bucket", keys=True), "id", "") in names


def test_a_write_that_fails_leaves_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    folder.write(1, file_of("ada/1"))
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        folder.write(2, file_of("ada/2"))
    assert [path.name for path in folder.path.iterdir()] == ["0000000000000001.slice"]


def test_short_writes_are_gone_on_with(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda where, data: write(where, bytes(data)[:7]))
    assert read(folder.write(1, file_of("ada/1", 500)), URLS) == file_of("ada/1", 500)


def test_the_reserve_is_left_to_others(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    settings = SpoolSettings(str(tmp_path), reserve_bytes=disk.f_blocks * disk.f_frsize)
    folder = Folder(tmp_path / "one", URLS, settings)
    with pytest.raises(OSError, match="reserve") as refused:
        folder.write(1, file_of("ada/1"))
    assert refused.value.errno == errno.ENOSPC
    assert list(folder.path.iterdir()) == []


@pytest.mark.parametrize(
    ("fsync", "forced"), [(Fsync.NEVER, 0), (Fsync.INTERVAL, 1), (Fsync.ALWAYS, 3)]
)
def test_what_is_forced_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: Fsync, forced: int
) -> None:
    """Always: the new folder's name, the file, the file's name. Interval: the folder's alone."""
    calls: list[object] = []
    monkeypatch.setattr(os, "fsync", calls.append)
    folder = Folder(tmp_path / "one", URLS, spool_settings(tmp_path, fsync=fsync))
    folder.write(1, file_of("ada/1"))
    assert len(calls) == forced
    folder.write(2, file_of("ada/2"))
    assert len(calls) == forced + (2 if fsync is Fsync.ALWAYS else 0)


def test_what_is_free_on_a_disk(tmp_path: Path) -> None:
    there = free_bytes(tmp_path)
    assert there is not None
    assert there > 0
    assert free_bytes(tmp_path / "gone") is None
