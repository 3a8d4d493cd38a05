"""An outbox's side of the spool: faults of the disk become words, once for each task."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from slicer.delivery.entry import Entry
from slicer.delivery.spool.record import Address
from slicer.delivery.spool.shelf import Shelf, listing
from slicer.delivery.spool.spool import Spool
from slicer.delivery.spool.spooler import PATIENCE, Spooler
from slicer.errors import MediaError, StorageError
from slicer.media.slice import Slice
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey
from tests.harness.clock import ManualClock
from tests.harness.delivery.spooling import slice_of, spool_settings


class Desk:
    """A spooler over a real folder, and what it has said."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.told = ManualClock(), list[tuple[str, str]]()
        self.spool = Spool.open(spool_settings(folder), self.clock)
        self.shelf = self.spool.shelf(Address("s3://bucket"))
        self.spooler = Spooler(self.spool, self.shelf, self.clock, self.tell, self.lose)

    def tell(self, entry: Entry, error: StorageError) -> None:
        self.told.append((entry.track.task, str(error)))

    def lose(self, entry: Entry, reason: str) -> None:
        raise AssertionError(f"{entry.key} has to go: {reason}")

    def entry(self, task: str = "task") -> Entry:
        number = self.spooler.next_number()
        return Entry(number, f"ada/{number}", TrackKey(task, "ada", Kind.AUDIO), 7, 0.0)

    async def write(self, entry: Entry) -> bool:
        return await self.spooler.write(entry, slice_of(entry.key))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    yield made
    await made.spooler.close()
    await made.spool.close()


async def test_written_read_and_released(desk: Desk) -> None:
    entry = desk.entry()
    assert await desk.write(entry)
    assert entry.path is not None
    assert entry.path.exists()
    assert (entry.size, entry.deadline) == (1000, desk.clock.now() + desk.spool.max_age)
    assert await desk.spooler.read(entry) == slice_of(entry.key)
    desk.spooler.release(entry)
    await desk.spool.close()
    assert not entry.path.exists()
    assert desk.spool.ledger.bytes == 0


async def test_a_disk_that_fails_is_told_once_a_task_and_left_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_shelf: Shelf, _sequence: int, _made: Slice) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(Shelf, "write", fail)
        for task in ("one", "one", "two"):
            assert not await desk.write(desk.entry(task))
    assert [task for task, _ in desk.told] == ["one", "two"]
    assert "No space left" in desk.told[0][1]
    assert desk.spooler.failures == 3
    assert not desk.spooler.ready
    desk.clock.advance(PATIENCE)
    assert desk.spooler.ready
    assert await desk.write(desk.entry("one"))
    monkeypatch.setattr(Shelf, "write", fail)
    assert not await desk.write(desk.entry("one"))
    assert [task for task, _ in desk.told] == ["one", "two", "one"]


async def test_a_record_that_is_gone_or_damaged_costs_its_slice(desk: Desk) -> None:
    gone, damaged = desk.entry(), desk.entry()
    for entry in (gone, damaged):
        assert await desk.write(entry)
    assert gone.path is not None
    assert damaged.path is not None
    gone.path.unlink()
    damaged.path.write_bytes(b"SLICE1")
    for entry in (gone, damaged):
        with pytest.raises(MediaError, match="spool"):
            await desk.spooler.read(entry)


async def test_adopted_with_the_age_it_has(desk: Desk) -> None:
    entry = desk.entry()
    assert await desk.write(entry)
    assert entry.path is not None
    desk.spooler.leave(entry)
    written = desk.clock.wall(desk.clock.now()).timestamp() - 100
    os.utime(entry.path, (written, written))
    [found] = listing(desk.shelf.folder)
    adopted = desk.spooler.adopt(found)
    assert adopted is not None
    assert (adopted.key, adopted.track) == ("ada/1", TrackKey("task", "ada", Kind.AUDIO))
    assert adopted.deadline == pytest.approx(desk.clock.now() + desk.spool.max_age - 100)
    assert desk.spool.ledger.bytes == 1000
    os.truncate(entry.path, 10)
    assert desk.spooler.adopt(listing(desk.shelf.folder)[0]) is None


async def test_what_is_not_confirmed_stays(desk: Desk) -> None:
    entries = [desk.entry() for _ in range(3)]
    for entry in entries:
        assert await desk.write(entry)
    loop = asyncio.get_running_loop()
    answers = [loop.create_future() for _ in entries]
    for entry, answer in zip(entries, answers, strict=True):
        desk.spooler.release(entry, answer)
    assert desk.spooler.busy
    answers[0].set_result(None)
    answers[1].set_exception(OSError("the journal is full"))
    answers[2].cancel()
    await desk.spooler.close()
    await desk.spool.close()
    there = [entry.path for entry in entries if entry.path and entry.path.exists()]
    assert there == [entry.path for entry in entries[1:]]
