"""An outbox with everything around it in memory: a store, a clock and a recorder."""

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf
from typing import TypeVar

from slicer.delivery.delivery import OBJECT_BYTES, Delivery
from slicer.delivery.encoding import PRIORITIES, EncodingPool
from slicer.delivery.outbox import Outbox
from slicer.delivery.retry import Backoff
from slicer.delivery.settings import OutboxSettings
from slicer.errors import (
    StorageRefused,
    StorageUnavailable,
)
from slicer.media.slice import File, SliceInfo
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey
from slicer.threads import ThreadPool
from tests.harness.clock import EPOCH, ManualClock, settle
from tests.harness.delivery.recorder import Recorder
from tests.harness.storage.memory import MemoryStore

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


class MemoryOutbox:
    """An outbox with everything around it."""

    def __init__(self, settings: OutboxSettings | None = None) -> None:
        self.clock, self.store, self.heard = ManualClock(), MemoryStore(), Recorder()
        self.encoding = EncodingPool(Inline())
        self.outbox = Outbox(
            self.store,
            self.encoding,
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
