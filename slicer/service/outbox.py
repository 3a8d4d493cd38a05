"""Between the cuts and a store: makes each file, puts it, tries again; knows no room and no task.

One outbox a destination, so that a store that fails holds up no other. Everything here runs on
the loop's thread; files are made in an executor. What waits is held as its cut, and its file is
made anew for each try: a picture's keyframe is a tenth of its file, and the bound on bytes stays
exact however many wait.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from slicer.clock import Clock, Timer
from slicer.errors import (
    MediaError,
    SlicerError,
    StorageError,
    StorageRefused,
    StorageUnavailable,
)
from slicer.media.slice import Slice
from slicer.service.job import Job
from slicer.service.overflow import Overflow
from slicer.service.retry import Backoff
from slicer.settings import OutboxSettings
from slicer.storage import Receipt, Storage


@dataclass(slots=True)
class OutboxCounters:
    """What became of every job: offered = overflowed + stored + dropped + abandoned + held."""

    offered: int = 0
    overflowed: int = 0
    """Refused because a bound was reached, or because the outbox was closed."""
    stored: int = 0
    stored_bytes: int = 0
    dropped: int = 0
    """Given up: no file could be made, or the store failed for too long."""
    abandoned: int = 0
    """Still held when the outbox was closed."""
    failures: int = 0
    """Tries that failed and are repeated."""


class OutboxListener(Protocol):
    """Told what becomes of jobs, on the loop's thread. Must not block or raise."""

    def on_stored(self, made: Slice, receipt: Receipt) -> None: ...

    def on_failed(self, job: Job, error: SlicerError, final: bool) -> None:
        """*final*: this slice is lost. Otherwise it is tried again, and this kind of failure
        (refused, unavailable) is not told again until the store has taken something."""
        ...

    def on_overflow(self, count: int) -> None:
        """*count* jobs were refused since this was last told, a second ago or longer."""
        ...


class _Entry:
    """A job that is held."""

    __slots__ = ("deadline", "failures", "job", "size", "timer")

    def __init__(self, job: Job, size: int, deadline: float) -> None:
        self.job, self.size, self.deadline = job, size, deadline
        self.failures = 0
        self.timer: Timer | None = None


class Outbox:
    """A bounded number of jobs on their way to one store. Neither store nor executor is owned."""

    def __init__(
        self,
        storage: Storage,
        executor: Executor,
        clock: Clock,
        listener: OutboxListener,
        *,
        settings: OutboxSettings | None = None,
        backoff: Backoff | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.counters = OutboxCounters()
        self._storage, self._executor, self._clock = storage, executor, clock
        self._listener, self._chance = listener, chance
        self._settings = settings or OutboxSettings()
        self._backoff = backoff or Backoff()
        self._held: dict[int, _Entry] = {}
        self._memory = 0
        self._ready: deque[_Entry] = deque()
        self._uploads: set[asyncio.Task[None]] = set()
        self._told: set[type[StorageError]] = set()
        self._overflow = Overflow(clock, listener.on_overflow)
        self._empty = asyncio.Event()
        self._empty.set()
        self._closed = False

    @property
    def held(self) -> int:
        """Jobs accepted and not yet done with."""
        return len(self._held)

    @property
    def memory(self) -> int:
        """Bytes of memory their cuts hold."""
        return self._memory

    def offer(self, job: Job) -> bool:
        """Take a job, or refuse it at once where a bound is reached. Never blocks or raises."""
        self.counters.offered += 1
        size = job.size
        full = self.held >= self._settings.count or self._memory + size > self._settings.memory
        if full or self._closed:
            self.counters.overflowed += 1
            self._overflow.add()
            return False
        entry = _Entry(job, size, self._clock.now() + self._backoff.give_up)
        self._held[id(entry)] = entry
        self._memory += size
        self._empty.clear()
        self._ready.append(entry)
        self._start()
        return True

    async def drain(self, within: float) -> list[str]:
        """Try everything now, wait until nothing is held or *within* seconds have gone; the
        keys of what is still held."""
        for entry in list(self._held.values()):
            if entry.timer is not None:
                self._again(entry)
        over = asyncio.Event()
        timer = self._clock.call_at(self._clock.now() + within, over.set)
        waits = [asyncio.ensure_future(event.wait()) for event in (self._empty, over)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            for wait in waits:
                wait.cancel()
        return [entry.job.key for entry in self._held.values()]

    async def close(self) -> None:
        """Stop; what is still held is told as lost. May be called twice."""
        self._closed = True
        self._overflow.close()
        uploads = list(self._uploads)
        for upload in uploads:
            upload.cancel()
        await asyncio.gather(*uploads, return_exceptions=True)
        for entry in list(self._held.values()):
            self.counters.abandoned += 1
            self._forget(entry)
            lost = StorageUnavailable(
                entry.job.key, "not acknowledged before the end", "it is lost"
            )
            self._listener.on_failed(entry.job, lost, True)
        self._ready.clear()

    def _start(self) -> None:
        while self._ready and len(self._uploads) < self._settings.uploads and not self._closed:
            upload = asyncio.ensure_future(self._deliver(self._ready.popleft()))
            self._uploads.add(upload)
            upload.add_done_callback(self._ended)

    def _ended(self, upload: asyncio.Task[None]) -> None:
        self._uploads.discard(upload)
        self._start()

    async def _deliver(self, entry: _Entry) -> None:
        job = entry.job
        try:
            made = await asyncio.get_running_loop().run_in_executor(self._executor, job.make)
        except Exception as error:  # whatever a codec raises, it costs one slice alone
            self._drop(entry, error if isinstance(error, MediaError) else _unexpected(error))
            return
        try:
            receipt = await self._storage.put(job.key, made.data, made.content_type, made.facts)
        except StorageError as error:
            self._failed(entry, error)
        except Exception as error:  # a vendor's module must not lose a slice by a fault of ours
            said = f"{type(error).__name__}: {error}"
            self._failed(entry, StorageUnavailable(job.key, said, "it is tried again"))
        else:
            self._told.clear()
            self.counters.stored += 1
            self.counters.stored_bytes += receipt.size
            self._forget(entry)
            self._listener.on_stored(made, receipt)

    def _failed(self, entry: _Entry, error: StorageError) -> None:
        now = self._clock.now()
        if now >= entry.deadline:
            self._drop(entry, error)
            return
        entry.failures += 1
        self.counters.failures += 1
        if isinstance(error, StorageRefused):
            wait = self._backoff.after_refusal(self._chance())
        else:
            wait = self._backoff.after_failure(entry.failures, self._chance())
        entry.timer = self._clock.call_at(now + wait, partial(self._again, entry))
        if type(error) not in self._told:
            self._told.add(type(error))
            self._listener.on_failed(entry.job, error, False)

    def _again(self, entry: _Entry) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        self._ready.append(entry)
        self._start()

    def _drop(self, entry: _Entry, error: SlicerError) -> None:
        self.counters.dropped += 1
        self._forget(entry)
        self._listener.on_failed(entry.job, error, True)

    def _forget(self, entry: _Entry) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
        del self._held[id(entry)]
        self._memory -= entry.size
        if not self._held:
            self._empty.set()


def _unexpected(error: Exception) -> MediaError:
    return MediaError(f"{type(error).__name__}: {error}")
