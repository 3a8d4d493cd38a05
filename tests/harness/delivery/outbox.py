"""An outbox with everything around it in memory: a store, a clock and ears."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import TypeVar

from slicer.delivery.delivery import OBJECT_BYTES, Delivery
from slicer.delivery.encoding import PRIORITIES, EncodingPool
from slicer.delivery.outbox import Outbox
from slicer.delivery.retry import Backoff
from slicer.errors import (
    SlicerError,
    StorageRefused,
    StorageUnavailable,
)
from slicer.media.slice import File, Info, SliceInfo
from slicer.rtp.parameters import Kind
from slicer.settings import OutboxSettings
from slicer.slicing.outputs import TrackKey
from slicer.storage import Receipt
from slicer.threads import ThreadPool
from tests.harness.clock import EPOCH, ManualClock, settle

T = TypeVar("T")
BACKOFF = Backoff(first=2.0, factor=2.0, most=16.0, refused=60.0, give_up=1000.0)


def track(key: str) -> TrackKey:
    """Each key has a track of its own, unless it says which: `anna/1`."""
    return TrackKey("task", key.partition("/")[0], Kind.VIDEO)


class Inline(ThreadPool):
    """Does the work where it is asked for."""

    def __init__(self) -> None:
        super().__init__("inline", 0, PRIORITIES)

    def run(self, work: Callable[[], T], lane: int = 0) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass
class Store:
    """A store in memory. *faults*: for a key, what each further put raises; *gates*: what a put
    of a key waits for."""

    there: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Exception]] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    down: Callable[[str], Exception] | None = None
    puts: list[str] = field(default_factory=list)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    busy: int = 0
    busiest: int = 0
    label: str = "memory:"

    async def check(self) -> None: ...

    async def put(
        self, key: str, data: bytes, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> Receipt:
        self.puts.append(key)
        self.metadata[key] = dict(metadata or {})
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            await self._put(key, data)
        finally:
            self.busy -= 1
        return Receipt(key, len(data), content_type)

    async def _put(self, key: str, data: bytes) -> None:
        if gate := self.gates.get(key):
            await gate.wait()
        if self.down:
            raise self.down(key)
        if faults := self.faults.get(key):
            raise faults.pop(0)
        self.there[key] = data

    async def close(self) -> None: ...


@dataclass
class Heard:
    """All that an outbox has told."""

    stored: list[str] = field(default_factory=list)
    failed: list[tuple[str, SlicerError, bool]] = field(default_factory=list)
    overflow: list[int] = field(default_factory=list)
    late: list[str] = field(default_factory=list)

    def on_late(self, info: Info) -> None:
        self.late.append(info.key)

    def on_stored(self, file: File, receipt: Receipt, destination: str) -> None:
        assert destination == "memory:"
        assert receipt == Receipt(file.info.key, len(file.data), file.content_type)
        self.stored.append(file.info.key)

    def on_failed(self, info: Info, error: SlicerError, final: bool) -> None:
        self.failed.append((info.key, error, final))

    def on_spooled(self, file: File) -> None:
        raise AssertionError("there is no spool")

    def on_kept(self, info: Info) -> None:
        raise AssertionError("there is no spool")

    def on_overflow(self, count: int) -> None:
        self.overflow.append(count)


class Bench:
    """An outbox with everything around it."""

    def __init__(self, settings: OutboxSettings | None = None) -> None:
        self.clock, self.store, self.heard = ManualClock(), Store(), Heard()
        self.outbox = Outbox(
            self.store,
            EncodingPool(Inline()),
            self.clock,
            self.heard,
            settings=settings,
            backoff=BACKOFF,
            chance=lambda: 0.0,
        )

    def offer(self, *keys: str) -> list[bool]:
        return [self.outbox.offer(delivery(key)) for key in keys]

    async def advance(self, seconds: float) -> None:
        end = self.clock.now() + seconds
        while (due := [*self.clock.timers, end][0]) < end:
            self.clock.advance(due - self.clock.now())
            await settle()
        self.clock.advance(end - self.clock.now())
        await settle()

    def balanced(self) -> bool:
        """Every slice is accounted for, and so is its memory."""
        count = self.outbox.counters
        done = count.overflowed + count.stored + count.dropped + count.abandoned
        nothing = self.outbox.held == 0
        return count.offered == done + self.outbox.held and nothing == (self.outbox.memory == 0)


def file_of(key: str) -> File:
    data = key.encode()
    return File(SliceInfo(key, track(key), EPOCH, size=len(data)), data, "image/png")


def delivery(
    key: str,
    make: Callable[[], File] | None = None,
    size: int = OBJECT_BYTES,
    of: TrackKey | None = None,
    due: float = inf,
) -> Delivery:
    """A cut that holds *size* bytes and becomes a file of its key's bytes."""
    info = SliceInfo(key, of or track(key), EPOCH)
    return Delivery(info, size, make or partial(file_of, key), due)


def unavailable(key: str) -> StorageUnavailable:
    return StorageUnavailable(key, "503 SlowDown", "it is tried again")


def refused(key: str) -> StorageRefused:
    return StorageRefused(key, "403 AccessDenied", "grant it")
