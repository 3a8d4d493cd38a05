"""Between the cuts and a store: makes each file, spools it, puts it, tries again; knows no room.

One outbox a destination, so that a store that fails holds up no other. Everything here runs on
the loop's thread; files are made in threads, the spool's disk is touched in its own.

With a spool, an offered cut is made at once and written there; from then on it takes no memory.
Without one, or while its disk fails, what waits is held as its cut, and its file is made anew for
each try: a picture's keyframe is a tenth of its file.

A slice that fails alone waits alone, and those behind it pass. Once the circuit finds that the
store itself fails, what failed goes back to its place: an outage keeps the order of every track.
"""

import asyncio
import itertools
import logging
import random
from collections.abc import Callable, Coroutine, Sequence
from functools import partial

from slicer.clock import Clock, Timer
from slicer.delivery.entry import Entry
from slicer.delivery.job import Job
from slicer.delivery.makers import Makers
from slicer.delivery.outcome import OutboxCounters, OutboxListener
from slicer.delivery.overflow import Overflow
from slicer.delivery.retry import Backoff
from slicer.delivery.route import Lane, Route
from slicer.delivery.schedule import Schedule
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.spool.shelf import Found, Shelf
from slicer.delivery.spool.spool import Spool
from slicer.delivery.spool.spooler import PATIENCE, Spooler
from slicer.errors import (
    MediaError,
    SlicerError,
    StorageError,
    StorageRefused,
    StorageUnavailable,
)
from slicer.media.slice import Slice
from slicer.storage import Receipt, Storage

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0
"""Seconds that files in the making are given to reach the disk when the outbox closes."""


