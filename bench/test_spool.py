"""What the spool adds to a slice of 60 KB, by fsync policy; how long a slice takes from its last
sample to its acknowledgement by S3 on a SeaweedFS of loopback.

`the record` is the disk's part alone, in a thread; `the outbox` a slice's whole way through outbox
and store, one after the other, with the store in memory; CPU is this process's.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from slicer.clock import LoopClock
from slicer.delivery.delivery import Delivery, memory_of
from slicer.delivery.encoding import PRIORITIES, EncodingPool
from slicer.delivery.outbox import Outbox
from slicer.delivery.spool.folder import Folder, read
from slicer.delivery.spool.record import StoreUrls, describe, encode
from slicer.delivery.spool.settings import Fsync, SpoolSettings
from slicer.delivery.spool.spool import Spool
from slicer.media.slice import File, SliceInfo, make
from slicer.rtp.parameters import OPUS, Kind
from slicer.slicing.outputs import AudioCut, AudioPacket, TrackKey
from slicer.storage import Receipt, Storage, open_storage
from slicer.threads import ThreadPool
from tests.harness.clock import EPOCH
from tests.harness.delivery.recorder import Recorder
from tests.harness.storage.memory import MemoryStore
from tests.harness.storage.seaweed import WRITER, running

DATA = bytes(range(256)) * 234
URLS = StoreUrls("s3://bench")
POLICIES = [None, *Fsync]
ROUNDS = 400
SECONDS = 15


def info_of(number: int, size: int = 0) -> SliceInfo:
    track = TrackKey("task", f"anchor{number % 8}", Kind.AUDIO)
    return SliceInfo(f"{track.anchor}/{number}.ogg", track, EPOCH, SECONDS, size)


def file_of(number: int) -> File:
    return File(info_of(number, len(DATA)), DATA, "audio/ogg")


def named(policy: Fsync | None) -> str:
    return policy or "no spool"


def settings(folder: Path, policy: Fsync) -> SpoolSettings:
    return SpoolSettings(str(folder), fsync=policy, reserve_bytes=0)


@pytest.mark.benchmark(group="a record of 60 KB: write, read, remove")
@pytest.mark.parametrize("policy", Fsync)
def test_record(benchmark: BenchmarkFixture, tmp_path: Path, policy: Fsync) -> None:
    folder, file = Folder(tmp_path / "one", URLS, settings(tmp_path, policy)), file_of(0)

    def there_and_back() -> None:
        path = folder.write(1, file)
        read(path, URLS)
        path.unlink()

    benchmark(there_and_back)


@pytest.mark.benchmark(group="a record of 60 KB: its header and sums")
def test_header(benchmark: BenchmarkFixture) -> None:
    file = file_of(0)
    benchmark(lambda: encode(describe(file, URLS)))


@dataclass
class Timed(Recorder):
    """Notes when each slice was offered and stored."""

    began: dict[str, float] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)

    def on_stored(self, file: File, receipt: Receipt, destination: str) -> None:
        self.took.append(time.perf_counter() - self.began[file.info.key])


class Way:
    """A loop, an outbox on it, and slices that go through."""

    def __init__(
        self, runner: asyncio.Runner, folder: Path, policy: Fsync | None, store: Storage
    ) -> None:
        self.runner, self.heard, self.store = runner, Timed(), store
        self.workers = ThreadPool("encoding", 2, PRIORITIES)
        self.number = 0
        runner.run(self._open(folder, policy))

    async def _open(self, folder: Path, policy: Fsync | None) -> None:
        clock = LoopClock()
        self.spool = Spool.open(settings(folder, policy), clock) if policy else None
        spool = (self.spool, self.spool.folder(URLS)) if self.spool else None
        self.outbox = Outbox(self.store, EncodingPool(self.workers), clock, self.heard, spool=spool)

    def go(self, make: Callable[[int], Delivery], count: int = 1) -> None:
        self.runner.run(self._go(make, count))

    async def _go(self, make: Callable[[int], Delivery], count: int) -> None:
        for _ in range(count):
            delivery = make(self.number)
            self.number += 1
            self.heard.began[delivery.info.key] = time.perf_counter()
            assert self.outbox.offer(delivery)
        await self.outbox.emptied()

    async def _close(self) -> None:
        await self.outbox.close()
        if self.spool:
            await self.spool.close()
        await self.store.close()

    def close(self) -> None:
        self.runner.run(self._close())
        self.workers.join()


def ready(number: int) -> Delivery:
    """A slice whose file costs nothing to make."""
    file = file_of(number)
    return Delivery(info_of(number), file.info.size, lambda: file)


@pytest.fixture(params=POLICIES, ids=named)
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Way]:
    with asyncio.Runner() as runner:
        made = Way(runner, tmp_path, request.param, MemoryStore())
        yield made
        made.close()


@pytest.mark.benchmark(group="the outbox, 8 slices: CPU of this process", timer=time.process_time)
def test_outbox_cpu(benchmark: BenchmarkFixture, way: Way) -> None:
    benchmark(lambda: way.go(ready, 8))


@pytest.mark.benchmark(group="the outbox, one slice: time")
def test_outbox_time(benchmark: BenchmarkFixture, way: Way) -> None:
    benchmark(lambda: way.go(ready))


PACKETS = tuple(AudioPacket(i * 960, 960, bytes([0xF8]) + bytes(79)) for i in range(SECONDS * 50))


def audio(number: int) -> Delivery:
    """15 s of Opus at 32 kbit/s, whose file is made as ever."""
    info = info_of(number)
    cut = AudioCut(info.track, OPUS, 0, SECONDS * 48_000, PACKETS, 0.0)
    return Delivery(info, memory_of(cut), partial(make, cut, info))


@pytest.mark.benchmark(group="from the last sample to the store's word: 60 KB of audio, one by one")
@pytest.mark.parametrize("policy", POLICIES, ids=named)
def test_to_the_store(benchmark: BenchmarkFixture, tmp_path: Path, policy: Fsync | None) -> None:
    with running(tmp_path) as weed, asyncio.Runner() as runner:
        store = open_storage(weed.url(weed.make_bucket("bench")), WRITER)
        (tmp_path / "spool").mkdir()
        way = Way(runner, tmp_path / "spool", policy, store)
        way.go(audio, 8)
        way.heard.took.clear()
        benchmark.pedantic(lambda: way.go(audio), rounds=ROUNDS)  # type: ignore[no-untyped-call]
        way.close()
    took = sorted(1000 * each for each in way.heard.took)
    benchmark.extra_info["median ms"] = round(statistics.median(took), 2)
    benchmark.extra_info["p99 ms"] = round(took[len(took) * 99 // 100], 2)
