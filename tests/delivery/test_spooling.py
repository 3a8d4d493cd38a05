"""An outbox over a spool whose disk fails: it is told once, and slices wait in memory."""

import asyncio
import errno
import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from slicer.delivery.copies import Copies
from slicer.delivery.delivery import Phase
from slicer.delivery.held import Held
from slicer.delivery.outcome import OutboxCounters
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.sharing import Sharing
from slicer.delivery.spool import folder as folders
from slicer.delivery.spool import spool as spools
from slicer.delivery.spooling import Spooling
from slicer.delivery.trouble import Trouble
from tests.harness.clock import ManualClock
from tests.harness.delivery.permits import Permits
from tests.harness.delivery.scripted_place import ScriptedPlace
from tests.harness.delivery.spooling import (
    Run,
    assert_whole,
    bytes_of,
    delivery_of,
    failing_disk,
    file_of,
    unavailable,
)
from tests.harness.storage.memory import MemoryStore


def full(*_: object, **__: object) -> Path:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
async def test_with_a_disk_that_fails_slices_wait_in_memory_and_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    bucket = MemoryStore(gate=asyncio.Event())
    run = Run(tmp_path, bucket)
    with monkeypatch.context() as broken:
        failing_disk(broken, code)
        run.offer("ada/0", "bo/0", "ada/1")
        await run.until(lambda: len(bucket.tries) == 2)
        assert run.heard.spooled == []
        assert run.outbox.memory == 3000
        told = [str(error) for _, error in run.heard.trouble]
        assert len(told) == 1
        assert os.strerror(code) in told[0]
    run.offer("cy/0")
    await run.until(lambda: "cy/0" in bucket.tries)
    assert run.heard.spooled == [], "the disk is left alone for a while"
    await run.advance_clock(5.0)
    run.offer("di/0")
    await run.until(lambda: run.heard.spooled == ["di/0"])
    assert bucket.gate is not None
    bucket.gate.set()
    await run.until(lambda: run.outbox.held == 0)
    assert_whole(bucket, ["ada/0", "bo/0", "ada/1", "cy/0", "di/0"])
    assert run.balanced()
    await run.close()


async def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """A limit on the size of files makes real writes fail in their middle."""
    run = Run(tmp_path, bucket := MemoryStore())
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, most))
    try:
        run.offer("ada/large", size=100_000)
        run.offer("ada/small", size=1_000)
        await run.until(lambda: run.outbox.held == 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    await run.quiet()
    assert bucket.order == ["ada/large", "ada/small"]
    assert bucket.there["ada/large"] == bytes_of("ada/large", 100_000)
    assert "File too large" in str(run.heard.trouble[0][1])
    assert list(run.folder.path.iterdir()) == [], "no half of a file stays"
    await run.close()


async def test_a_record_that_cannot_be_renamed_is_delivered_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, permits = MemoryStore(), Permits()
    run = Run(tmp_path, bucket, sharing=Sharing(permits))
    delivery = delivery_of("ada/0")
    delivery.permission = permits.ask("ada/0")
    assert run.outbox.offer(delivery)
    await run.until(lambda: run.heard.spooled == ["ada/0"])
    monkeypatch.setattr(spools, "mark_permitted", full)
    delivery.permission.granted.set_result(True)
    await run.until(lambda: bucket.order == ["ada/0"])
    assert len(run.heard.trouble) == 1
    await run.quiet()
    assert list(run.folder.path.iterdir()) == []
    await run.close()


@pytest.mark.parametrize(
    ("mark", "before", "after"),
    [
        (folders.mark_permitted, ".judging.waiting", ".judging"),
        (folders.mark_permitted, ".slice.waiting", ".slice"),
        (folders.mark_judged, ".judging", ".slice"),
        (folders.mark_judged, ".judging.waiting", ".slice"),
    ],
)
def test_what_a_record_is_called(
    tmp_path: Path, mark: Callable[[Path], Path], before: str, after: str
) -> None:
    path = tmp_path / f"{7:016d}{before}"
    path.touch()
    assert mark(path).name == f"{7:016d}{after}"


async def test_closing_waits_for_files_in_the_making(tmp_path: Path) -> None:
    run = Run(tmp_path, MemoryStore(fails=unavailable))
    run.offer(*(f"ada/{number}" for number in range(50)))
    await run.close()
    assert len(run.heard.kept) == len(run.records()) == 50


def spooling_of(run: Run) -> Spooling:
    """As an outbox has it."""
    held, trouble = Held(OutboxSettings()), Trouble(run.heard)
    return Spooling((run.spool, run.folder), held, trouble, run.heard, OutboxCounters())


async def test_a_verdict_that_cannot_be_marked_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, MemoryStore())
    spooling = spooling_of(run)
    delivery = delivery_of("ada/0")
    delivery.path = run.folder.write(1, file_of("ada/0"), judging=True)
    await spooling.mark_judged(delivery)
    assert delivery.path.suffix == ".slice"
    monkeypatch.setattr(spools, "mark_judged", full)
    await spooling.mark_judged(delivery)
    assert [str(error).count("No space left") for _, error in run.heard.trouble] == [1]
    await run.close()


@pytest.mark.parametrize("mark", ["mark_permitted", "mark_judged"])
@pytest.mark.parametrize("renamed_first", [True, False])
async def test_one_that_has_to_go_while_it_is_marked_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str, renamed_first: bool
) -> None:
    place, permits, clock = ScriptedPlace(), Permits(), ManualClock()
    place.gate.set()
    sharing = Sharing(permits, Copies(place, clock))
    run = Run(tmp_path, MemoryStore(), clock, sharing=sharing)
    spooling, begun, go_on = spooling_of(run), threading.Event(), threading.Event()
    rename: Callable[[Path], Path] = getattr(folders, mark)

    def slow(path: Path) -> Path:
        to = rename(path) if renamed_first else None
        begun.set()
        assert go_on.wait(20)
        return to or rename(path)

    monkeypatch.setattr(spools, mark, slow)
    delivery = delivery_of("ada/0")
    delivery.number, delivery.permission = run.spool.next_number(), permits.ask("ada/0")
    await run.spool.write(run.folder, delivery, file_of("ada/0"), lambda *_: None)
    assert delivery.path is not None
    marking = asyncio.ensure_future(getattr(spooling, mark)(delivery))
    await run.until(begun.is_set)
    delivery.enter(Phase.GONE)
    run.spool.forget(delivery)
    run.spool.remove(delivery.path)
    await run.until(lambda: not delivery.path.exists())  # type: ignore[union-attr]
    go_on.set()
    await marking
    await run.until(lambda: list(run.folder.path.iterdir()) == [])
    assert (run.heard.trouble, run.spool.ready, place.asked) == ([], True, [])
    await run.close()
