"""Where files are made: audio first, a bound for each kind that all tasks share."""

import asyncio
import os
import platform
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from slicer.delivery import encoding
from slicer.delivery.delivery import Delivery
from slicer.delivery.encoding import PRIORITIES, EncodingPool
from slicer.media.slice import File, SliceInfo
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey
from slicer.threads import ThreadPool
from tests.harness.clock import EPOCH
from tests.harness.delivery.spooling import Run, file_of, info_of
from tests.harness.storage.memory import MemoryStore

# Memory as one picture takes it: some blocks of megabytes, written to, and given back.
PICTURES = """
import resource
from threading import Thread
from slicer.delivery import encoding

if {keeping}:
    encoding.keep_freed_memory()

def take():
    blocks = [bytearray(b"x") * (2 << 20) for _ in range(5)]

def faults():
    take()
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range(10):
        take()
    print(resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before)

thread = Thread(target=faults)
thread.start()
thread.join()
"""


class Desk:
    """A pool with one thread that waits for a gate, and what was made in which order."""

    def __init__(self, max_waiting: int = 100) -> None:
        self.threads = ThreadPool("encoding", 1, PRIORITIES)
        self.pool = EncodingPool(self.threads, max_waiting)
        self.gate, self.made = threading.Event(), list[str]()
        self.under_way: list[asyncio.Task[File]] = []

    def _make(self, key: str, kind: Kind) -> File:
        assert self.gate.wait(20)
        self.made.append(key)
        return File(SliceInfo(key, TrackKey("task", "ada", kind), EPOCH), b"", "image/png")

    async def ask(self, key: str, kind: Kind, *holder: str) -> None:
        make = partial(self._make, key, kind)
        self.under_way.append(asyncio.ensure_future(self.pool.make(kind, make, holder)))
        await asyncio.sleep(0)

    async def finish(self) -> None:
        self.gate.set()
        await asyncio.gather(*self.under_way)


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk(max_waiting=3)
    yield made
    made.gate.set()
    await asyncio.to_thread(made.threads.join)


async def test_audio_waits_behind_no_queue_of_pictures(desk: Desk) -> None:
    for number in range(20):
        await desk.ask(f"picture {number}", Kind.VIDEO)
    await desk.ask("audio 0", Kind.AUDIO)
    await desk.ask("audio 1", Kind.AUDIO)
    await desk.finish()
    # One picture at most was under way when the audio came.
    assert set(desk.made[:3]) == {"picture 0", "audio 0", "audio 1"}
    assert [one for one in desk.made if one[0] == "p"] == [f"picture {n}" for n in range(20)]
    assert [one for one in desk.made if one[0] == "a"] == ["audio 0", "audio 1"]


async def test_a_bound_for_each_kind_over_all_tasks(desk: Desk) -> None:
    for number in range(3):
        assert not desk.pool.full(Kind.VIDEO)
        await desk.ask(f"picture {number}", Kind.VIDEO)
    assert desk.pool.full(Kind.VIDEO)
    assert not desk.pool.full(Kind.AUDIO), "pictures take no place of audio"
    assert (desk.pool.waiting, desk.pool.crowded) == (3, True)
    await desk.finish()
    assert not desk.pool.full(Kind.VIDEO)
    assert (desk.pool.waiting, desk.pool.crowded) == (0, False)


async def test_one_anchor_s_pictures_hold_up_another_s_by_one_for_each_thread(desk: Desk) -> None:
    for number in range(20):
        await desk.ask(f"mallory {number}", Kind.VIDEO, "task", "mallory")
    await desk.ask("ann 0", Kind.VIDEO, "task", "ann")
    await desk.ask("ann 1", Kind.VIDEO, "task", "ann")
    await desk.finish()
    assert desk.made[:4] == ["mallory 0", "ann 0", "mallory 1", "ann 1"]
    assert desk.made[4:] == [f"mallory {number}" for number in range(2, 20)]


async def test_one_anchor_leaves_places_for_others() -> None:
    desk = Desk(max_waiting=9)
    for number in range(8):
        assert not desk.pool.over_share(Kind.VIDEO, ("task", "mallory"))
        await desk.ask(f"mallory {number}", Kind.VIDEO, "task", "mallory")
    assert not desk.pool.full(Kind.VIDEO)
    assert desk.pool.over_share(Kind.VIDEO, ("task", "mallory"))
    assert not desk.pool.over_share(Kind.VIDEO, ("task", "ann"))
    assert not desk.pool.over_share(Kind.AUDIO, ("task", "mallory"))
    await desk.finish()
    assert not desk.pool.over_share(Kind.VIDEO, ("task", "mallory"))
    await asyncio.to_thread(desk.threads.join)


