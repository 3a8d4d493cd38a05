"""What a slice costs beside its file: from the cut through outbox and store to its event.

CPU of this process, BATCH slices one after the other. The store is a folder in memory where there
is one (/dev/shm), for a disk has a share of its own; what the files alone cost is to be taken off.
"""

import asyncio
import itertools
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.test_media import SECONDS, keyframe, sound
from slicer.clock import LoopClock
from slicer.delivery.decoding import Decoding
from slicer.delivery.encoding import EncodingPool
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.spool.settings import SpoolSettings
from slicer.delivery.spool.spool import Spool
from slicer.engine.destination import Destinations, OutcomeRouter
from slicer.engine.destination_key import DestinationKey
from slicer.engine.events import EventStream
from slicer.engine.reports import TaskReports
from slicer.engine.running import RunningTask
from slicer.engine.spec import TaskSpec
from slicer.media.naming import Names
from slicer.media.slice import SliceInfo, make
from slicer.rtp.parameters import OPUS, VP8, Kind
from slicer.slicing.outputs import AudioCut, Cut, PictureCut, TrackKey
from slicer.slicing.spec import ImageFormat

ANCHORS, BATCH = 16, 32
MEMORY = Path("/dev/shm")
GROUP = f"from the cut to the event, CPU of {BATCH} slices"
KINDS = {"sound": Kind.AUDIO, "VP8 as WebP": Kind.VIDEO}


def cut_of(kind: Kind, number: int, now: float) -> Cut:
    track = TrackKey("task", f"anchor{number % ANCHORS}", kind)
    if kind is Kind.AUDIO:
        return AudioCut(track, OPUS, 10_000, 10_000 + SECONDS * 48_000, tuple(sound()), now)
    return PictureCut(track, VP8, 0, 0, (keyframe("vp8", "360p"),), now)


class Shell:
    """One task with a folder for a store, on a loop that runs while a slice is under way."""

    def __init__(self, runner: asyncio.Runner, folder: Path, spool: bool) -> None:
        self.runner, self.numbers = runner, itertools.count()
        runner.run(self._open(folder, spool))

    async def _open(self, folder: Path, spool: bool) -> None:
        self.clock, self.encoding = LoopClock(), EncodingPool.open()
        self.stream = EventStream(None)
        settings = SpoolSettings(str(folder / "spool"), reserve_bytes=0)
        self.spool = Spool.open(settings, self.clock) if spool else None
        tasks: dict[str, RunningTask] = {}
        self.reports = OutcomeRouter(
            tasks.get, TaskReports(self.clock, self.stream.tell), self.clock
        )
        self.destinations = Destinations(
            self.encoding, self.clock, OutboxSettings(), self.reports, self.spool
        )
        store = (folder / "store").as_uri()
        self.destination = await self.destinations.take(DestinationKey(store))
        self.outbox = self.destination.outbox
        spec = TaskSpec("whip://127.0.0.1:0/lobby", store, images=ImageFormat.WEBP)
        names = Names((), "task", 1, "lobby")
        self.task = RunningTask(
            "task",
            spec,
            names,
            self.outbox,
            self.clock,
            self.stream.tell,
            decoding=Decoding(self.encoding),
        )
        tasks["task"] = self.task

    def go(self, kind: Kind) -> None:
        """BATCH slices, each from its cut to its event."""
        self.runner.run(self._go(kind))

    async def _go(self, kind: Kind) -> None:
        for _ in range(BATCH):
            self.task.driver.deliver(cut_of(kind, next(self.numbers), self.clock.now()))
            await self.outbox.emptied()
            for _ in range(2 if self.spool else 1):
                await anext(self.stream)

    def close(self) -> None:
        self.runner.run(self._close())

    async def _close(self) -> None:
        assert (self.task.lost, self.task.pending) == (0, 0)
        await self.destinations.close()
        if self.spool is not None:
            await self.spool.close()
        self.encoding.threads.join()


@pytest.fixture(params=[False, True], ids=["no spool", "spool"])
def shell(request: pytest.FixtureRequest) -> Iterator[Shell]:
    where = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=where) as folder, asyncio.Runner() as runner:
        made = Shell(runner, Path(folder), request.param)
        yield made
        made.close()


@pytest.mark.benchmark(group=GROUP, timer=time.process_time)
@pytest.mark.parametrize("kind", KINDS)
def test_slice(benchmark: BenchmarkFixture, shell: Shell, kind: str) -> None:
    shell.go(KINDS[kind])
    benchmark.pedantic(shell.go, (KINDS[kind],), rounds=20)  # type: ignore[no-untyped-call]


@pytest.mark.benchmark(group=GROUP, timer=time.process_time)
@pytest.mark.parametrize("kind", KINDS)
def test_the_file_alone(benchmark: BenchmarkFixture, kind: str) -> None:
    cut = cut_of(KINDS[kind], 0, 0.0)
    info = SliceInfo("key", cut.track, datetime.now(UTC))
    benchmark(lambda: [make(cut, info, ImageFormat.WEBP) for _ in range(BATCH)])
