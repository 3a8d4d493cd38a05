"""Where files are made: sound first, a bound for each kind that all tasks share."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from slicer.delivery.job import Job
from slicer.delivery.makers import LANES, Makers
from slicer.media.slice import Slice
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey
from slicer.threads import ThreadPool
from tests.harness.clock import EPOCH
from tests.harness.delivery.spooling import Run, slice_of
from tests.harness.storage.memory import MemoryStore


class Desk:
    """Makers with one thread that waits for a gate, and what was made in which order."""

    def __init__(self, max_waiting: int = 100) -> None:
        self.crew = ThreadPool("maker", 1, LANES)
        self.makers = Makers(self.crew, max_waiting)
        self.gate, self.made = threading.Event(), list[str]()
        self.under_way: list[asyncio.Task[Slice]] = []

    def job(self, key: str, kind: Kind) -> Job:
        track = TrackKey(f"task of {key}", "ada", kind)

        def make() -> Slice:
            assert self.gate.wait(10)
            self.made.append(key)
            return Slice(key, b"", "image/png", track, EPOCH)

        return Job(key, track, 0, make)

    async def ask(self, key: str, kind: Kind) -> None:
        self.under_way.append(asyncio.ensure_future(self.makers.make(self.job(key, kind))))
        await asyncio.sleep(0)

    async def finish(self) -> None:
        self.gate.set()
        await asyncio.gather(*self.under_way)


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk(max_waiting=3)
    yield made
    made.gate.set()
    await asyncio.to_thread(made.crew.join)


async def test_sound_waits_behind_no_queue_of_pictures(desk: Desk) -> None:
    for number in range(20):
        await desk.ask(f"picture {number}", Kind.VIDEO)
    await desk.ask("sound 0", Kind.AUDIO)
    await desk.ask("sound 1", Kind.AUDIO)
    await desk.finish()
    # One picture at most was under way when the sound came.
    assert set(desk.made[:3]) == {"picture 0", "sound 0", "sound 1"}
    assert [one for one in desk.made if one[0] == "p"] == [f"picture {n}" for n in range(20)]
    assert [one for one in desk.made if one[0] == "s"] == ["sound 0", "sound 1"]


async def test_a_bound_for_each_kind_over_all_tasks(desk: Desk) -> None:
    for number in range(3):
        assert not desk.makers.full(Kind.VIDEO)
        await desk.ask(f"picture {number}", Kind.VIDEO)
    assert desk.makers.full(Kind.VIDEO)
    assert not desk.makers.full(Kind.AUDIO), "pictures take no place of sound"
    assert (desk.makers.waiting, desk.makers.crowded) == (3, True)
    await desk.finish()
    assert not desk.makers.full(Kind.VIDEO)
    assert (desk.makers.waiting, desk.makers.crowded) == (0, False)


async def test_what_fails_or_is_cancelled_waits_no_longer(desk: Desk) -> None:
    await desk.ask("a", Kind.VIDEO)
    await desk.ask("b", Kind.VIDEO)
    desk.under_way.pop().cancel()
    await asyncio.sleep(0)
    assert desk.makers.waiting == 1
    await desk.finish()

    def fail() -> Slice:
        raise ValueError("no keyframe")

    with pytest.raises(ValueError, match="no keyframe"):
        await desk.makers.make(Job("c", TrackKey("t", "ada", Kind.AUDIO), 0, fail))
    assert (desk.makers.waiting, desk.made) == (0, ["a"])


async def test_at_the_makers_bound_pictures_are_refused_and_sound_is_not(tmp_path: Path) -> None:
    """What is to be made at once waits for a maker; there is one bound, for all who share them."""
    run, gate = Run(tmp_path, MemoryStore(), max_waiting=2), threading.Event()

    def slow(key: str, kind: Kind) -> Job:
        def make() -> Slice:
            assert gate.wait(10)
            return slice_of(key, 1000, kind)

        return Job(key, slice_of(key, 1000, kind).track, 1000, make)

    taken = [run.outbox.offer(slow(f"ada/{number}.png", Kind.VIDEO)) for number in range(2)]
    await asyncio.sleep(0)
    taken.append(run.outbox.offer(slow("ada/2.png", Kind.VIDEO)))
    assert taken == [True, True, False]
    assert run.outbox.offer(slow("ada/0.ogg", Kind.AUDIO))
    assert run.outbox.crowded
    gate.set()
    await run.outbox.emptied()
    assert run.outbox.offer(slow("ada/3.png", Kind.VIDEO))
    await run.outbox.emptied()
    assert (run.outbox.counters.overflowed, run.outbox.counters.stored) == (1, 4)
    assert run.balanced()
    await run.close()
