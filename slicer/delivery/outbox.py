"""Takes slices from their cuts to a store: makes each file, spools it, uploads it, tries again.

One outbox a destination, so that a store that fails holds up no other. Everything here runs on
the loop's thread; files are made in threads, the spool's disk is touched in its own. What a slice
goes through is the table in `delivery.py`; here is what moves it:

    offer ▶ _make: encode, write ▶ READY ▶ _start ▶ _upload: read, put ▶ _stored ▶ confirmed
    (without a spool: WAITING ▶ _start ▶ _upload: encode, put)

Where a slice is to be judged, that stands between: its file is made at once and safe by then, if
there is a spool, and no store has it.

    _make ▶ JUDGING: judging.py ▶ _conclude: tell, confirm ▶ READY, WAITING, or gone

A slice that fails alone waits alone, and those behind it pass. Once the circuit finds that the
store itself fails, what failed goes back to its place: an outage keeps the order of every track.
"""

import itertools
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from slicer.background import Background
from slicer.clock import Clock, Timer
from slicer.delivery.circuit import Failover, Upstream
from slicer.delivery.confirmations import Confirmations
from slicer.delivery.delivery import NOT_PERMITTED, Delivery, Phase, Unless
from slicer.delivery.encoding import EncodingPool
from slicer.delivery.held import Held
from slicer.delivery.judging import Judge, Outcome
from slicer.delivery.outcome import OutboxCounters, OutboxListener, tell_made
from slicer.delivery.previews import Previews
from slicer.delivery.queue import UploadQueue
from slicer.delivery.retry import Backoff
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.slices import Store, put
from slicer.delivery.spool.folder import Folder, SpooledFile
from slicer.delivery.spool.spool import DISK_PATIENCE, Spool
from slicer.delivery.spooling import Spooling
from slicer.delivery.throttle import Throttle
from slicer.delivery.trouble import Trouble
from slicer.delivery.unmade import unmade
from slicer.errors import MediaError, SlicerError, StorageError, StorageRefused, StorageUnavailable
from slicer.media.slice import File
from slicer.storage import Receipt

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0
"""Seconds that a closing outbox waits for files to reach the disk; then for confirmations."""