class Outbox:
    """A bounded number of slices on their way to one store. It owns none of what it is given."""

    def __init__(  # noqa: PLR0913 (each is one thing that a test puts in its place)
        self,
        storage: Storage,
        makers: Makers,
        clock: Clock,
        listener: OutboxListener,
        *,
        settings: OutboxSettings | None = None,
        backoff: Backoff | None = None,
        chance: Callable[[], float] = random.random,
        spool: tuple[Spool, Shelf] | None = None,
        backup: Storage | None = None,
    ) -> None:
        self.counters = OutboxCounters()
        self._makers, self._clock = makers, clock
        self._listener, self._chance = listener, chance
        self._settings = settings or OutboxSettings()
        self._backoff = backoff or Backoff()
        self._route = Route(storage, backup, self._settings.backup_after, self._backoff, chance)
        self._spooler = Spooler(*spool, clock, self._tell_trouble, self._lose) if spool else None
        numbers = itertools.count()
        self._number = self._spooler.next_number if self._spooler else partial(next, numbers)
        self._schedule = Schedule()
        self._held: dict[int, Entry] = {}
        self._memory = self._in_memory = 0
        self._making: set[asyncio.Task[None]] = set()
        self._uploads: set[asyncio.Task[None]] = set()
        self._told: set[tuple[str, type[SlicerError]]] = set()
        self._overflow = Overflow(clock, listener.on_overflow)
        self._wake: Timer | None = None
        self._empty = asyncio.Event()
        self._empty.set()
        self._closed = False

    @property
    def held(self) -> int:
        """Slices accepted and not yet done with."""
        return len(self._held)

    @property
    def memory(self) -> int:
        """Bytes of memory that cuts hold."""
        return self._memory

    @property
    def circuits_open(self) -> int:
        """Stores of this outbox that fail and are left alone."""
        return sum(not lane.circuit.closed for lane in self._route.lanes)

    @property
    def crowded(self) -> bool:
        """Half of a bound is reached: who can wait should."""
        settings = self._settings
        return (
            self._in_memory > settings.count // 2
            or self._memory > settings.memory // 2
            or (self._spooler is not None and self._spooler.crowded)
            or self._makers.crowded
        )

    def offer(self, job: Job) -> bool:
        """Take a job, or refuse it at once where a bound is reached. Never blocks or raises."""
        self.counters.offered += 1
        settings = self._settings
        full = self._in_memory >= settings.count or self._memory + job.size > settings.memory
        # Where a job waits as its cut until its upload may start, it takes no maker before.
        at_once = self._spooler is not None and self._spooler.ready
        if full or self._closed or (at_once and self._makers.full(job.track.kind)):
            self.counters.overflowed += 1
            self._overflow.add()
            return False
        deadline = self._clock.now() + self._backoff.give_up
        entry = Entry(self._number(), job.key, job.track, job.size, deadline, job)
        self._hold(entry)
        self._memory += job.size
        self._in_memory += 1
        self._schedule.add(entry)
        if at_once and self._spooler is not None:
            _spawn(self._make(entry, self._spooler), self._making)
        else:
            self._enqueue(entry)
        return True

    def adopt(self, found: Sequence[Found]) -> None:
        """Take what was found in the spool at the start."""
        assert self._spooler is not None
        for one in found:
            if entry := self._spooler.adopt(one):
                self.counters.adopted += 1
                self._hold(entry)
                self._schedule.add(entry)
                self._enqueue(entry)

    def hurry(self) -> None:
        """Try everything now that waits for its next try."""
        for lane in self._route.lanes:
            lane.circuit.hurry(self._clock.now())
        for entry in list(self._held.values()):
            if entry.timer is not None:
                self._again(entry)
        self._start()

    async def drain(self, within: float) -> list[str]:
        """Try everything now, wait until nothing is held or *within* seconds have gone; the
        keys of what is still held."""
        self.hurry()
        over = asyncio.Event()
        timer = self._clock.call_at(self._clock.now() + within, over.set)
        waits = [asyncio.ensure_future(event.wait()) for event in (self._empty, over)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            for wait in waits:
                wait.cancel()
        return [entry.key for entry in self._held.values()]

    async def emptied(self) -> None:
        """Wait until nothing is held."""
        await self._empty.wait()

    async def close(self) -> None:
        """Stop. What is in the spool is kept there, the rest is told as lost. May be called
        twice."""
        self._closed = True
        self._overflow.close()
        if self._wake is not None:
            self._wake.cancel()
        if self._making:
            await asyncio.wait(self._making, timeout=CLOSE_SECONDS)
        for task in self._making | self._uploads:
            task.cancel()
        await asyncio.gather(*self._making, *self._uploads, return_exceptions=True)
        for entry in list(self._held.values()):
            self._part_with(entry)
        if self._spooler is not None:
            await self._spooler.close()

    def _part_with(self, entry: Entry) -> None:
        self._forget(entry)
        if entry.path is not None and self._spooler is not None:
            self.counters.kept += 1
            self._spooler.leave(entry)
            self._listener.on_kept(entry)
        else:
            self.counters.abandoned += 1
            lost = StorageUnavailable(entry.key, "not acknowledged before the end", "it is lost")
            self._listener.on_failed(entry, lost, True)

    async def _make(self, entry: Entry, spooler: Spooler) -> None:
        """Make an entry's file and put it into the spool; it waits in memory where that fails."""
        made = await self._file(entry)
        if made is None:
            return
        memory = entry.size
        if await spooler.write(entry, made):
            self._memory -= memory
            self._in_memory -= 1
            self.counters.spooled += 1
            self._listener.on_spooled(made)
            entry.made = made
        self._enqueue(entry)
        if not entry.uploading:
            entry.made = None  # its turn comes later; it takes no memory until then

    def _enqueue(self, entry: Entry) -> None:
        self._schedule.make_ready(entry, self._clock.now())
        if not self._route.closed and (error := self._route.first.circuit.last):
            self._tell(entry, error)
        self._start()

    def _start(self) -> None:
        now = self._clock.now()
        while not self._closed and len(self._uploads) < self._settings.uploads:
            lane = self._route.choose(now)
            entry = self._schedule.pop() if lane else None
            if lane is None or entry is None:
                break
            entry.uploading = True
            _spawn(self._deliver(entry, lane, lane.circuit.start()), self._uploads)
        self._arm(now)

    def _arm(self, now: float) -> None:
        """Look again when a circuit lets the next upload try."""
        if self._wake is not None:
            self._wake.cancel()
        due = None if self._closed or not self._held else self._route.wakes_at(now)
        self._wake = None if due is None else self._clock.call_at(due, self._start)

    async def _deliver(self, entry: Entry, lane: Lane, probe: bool) -> None:
        try:
            if await self._put(entry, lane, probe):
                lane.circuit.abandon(probe)
        except asyncio.CancelledError:
            lane.circuit.abandon(probe)
            raise
        finally:
            entry.uploading = False
            self._schedule.free(entry.track)
            current = asyncio.current_task()
            assert current is not None
            self._uploads.discard(current)
            self._start()

    async def _put(self, entry: Entry, lane: Lane, probe: bool) -> bool:
        """One try; whether it came to no end that says anything of the store."""
        made = await self._file(entry)
        if made is None:
            return True
        try:
            receipt = await lane.storage.put(made.key, made.data, made.content_type, made.facts)
        except StorageError as error:
            self._failed(entry, lane, probe, error)
        except Exception as error:  # a vendor's module must not lose a slice by a fault of ours
            said = f"{type(error).__name__}: {error}"
            told = StorageUnavailable(entry.key, said, "it is tried again")
            self._failed(entry, lane, probe, told)
        else:
            self._stored(entry, lane, made, receipt)
        return False

    async def _file(self, entry: Entry) -> Slice | None:
        """The slice of an entry: made, or read from the spool; None where it was dropped."""
        made, entry.made = entry.made, None
        if made is not None:
            return made
        try:
            if entry.path is not None and self._spooler is not None:
                return await self._read(entry, self._spooler)
            assert entry.job is not None
            made = await self._makers.make(entry.job)
        except Exception as error:  # whatever a codec raises, it costs one slice alone
            self._drop(entry, error if isinstance(error, MediaError) else _unexpected(error))
            return None
        if not entry.failures and self._clock.now() > entry.job.due:
            self.counters.late += 1
            self._listener.on_late(entry)
        return made

    async def _read(self, entry: Entry, spooler: Spooler) -> Slice | None:
        made = await spooler.read(entry)
        if made is None:
            due = self._clock.now() + PATIENCE
            entry.timer = self._clock.call_at(due, partial(self._again, entry))
        return made

    def _stored(self, entry: Entry, lane: Lane, made: Slice, receipt: Receipt) -> None:
        lane.circuit.succeed()
        lane.failed.clear()
        if lane is self._route.first:
            self._told.clear()
        self.counters.stored += 1
        self.counters.stored_bytes += receipt.size
        told = self._listener.on_stored(made, receipt, lane.storage.label)
        self._forget(entry)
        if self._spooler is not None:
            self._spooler.release(entry, told)

    def _failed(self, entry: Entry, lane: Lane, probe: bool, error: StorageError) -> None:
        now = self._clock.now()
        lane.circuit.fail(error, probe, now)
        if now >= entry.deadline:
            self._drop(entry, error)
            return
        entry.failures += 1
        self.counters.failures += 1
        self._tell(entry, error)
        lane.failed.append(entry)
        if lane.circuit.closed:
            entry.timer = self._clock.call_at(
                now + self._wait(entry, error), partial(self._again, entry)
            )
            return
        for each in lane.failed:
            if not each.gone and (each is entry or each.timer is not None):
                self._again(each)
        lane.failed.clear()

    def _wait(self, entry: Entry, error: StorageError) -> float:
        if isinstance(error, StorageRefused):
            return self._backoff.after_refusal(self._chance())
        return self._backoff.after_failure(entry.failures, self._chance())

    def _again(self, entry: Entry) -> None:
        """Put an entry back into its place."""
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        entry.ready = self._clock.now()
        self._schedule.add(entry)
        self._start()

    def _tell(self, entry: Entry, error: StorageError) -> None:
        told = (entry.track.task, type(error))
        if told not in self._told:
            self._told.add(told)
            self._listener.on_failed(entry, error, False)

    def _tell_trouble(self, entry: Entry, error: StorageError) -> None:
        self._listener.on_failed(entry, error, False)

    def _lose(self, entry: Entry, reason: str) -> None:
        """The spool has no room for this entry any more, or has had it for too long."""
        logger.warning("! %s: %s", entry.key, reason)
        self._drop(entry, StorageUnavailable(entry.key, reason, "it is lost"))

    def _drop(self, entry: Entry, error: SlicerError) -> None:
        self.counters.dropped += 1
        self._forget(entry)
        if self._spooler is not None:
            self._spooler.release(entry, damaged=isinstance(error, MediaError))
        self._listener.on_failed(entry, error, True)

    def _hold(self, entry: Entry) -> None:
        self._held[entry.sequence] = entry
        self._empty.clear()

    def _forget(self, entry: Entry) -> None:
        entry.gone = True
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        del self._held[entry.sequence]
        if entry.job is not None:
            self._memory -= entry.size
            self._in_memory -= 1
        self._schedule.passed(entry)
        if not self._held:
            self._empty.set()


def _spawn(work: Coroutine[None, None, None], tasks: set[asyncio.Task[None]]) -> None:
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def _unexpected(error: Exception) -> MediaError:
    return MediaError(f"{type(error).__name__}: {error}")
