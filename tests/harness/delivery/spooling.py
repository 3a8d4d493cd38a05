"""Slices with known bytes; an outbox over a spool on disk, and a store that fails as it is told."""

import asyncio
import os
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from slicer.delivery.delivery import Delivery
from slicer.delivery.encoding import MAX_WAITING, PRIORITIES, EncodingPool
from slicer.delivery.outbox import Outbox
from slicer.delivery.retry import Backoff
from slicer.delivery.spool.record import StoreUrls
from slicer.delivery.spool.spool import THREADS, Spool
from slicer.errors import SlicerError, StorageError
from slicer.media.slice import File, Info, SliceInfo
from slicer.rtp.parameters import Kind
from slicer.settings import OutboxSettings, SpoolSettings
from slicer.slicing.outputs import TrackKey
from slicer.storage import Receipt
from slicer.threads import ThreadPool
from tests.harness.clock import EPOCH, ManualClock

URL = "s3://bucket/prefix?region=here"
TYPES = {Kind.AUDIO: "audio/ogg", Kind.VIDEO: "image/png"}


def bytes_of(key: str, size: int) -> bytes:
    """The bytes a key has in every run."""
    return random.Random(key).randbytes(size)


def info_of(key: str, size: int = 1000, kind: Kind = Kind.AUDIO, task: str = "task") -> SliceInfo:
    """A slice whose anchor is the key's first part."""
    return SliceInfo(key, TrackKey(task, key.partition("/")[0], kind), EPOCH, 15.0, size)


def file_of(key: str, size: int = 1000, kind: Kind = Kind.AUDIO) -> File:
    """Its file."""
    return File(info_of(key, size, kind), bytes_of(key, size), TYPES[kind])


def delivery_of(key: str, size: int = 1000, kind: Kind = Kind.AUDIO) -> Delivery:
    """Its cut, on its way."""
    return Delivery(info_of(key, 0, kind), size, partial(file_of, key, size, kind))


@dataclass
class Bucket:
    """A store in memory. *fails*: asked before each put, what it raises, if anything."""

    fails: Callable[[str], StorageError | None] = lambda _key: None
    there: dict[str, bytes] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    tries: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None
    label: str = "memory:first"

    async def check(self) -> None: ...

    async def put(
        self, key: str, data: bytes, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> Receipt:
        self.tries.append(key)
        if self.gate is not None:
            await self.gate.wait()
        if error := self.fails(key):
            raise error
        self.there[key] = data
        self.order.append(key)
        return Receipt(key, len(data), "etag")

    async def close(self) -> None: ...


@dataclass
class Heard:
    """All that an outbox has told."""

    spooled: list[str] = field(default_factory=list)
    stored: list[tuple[str, str]] = field(default_factory=list)
    trouble: list[tuple[str, SlicerError]] = field(default_factory=list)
    lost: list[tuple[str, SlicerError]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    confirms: asyncio.Future[None] | None = None
    late: list[str] = field(default_factory=list)

    def on_late(self, info: Info) -> None:
        self.late.append(info.key)

    def on_spooled(self, file: File) -> None:
        self.spooled.append(file.info.key)

    def on_stored(
        self, file: File, receipt: Receipt, destination: str
    ) -> asyncio.Future[None] | None:
        self.stored.append((file.info.key, destination))
        return self.confirms

    def on_failed(self, info: Info, error: SlicerError, final: bool) -> None:
        (self.lost if final else self.trouble).append((info.key, error))

    def on_kept(self, info: Info) -> None:
        self.kept.append(info.key)

    def on_overflow(self, count: int) -> None: ...


class Run:
    """One life of a process: its spool (opened anew, what is there is adopted) and its outbox."""

    def __init__(
        self,
        folder: Path,
        bucket: Bucket,
        clock: ManualClock | None = None,
        spooling: SpoolSettings | None = None,
        settings: OutboxSettings | None = None,
        backup: Bucket | None = None,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self.clock, self.bucket, self.heard = clock or ManualClock(), bucket, Heard()
        self.workers = ThreadPool("encoding", 2, PRIORITIES)
        self.spool = Spool.open(spooling or spool_settings(folder), self.clock)
        self.folder = self.spool.folder(StoreUrls(URL))
        self.outbox = Outbox(
            bucket,
            EncodingPool(self.workers, max_waiting),
            self.clock,
            self.heard,
            settings=settings,
            backoff=Backoff(),
            chance=lambda: 0.0,
            spool=(self.spool, self.folder),
            backup=backup,
        )

    async def recover(self) -> int:
        found = [one for folder in (await self.spool.found()).values() for one in folder]
        self.outbox.adopt(found)
        return len(found)

    def offer(self, *keys: str, size: int = 1000, kind: Kind = Kind.AUDIO) -> None:
        for key in keys:
            assert self.outbox.offer(delivery_of(key, size, kind))

    async def until(self, fits: Callable[[], bool]) -> None:
        """Wait for threads; a story that goes wrong ends in seconds."""
        async with asyncio.timeout(20):
            while not fits():
                await asyncio.sleep(0.001)

    async def quiet(self) -> None:
        """Wait until nothing moves without the clock: no file in the making, no upload."""
        await self.until(lambda: not self.outbox.busy)
        everyone = threading.Barrier(THREADS)  # passed once no thread is busy with a disk
        await asyncio.gather(*(self.spool.threads.run(everyone.wait) for _ in range(THREADS)))

    async def advance(self, seconds: float) -> None:
        """Let time pass, with all that falls due on the way."""
        end = self.clock.now() + seconds
        while (due := [*self.clock.timers, end][0]) < end:
            self.clock.advance(max(due - self.clock.now(), 0.0))
            await self.quiet()
        self.clock.advance(end - self.clock.now())
        await self.quiet()

    async def advance_clock(self, seconds: float) -> None:
        """Let time pass although uploads are under way."""
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    async def pass_until(self, fits: Callable[[], bool], most: float = 7200.0) -> None:
        """Let time pass in steps until something holds."""
        end = self.clock.now() + most
        while not fits():
            assert self.clock.now() < end, "it never came to be"
            await self.advance(1.0)

    def records(self) -> list[Path]:
        """The slices on the disk."""
        return sorted(self.folder.path.glob("*.slice"))

    def balanced(self) -> bool:
        """Every slice is accounted for, and all memory is given back when none is held."""
        count = self.outbox.counters
        done = count.overflowed + count.stored + count.dropped + count.abandoned + count.kept
        whole = count.offered + count.adopted == done + self.outbox.held
        return whole and (self.outbox.held > 0 or self.outbox.memory == 0)

    async def close(self) -> None:
        await self.outbox.close()
        await self.spool.close()
        self.workers.join()

    def die(self) -> None:
        """What kill -9 leaves: the lock is gone, nothing is told, nothing is tidied."""
        for task in self.outbox._making | self.outbox._uploads:
            task.cancel()
        self.outbox._closed = True
        os.close(self.spool._lock)
        self.spool._lock = -1


def spool_settings(folder: Path, **changed: object) -> SpoolSettings:
    """Settings of a spool that leaves the disk to others."""
    return SpoolSettings(str(folder), reserve_bytes=0, **changed)  # type: ignore[arg-type]


def assert_whole(bucket: Bucket, keys: list[str], size: int = 1000) -> None:
    """All keys are in the store once, each with its own bytes."""
    assert sorted(bucket.order) == sorted(keys), "each is put once"
    for key in keys:
        assert bucket.there[key] == bytes_of(key, size)
