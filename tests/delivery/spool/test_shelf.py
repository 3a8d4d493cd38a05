"""One folder of the spool: what is written is there, whole and alone; what is torn is known."""

import errno
import os
import stat
from pathlib import Path

import pytest

from slicer.delivery.spool.record import Address
from slicer.delivery.spool.settings import Fsync, SpoolSettings
from slicer.delivery.spool.shelf import Shelf, clear, listing, numbers, read, set_aside
from tests.harness.delivery.spooling import slice_of, spool_settings

ADDRESS = Address("s3://bucket")


@pytest.fixture
def settings(tmp_path: Path) -> SpoolSettings:
    return spool_settings(tmp_path)


@pytest.fixture
def shelf(tmp_path: Path, settings: SpoolSettings) -> Shelf:
    return Shelf(tmp_path / "one", ADDRESS, settings)


def test_what_is_written_is_read_and_listed(shelf: Shelf) -> None:
    for number in (12, 3):
        shelf.write(number, slice_of(f"ada/{number}"))
    found = listing(shelf.folder)
    assert [one.sequence for one in found] == [3, 12]
    for one in found:
        assert one.record is not None
        assert one.record.address == ADDRESS
        assert read(one.path) == slice_of(one.record.key)
        assert one.size == one.path.stat().st_size
    assert sorted(numbers(shelf.folder)) == [3, 12]


def test_nobody_else_may_read_it(shelf: Shelf) -> None:
    path = shelf.write(1, slice_of("ada/1"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(shelf.folder.stat().st_mode) == 0o700


def test_what_a_crash_left_is_not_listed_and_is_cleared(shelf: Shelf) -> None:
    whole = shelf.write(1, slice_of("ada/1"))
    torn = shelf.folder / "0000000000000002.part"
    torn.write_bytes(whole.read_bytes()[:100])
    assert [one.sequence for one in listing(shelf.folder)] == [1]
    assert sorted(numbers(shelf.folder)) == [1, 2], "its number is not given again"
    assert clear(shelf.folder) == 1
    assert not torn.exists()
    assert whole.exists()


@pytest.mark.parametrize("size", [0, 10, 30, -1])
def test_a_record_that_the_machine_tore_is_listed_as_damaged(shelf: Shelf, size: int) -> None:
    path = shelf.write(1, slice_of("ada/1"))
    path.write_bytes(path.read_bytes()[:size])
    assert [one.record for one in listing(shelf.folder)] == [None]
    set_aside(path)
    assert listing(shelf.folder) == []
    assert [path.name for path in shelf.folder.iterdir()] == ["0000000000000001.damaged"]


def test_a_write_that_fails_leaves_nothing(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    shelf.write(1, slice_of("ada/1"))
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        shelf.write(2, slice_of("ada/2"))
    assert [path.name for path in shelf.folder.iterdir()] == ["0000000000000001.slice"]


def test_short_writes_are_gone_on_with(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda where, data: write(where, bytes(data)[:7]))
    assert read(shelf.write(1, slice_of("ada/1", 500))) == slice_of("ada/1", 500)


def test_the_reserve_is_left_to_others(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    settings = SpoolSettings(str(tmp_path), reserve_bytes=disk.f_blocks * disk.f_frsize)
    shelf = Shelf(tmp_path / "one", ADDRESS, settings)
    with pytest.raises(OSError, match="reserve") as refused:
        shelf.write(1, slice_of("ada/1"))
    assert refused.value.errno == errno.ENOSPC
    assert list(shelf.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("fsync", "forced"), [(Fsync.NEVER, 0), (Fsync.INTERVAL, 1), (Fsync.ALWAYS, 3)]
)
def test_what_is_forced_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: Fsync, forced: int
) -> None:
    """Always: the new folder's name, the file, the file's name. Interval: the folder's alone."""
    calls: list[object] = []
    monkeypatch.setattr(os, "fsync", calls.append)
    shelf = Shelf(tmp_path / "one", ADDRESS, spool_settings(tmp_path, fsync=fsync))
    shelf.write(1, slice_of("ada/1"))
    assert len(calls) == forced
    shelf.write(2, slice_of("ada/2"))
    assert len(calls) == forced + (2 if fsync is Fsync.ALWAYS else 0)