async def test_what_fails_or_is_cancelled_waits_no_longer(desk: Desk) -> None:
    await desk.ask("a", Kind.VIDEO)
    await desk.ask("b", Kind.VIDEO)
    desk.under_way.pop().cancel()
    await asyncio.sleep(0)
    assert desk.pool.waiting == 1
    await desk.finish()

    def fail() -> File:
        raise ValueError("no keyframe")

    with pytest.raises(ValueError, match="no keyframe"):
        await desk.pool.make(Kind.AUDIO, fail)
    assert (desk.pool.waiting, desk.made) == (0, ["a"])


async def test_at_the_pools_bound_pictures_are_refused_and_audio_is_not(tmp_path: Path) -> None:
    """What is to be made at once waits for a thread; there is one bound, for all who share them."""
    run, gate = Run(tmp_path, MemoryStore(), max_waiting=2), threading.Event()

    def slow(key: str, kind: Kind) -> Delivery:
        def make() -> File:
            assert gate.wait(20)
            return file_of(key, 1000, kind)

        return Delivery(info_of(key, 0, kind), 1000, make)

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


def test_as_many_as_cores_this_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert encoding.cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert encoding.cores() == len(allowed)


async def test_threads_do_the_work_and_end() -> None:
    threads = EncodingPool.open().threads
    names = [threads.run(lambda: threading.current_thread().name) for _ in range(50)]
    used = set(await asyncio.gather(*names))
    threads.join()
    assert 1 <= len(used) <= encoding.cores()
    assert all(name.startswith("encoding") for name in used)
    assert len(threads.threads) <= encoding.cores()
    assert not {*threads.threads} & {*threading.enumerate()}


def faults(keeping: bool) -> int:
    """Page faults of ten pictures in a process of its own."""
    tuned = ("MALLOC", "GLIBC")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(tuned)}
    command = [sys.executable, "-c", PICTURES.format(keeping=keeping)]
    return int(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have their own way")
def test_the_memory_of_one_picture_serves_the_next() -> None:
    assert faults(keeping=False) > 1000
    assert faults(keeping=True) < 100


def test_who_opens_the_threads_keeps_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bool] = []
    monkeypatch.setattr(encoding, "keep_freed_memory", lambda: kept.append(True))
    EncodingPool.open().threads.shut_down()
    assert kept == [True]


class Hand:
    """A clock that light files take a second of, and an hour passes at once."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def work(self) -> str:
        self.now += 1.0
        return threading.current_thread().name


async def test_light_files_are_made_at_once_for_half_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads, hand = ThreadPool("encoding", 1, PRIORITIES), Hand()
    pool, here = EncodingPool(threads), threading.current_thread().name
    monkeypatch.setattr(encoding, "monotonic", hand)

    async def made(light: bool = True) -> str:
        return await pool.make(Kind.AUDIO, hand.work, ("task", "ada"), light=light)

    assert await made() == here
    assert await made() == "encoding_0", "half of the time is for others"
    assert await made() == here
    assert await made(light=False) == "encoding_0"
    hand.now += 3600.0
    assert await made() == here
    await asyncio.to_thread(threads.join)


async def test_a_light_file_that_fails_costs_its_time_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads, hand = ThreadPool("encoding", 1, PRIORITIES), Hand()
    pool = EncodingPool(threads)
    monkeypatch.setattr(encoding, "monotonic", hand)

    def fail() -> str:
        raise ValueError(hand.work())

    with pytest.raises(ValueError, match=threading.current_thread().name):
        await pool.make(Kind.AUDIO, fail, light=True)
    assert await pool.make(Kind.AUDIO, hand.work, light=True) == "encoding_0"
    await asyncio.to_thread(threads.join)


async def test_who_watches_is_told_of_files_and_costs_none(desk: Desk) -> None:
    seen: list[str] = []

    def watch(file: File) -> None:
        seen.append(file.info.key)
        if file.info.key == "b":
            raise ValueError("a fault of the watcher")

    desk.pool.watch = watch
    for key in "abc":
        await desk.ask(key, Kind.VIDEO)
    await desk.finish()
    await desk.pool.make(Kind.AUDIO, partial(desk._make, "light", Kind.AUDIO), light=True)
    assert await desk.pool.make(Kind.AUDIO, lambda: 7) == 7
    assert seen == desk.made == ["a", "b", "c", "light"]