class Outbox:
    """A bounded number of slices on their way to one store. It closes none of its arguments."""

    def __init__(  # noqa: PLR0913 (each is one thing that a test puts in its place)
        self,
        storage: Store,
        encoding: EncodingPool,
        clock: Clock,
        listener: OutboxListener,
        *,
        settings: OutboxSettings | None = None,
        backoff: Backoff | None = None,
        chance: Callable[[], float] = random.random,
        spool: tuple[Spool, Folder] | None = None,
        backup: Store | None = None,
    ) -> None:
        self.counters = OutboxCounters()
        self._encoding, self._clock, self._listener = encoding, clock, listener
        self._chance = chance
        self._settings, self._backoff = settings or OutboxSettings(), backoff or Backoff()
        backup_after = self._settings.backup_after
        self._failover = Failover(storage, backup, backup_after, self._backoff, chance)
        self._spool = spool[0] if spool else None
        numbers = itertools.count()
        self._number = self._spool.next_number if self._spool else partial(next, numbers)
        self._queue, self._making, self._uploads = UploadQueue(), Background(), Background()
        self._held, self._previews = Held(self._settings), Previews(encoding, clock)
        self._confirmations = Confirmations(self._spool, self._start)
        self._troubles = Trouble(listener)
        reports = (self._troubles, listener, self.counters)
        self._spooling = Spooling(spool, self._held, *reports) if spool else None
        self._overflow = Throttle(clock, listener.on_overflow)
        self._wake: Timer | None = None
        self.trouble: StorageError | None = None
        """What the first store met when it was checked; None once it has taken something."""
        self._closed = False

    @property
    def held(self) -> int:
        """Slices accepted and not yet done with."""
        return len(self._held)

    @property
    def memory(self) -> int:
        """Bytes of memory that cuts hold."""
        return self._held.memory

    @property
    def unconfirmed(self) -> int:
        """Slices stored and not confirmed yet."""
        return len(self._confirmations)

    @property
    def upstreams(self) -> list[Upstream]:
        """The store and its backup, to be looked at alone."""
        return self._failover.upstreams

    def waiting(self) -> Iterator[Delivery]:
        """What it is not done with, in the order of cutting, to be looked at alone."""
        return iter(self._held)

    def drop(self, key: str, reason: str) -> bool:
        """Give up a slice that waits; False where none of this key does: it may be in use."""
        if delivery := self._held.droppable(key):
            self._evict(delivery, reason)
        return delivery is not None

    @property
    def busy(self) -> bool:
        """Something goes on that waits for no timer: a file in the making, an upload, and so on."""
        return bool(self._making or self._uploads or self._confirmations)

    @property
    def crowded(self) -> bool:
        """Half of a bound is reached: a room that makes its own time should wait."""
        spool = self._spool is not None and self._spool.ledger.crowded
        return spool or self._held.crowded or self._encoding.crowded

    def offer(self, delivery: Delivery) -> bool:
        """Take a slice that was cut, or refuse it at once: see `takes`. Never blocks or raises."""
        if not self.takes(delivery):
            return False
        self.counters.offered += 1
        delivery.number = self._number()
        delivery.deadline = self._clock.now() + self._backoff.give_up
        self._held.add(delivery)
        self._queue.add(delivery)
        if self._is_made_at_once(delivery):
            self._making.start(self._make(delivery))
        else:
            self._make_sendable(delivery, Phase.WAITING)
            self._previews.add(delivery)
        return True

    def takes(self, delivery: Delivery) -> bool:
        """Whether there is room for this slice. Where a bound is reached, or its anchor's share of
        one, it counts as refused: `delivery.refused` says why."""
        encoding = self._encoding if self._is_made_at_once(delivery) else None
        reason = self._held.refusal(delivery, encoding)
        delivery.refused = reason or ("the outbox is closed" if self._closed else "")
        if delivery.refused:
            self.counters.offered += 1
            self.counters.overflowed += 1
            self._overflow.add()
        return not delivery.refused

    def _is_made_at_once(self, delivery: Delivery) -> bool:
        # Where a slice waits as its cut until its upload may start, it takes no thread before.
        return delivery.judge is not None or (self._spool is not None and self._spool.ready)

    def adopt(
        self, found: Sequence[SpooledFile], judge_of: Callable[[str], Judge | None]
    ) -> list[SpooledFile]:
        """Take what another process left in the spool. Gives what stays there: to be judged, of a
        task that *judge_of* does not know, or waiting for a permission that nobody here gives."""
        assert self._spool is not None
        left: list[SpooledFile] = []
        for each in found:
            judge = judge_of(each.header.info.task) if each.judging and each.header else None
            unknown = each.judging and each.header and judge is None
            if unknown or self._spool.cannot_ask(each):
                left.append(each)
            elif delivery := self._spool.adopt(each, self._evict):
                delivery.judge = judge
                self.counters.adopted += 1
                self._held.add(delivery)
                self._queue.add(delivery)
                self._listener.on_adopted(delivery.info)
                if delivery.permission is None:
                    self._go_on(delivery)
                else:
                    self._making.start(self._let_in(delivery))
        return left

    def note_trouble(self, task: str, error: StorageError) -> None:
        """A check found that the first store fails, and the task was told: it will be told of the
        recovery, and not of the same failure again."""
        self.trouble, error.store = error, self._failover.first.storage.label
        self._troubles.note(task, error)

    def hurry(self) -> None:
        """Try everything now that waits for its next try."""
        for upstream in self._failover.upstreams:
            upstream.circuit.hurry(self._clock.now())
        for delivery in self._held:
            if delivery.phase is Phase.BACKOFF:
                self._again(delivery)
        self._start()

    async def drain(self, within: float) -> list[str]:
        """Try everything now, wait until nothing is held or *within* seconds have gone; the
        keys of what is still held."""
        self.hurry()
        await self._held.emptied(self._clock, within)
        return [delivery.info.key for delivery in self._held]

    async def emptied(self) -> None:
        """Wait until nothing is held."""
        await self._held.empty.wait()

    async def close(self) -> None:
        """Stop. What is in the spool is kept there, the rest is reported as lost. May be called
        twice."""
        self._closed = True
        self._overflow.close()
        if self._wake is not None:
            self._wake.cancel()
        # In this order: a file that reaches the disk now is kept, and an upload that is cancelled
        # leaves its record, so that the next start sends it.
        await self._previews.close()
        await self._making.finish(CLOSE_SECONDS)
        await self._uploads.finish(0.0)
        for delivery in self._held:
            self._part_with(delivery)
        await self._confirmations.finish(CLOSE_SECONDS)

    def _part_with(self, delivery: Delivery) -> None:
        self._forget(delivery)
        if delivery.path is not None and self._spool is not None:
            self.counters.kept += 1
            self._spool.forget(delivery)
            self._listener.on_kept(delivery.info)
        else:
            self.counters.abandoned += 1
            about = (delivery.info.key, "not acknowledged before the end", "it is lost")
            self._listener.on_failed(delivery.info, StorageUnavailable(*about), True)

    async def _make(self, delivery: Delivery) -> None:
        """Have a slice's file made, unless it is for nobody: what becomes of it is told without."""
        with unmade(delivery, self._encoding.looked_at) as one:
            file = None if one.for_nobody() else await self._encode(delivery, one.unless())
            if file is None and not await self._is_permitted(delivery):
                return
            if file is None and one.for_nobody():  # still: it may have waited
                self._go_on(delivery)
            elif file := file or await self._encode(delivery):
                await self._keep(delivery, file)

    async def _keep(self, delivery: Delivery, file: File) -> None:
        """Put a slice's file into the spool; it waits in memory where that fails."""
        delivery.thumbnail = file.thumbnail
        written = await self._write(delivery, file)
        if not await self._is_permitted(delivery):
            return
        if not written:
            if delivery.judge is None:
                self._make_sendable(delivery, Phase.WAITING)
            else:  # its file waits in place of its cut, and is made once
                self._held.resize(delivery, file.info.size)
                delivery.make = lambda: file
                self._go_on(delivery)
            return
        # If its turn is now, it need not be read; otherwise it takes no memory until then.
        delivery.file = file
        self._go_on(delivery)
        if delivery.phase is not Phase.UPLOADING:
            delivery.file = None

    async def _is_permitted(self, delivery: Delivery) -> bool:
        """Whether it may be delivered; if not, it is lost. It may have had to go meanwhile."""
        permission = delivery.permission
        if permission is not None and not await permission.granted and not delivery.gone:
            self._evict(delivery, NOT_PERMITTED)
        if permission is not None and delivery.path is not None and not delivery.gone:
            assert self._spooling is not None
            await self._spooling.mark_permitted(delivery)
        return not delivery.gone

    async def _let_in(self, delivery: Delivery) -> None:
        """Deliver what was found in the spool, if it may be."""
        if await self._is_permitted(delivery):
            self._go_on(delivery)

    async def _write(self, delivery: Delivery, file: File) -> bool:
        """Put a slice's file into the spool; whether it is there."""
        spooling = self._spooling
        return spooling is not None and await spooling.write(delivery, file, self._evict)

    def _go_on(self, delivery: Delivery) -> None:
        """A slice's file is safe: it goes to its judge, or may be sent."""
        if delivery.judge is None:
            self._make_sendable(delivery, Phase.READY)
            return
        delivery.enter(Phase.JUDGING)
        done = lambda of: self._making.start(self._conclude(delivery, of))  # noqa: E731
        delivery.judge.judging.add(delivery, partial(self._load, delivery), done)

    async def _conclude(self, delivery: Delivery, outcome: Outcome) -> None:
        """Tell what was found, have that confirmed, and keep the slice or let it go."""
        assert delivery.judge is not None
        keep = delivery.judge.keeps(outcome)
        try:
            if confirmed := self._listener.on_judged(delivery.info, outcome, keep):
                await confirmed
        except Exception as error:  # the next start has it judged again
            logger.warning("! verdict of %s is not confirmed: %s", delivery.info.key, error)
            if delivery.phase is Phase.JUDGING and delivery.path is not None:
                self._part_with(delivery)
            elif delivery.phase is Phase.JUDGING and self._spool is not None and not keep:
                delivery.enter(Phase.MAKING)  # it was for nobody, and has no file
                if file := await self._encode(delivery):
                    await self._write(delivery, file)
                    self._part_with(delivery)
        if delivery.phase is not Phase.JUDGING:  # it had to go meanwhile
            return
        if not keep:
            self.counters.unkept += 1
            self._discard(delivery)
        elif self._spool is None or delivery.path is None:
            self._make_sendable(delivery, Phase.WAITING)
        else:
            assert self._spooling is not None
            await self._spooling.mark_judged(delivery)
            if delivery.phase is Phase.JUDGING:
                self._make_sendable(delivery, Phase.READY)

    async def _encode(self, delivery: Delivery, unless: Unless | None = None) -> File | None:
        """The file of a slice, made of its cut; None where it cannot be, and the slice is lost, or
        where *unless* says that it is for nobody, and the slice has its thumbnail."""
        try:
            kind, holder, light = delivery.kind, delivery.holder, delivery.light
            make = delivery.maker(unless)
            file = await self._encoding.make(kind, make, holder, light=light)
        except Exception as error:  # whatever a codec raises, it costs one slice alone
            unknown = MediaError(f"{type(error).__name__}: {error}")
            self._drop(delivery, error if isinstance(error, MediaError) else unknown)
            return None
        if isinstance(file, bytes):
            delivery.thumbnail = file
            return None
        if not delivery.failures:  # this try is the first: later ones make the same file anew
            tell_made(self.counters, self._listener, delivery, file, self._clock.now())
        return file

    def _make_sendable(self, delivery: Delivery, phase: Phase) -> None:
        delivery.enter(phase)
        delivery.sendable_since = self._clock.now()
        self._queue.refresh(delivery)
        circuit = self._failover.first.circuit
        if circuit.last is not None and not circuit.closed:
            # Its task may not have heard of the outage.
            self._troubles.tell(delivery.info, circuit.last)
        self._start()

    def _start(self) -> None:
        """Begin the uploads that may begin now; look again when a circuit lets the next one."""
        now = self._clock.now()
        while not self._closed and len(self._uploads) < self._settings.uploads:
            upstream = None if self._confirmations.full else self._failover.choose(now)
            delivery = self._queue.pop() if upstream else None
            if upstream is None or delivery is None:
                break
            delivery.enter(Phase.MAKING if delivery.path is None else Phase.UPLOADING)
            self._uploads.start(self._upload(delivery, upstream, upstream.circuit.start()))
        if self._wake is not None:
            self._wake.cancel()
        due = None if self._closed or not self._held else self._failover.wakes_at(now)
        self._wake = None if due is None else self._clock.call_at(due, self._start)

    async def _upload(self, delivery: Delivery, upstream: Upstream, probe: bool) -> None:
        asked = False  # until the store has taken it or said why not
        try:
            if file := await self._file(delivery):
                await self._put(delivery, file, upstream, probe)
                asked = True
        finally:
            if not asked:
                upstream.circuit.abandon(probe)
            self._queue.free(delivery)
            self._uploads.release()
            self._start()

    async def _file(self, delivery: Delivery) -> File | None:
        """What is to be uploaded: at hand, read from the spool, or made; None: nothing now."""
        if delivery.path is None:
            file = await self._encode(delivery)
            if file is None or not await self._is_permitted(delivery):
                return None
            delivery.enter(Phase.READY)
            delivery.enter(Phase.UPLOADING)
            return file
        file = await self._load(delivery)
        if file is None and delivery.phase is Phase.UPLOADING:
            self._back_off(delivery, DISK_PATIENCE)
        return file

    async def _load(self, delivery: Delivery) -> File | None:
        """The file of a slice, at hand or in the spool; None: it cannot be read now, or is lost."""
        # Taken, not lent: a second try reads it from the disk, so waiting slices hold no memory.
        file, delivery.file = delivery.file, None
        if file is not None:
            return file
        if delivery.path is None:
            assert delivery.make is not None
            return delivery.make()  # it waits in memory
        assert self._spooling is not None
        try:
            return await self._spooling.read(delivery)
        except MediaError as error:
            self._drop(delivery, error)
        except StorageUnavailable as error:
            self._troubles.tell_disk(delivery.info, error)
        return None

    async def _put(self, delivery: Delivery, file: File, upstream: Upstream, probe: bool) -> None:
        """One try."""
        try:
            receipt = await put(upstream.storage, file, checksum=self._settings.checksums)
        except StorageError as error:
            self._failed(delivery, upstream, probe, error)
        except Exception as error:  # a vendor's module must not lose a slice by a fault of ours
            fault = StorageUnavailable(file.info.key, f"{type(error).__name__}: {error}", "again")
            self._failed(delivery, upstream, probe, fault)
        else:
            self._stored(delivery, file, upstream, receipt)

    def _stored(self, delivery: Delivery, file: File, upstream: Upstream, receipt: Receipt) -> None:
        upstream.circuit.succeed()
        upstream.failed.clear()
        if upstream is self._failover.first:
            self.trouble = None
            self._troubles.recovered(upstream.storage.label)
        self.counters.stored += 1
        self.counters.stored_bytes += receipt.size
        # The slice leaves the books before its record leaves the disk: a crash in between sends it
        # again, under the same key and with the same bytes.
        confirmed = self._listener.on_stored(file, receipt, upstream.storage.label)
        self._forget(delivery)
        if self._spool is not None:
            self._spool.forget(delivery)
        self._confirmations.add(delivery, confirmed)

    def _failed(
        self, delivery: Delivery, upstream: Upstream, probe: bool, error: StorageError
    ) -> None:
        now, error.store = self._clock.now(), upstream.storage.label
        upstream.circuit.fail(error, probe, now)
        if now >= delivery.deadline:
            self._drop(delivery, error)
            return
        delivery.failures, delivery.trouble = delivery.failures + 1, error.reason
        self.counters.failures += 1
        self._troubles.tell(delivery.info, error)
        upstream.failed.append(delivery)
        refused = isinstance(error, StorageRefused)
        self._back_off(delivery, self._backoff.after(delivery.failures, self._chance(), refused))
        if not upstream.circuit.closed:
            # The store fails, not the slice: the circuit waits for all, each in its place.
            for each in upstream.failed:
                if each.phase is Phase.BACKOFF:
                    self._again(each)
            upstream.failed.clear()

    def _back_off(self, delivery: Delivery, seconds: float) -> None:
        delivery.enter(Phase.BACKOFF)
        due = self._clock.now() + seconds
        delivery.timer = self._clock.call_at(due, partial(self._again, delivery))

    def _again(self, delivery: Delivery) -> None:
        """Put a slice back into its place."""
        delivery.enter(Phase.WAITING if delivery.path is None else Phase.READY)
        delivery.sendable_since = self._clock.now()
        self._queue.add(delivery)
        self._start()

    def _evict(self, delivery: Delivery, reason: str) -> None:
        """The spool has no room for it, or has had it for too long, or somebody drops it."""
        logger.warning("! %s: %s", delivery.info.key, reason)
        self._drop(delivery, StorageUnavailable(delivery.info.key, reason, "it is lost"))

    def _drop(self, delivery: Delivery, error: SlicerError) -> None:
        self.counters.dropped += 1
        self._discard(delivery, damaged=isinstance(error, MediaError))
        self._listener.on_failed(delivery.info, error, True)

    def _discard(self, delivery: Delivery, *, damaged: bool = False) -> None:
        self._forget(delivery)
        if delivery.path is not None and self._spool is not None:
            self._spool.forget(delivery)
            self._spool.remove(delivery.path, damaged=damaged)
        self._start()  # those behind it in its track may go

    def _forget(self, delivery: Delivery) -> None:
        delivery.enter(Phase.GONE)
        self._held.remove(delivery)
        self._queue.refresh(delivery)
