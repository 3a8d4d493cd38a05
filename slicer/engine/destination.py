"""The stores of an engine: one connection and one outbox each, shared by the tasks that use it."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path, PurePath

from slicer.background import Background
from slicer.clock import Clock
from slicer.delivery.encoding import EncodingPool
from slicer.delivery.judging import Judge, Outcome
from slicer.delivery.outbox import Outbox
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.slices import SLICES, SliceStore, SliceStreams, Store
from slicer.delivery.spool.folder import WHOLE, SpooledFile
from slicer.delivery.spool.record import decode
from slicer.delivery.spool.spool import Spool
from slicer.delivery.throttle import Throttle
from slicer.engine.destination_key import DestinationKey, Lookup, key_of, with_keys
from slicer.engine.reports import TaskReports
from slicer.engine.running import LATE, RunningTask
from slicer.errors import BadInput, SlicerError, StorageError, StorageUnavailable, counted
from slicer.media.slice import File, Info, SliceInfo
from slicer.storage import Credentials, Receipt, open_storage

logger = logging.getLogger(__name__)

TAKEN_AT_ONCE = 32
"""Records that are taken over before they go to their outboxes: until then the spool's bound does
not count them."""


class OutcomeRouter:
    """Passes on what becomes of a slice: to its task, or to *reports* where that does not run."""

    def __init__(
        self, find: Callable[[str], RunningTask | None], reports: TaskReports, clock: Clock
    ) -> None:
        self._find, self._reports = find, reports
        self._late = Throttle(clock, _log_late)
        self._lost = Throttle(clock, _log_lost)
        self._adopted: defaultdict[str, set[str]] = defaultdict(set)
        self._settled: dict[str, asyncio.Future[bool]] = {}

    def take_adopted(self, task: str) -> set[str]:
        """The keys of slices of an earlier process, for a task that runs from now on."""
        return self._adopted.pop(task, set())

    def put_back(self, task: str, keys: Iterable[str]) -> None:
        """The task does not run after all."""
        for key in keys:
            self._adopted[task].add(key)

    async def settled(self, task: str) -> bool:
        """Wait until every slice that an earlier process left of a task is stored or lost, and its
        event confirmed. False where the engine closes before: the next one goes on."""
        if task not in self._adopted:
            return True
        future = self._settled.get(task)
        if future is None:
            future = self._settled[task] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(future)

    def close(self) -> None:
        """Log what was not yet logged."""
        for future in self._settled.values():
            future.set_result(False)
        self._settled.clear()
        self._late.close()
        self._lost.close()

    def on_adopted(self, info: Info) -> None:
        """Have the task end after a slice of an earlier process, also where it runs only later."""
        if task := self._find(info.task):
            task.adopt(info.key)
        else:
            self._adopted[info.task].add(info.key)

    def on_made(self, info: Info) -> None:
        """Tell the task of a slice."""
        task = self._find(info.task)
        if task is not None and isinstance(info, SliceInfo):
            task.on_made(info)

    def on_late(self, info: Info) -> None:
        """Count it for the task, and for the log."""
        self._late.add()
        if task := self._find(info.task):
            task.on_late()

    def on_spooled(self, file: File) -> None:
        """Tell the task of a slice; nobody waits to hear of a manifest."""
        task = self._find(file.info.task)
        if task is not None and isinstance(file.info, SliceInfo):
            task.on_spooled(file.info)

    def on_stored(self, file: File, receipt: Receipt, destination: str) -> Awaitable[None] | None:
        """Tell the task."""
        task, confirmed = self._find(file.info.task), None
        if isinstance(file.info, SliceInfo):
            who = task or self._reports
            confirmed = who.on_stored(file.info, file.data, receipt, destination)
        elif task is not None:
            task.on_manifest_settled(file.info.key)
        if confirmed is not None and file.info.task in self._adopted:
            return self._settle_confirmed(file.info, confirmed)
        self._settle_adopted(file.info)
        return confirmed

    def on_judged(self, info: Info, outcome: Outcome, keep: bool) -> Awaitable[None] | None:
        """Tell the task."""
        assert isinstance(info, SliceInfo), "nobody judges a manifest"
        confirmed = (self._find(info.task) or self._reports).on_judged(info, outcome, keep)
        if keep or info.task not in self._adopted:
            return confirmed
        if confirmed is not None:
            return self._settle_confirmed(info, confirmed)
        self._settle_adopted(info)
        return None

    def on_failed(self, info: Info, error: SlicerError, final: bool) -> None:
        """Tell the task."""
        task = self._find(info.task)
        if not final:
            self.on_trouble(info.task, error)
            return
        if isinstance(info, SliceInfo):
            self._lost.add()
            (task or self._reports).on_lost(info, str(error))
        elif task is not None:
            task.on_manifest_lost(info.key, str(error))
        self._settle_adopted(info)

    def on_kept(self, info: Info) -> None:
        """Tell the task."""
        if (future := self._settled.pop(info.task, None)) is not None:
            future.set_result(False)
        self._settle_adopted(info)
        if task := self._find(info.task):
            if isinstance(info, SliceInfo):
                task.on_kept(info)
            else:
                task.on_manifest_settled(info.key)

    def on_trouble(self, task: str, error: SlicerError) -> None:
        """Tell a task of what is tried again."""
        running = self._find(task)
        self._reports.on_trouble(task, error, running.spec.app if running else 0)

    def on_recovered(self, task: str, destination: str) -> None:
        """Tell a task that its store works again."""
        running = self._find(task)
        self._reports.on_recovered(task, destination, running.spec.app if running else 0)

    def on_overflow(self, count: int) -> None:
        """Log it; the task that offered a refused slice tells of each."""
        logger.warning("! %s lost: an outbox is full", counted(count, "slice"))

    async def _settle_confirmed(self, info: Info, confirmed: Awaitable[None]) -> None:
        try:
            await confirmed
        finally:
            self._settle_adopted(info)

    def _settle_adopted(self, info: Info) -> None:
        keys = self._adopted.get(info.task)
        if keys is None:
            return
        keys.discard(info.key)
        if not keys:
            del self._adopted[info.task]
            if (future := self._settled.pop(info.task, None)) is not None:
                future.set_result(True)


def _log_lost(count: int) -> None:
    text = "! %s lost after being taken: SliceLost says why"
    logger.warning(text, counted(count, "slice"))


def _log_late(count: int) -> None:
    text = "! %s late: ready more than %g s after being taken"
    logger.warning(text, counted(count, "picture"), LATE)


@dataclass(eq=False, slots=True)
class Destination:
    """A store that is open, its outbox, and how many tasks use it."""

    storage: Store
    outbox: Outbox
    key: DestinationKey
    backup: Store | None = None
    users: int = 0

    async def close(self) -> None:
        """What is in the spool is kept; what is in memory is reported as lost."""
        await self.outbox.close()
        await _close((self.storage, self.backup))


@dataclass(slots=True)
class Destinations:
    """Opens each store once for all who use it, and closes it after the last of them."""

    encoding: EncodingPool
    clock: Clock
    settings: OutboxSettings
    reports: OutcomeRouter
    spool: Spool | None = None
    judge_of: Callable[[str], Judge | None] = field(default=lambda _task: None)
    """Who judges the slices of a task (by its id) that an earlier process left; None: not known
    any more."""
    slices: SliceStreams | None = None
    """The readers of `slices:`; None: nobody reads here, and those in the spool stay there."""
    closed: Counter[str] = field(default_factory=Counter)
    """What the outboxes of closed destinations counted."""
    ending: list[Destination] = field(default_factory=list)
    """Those that are being closed, and still count."""
    _open: dict[DestinationKey, Destination] = field(default_factory=dict)
    _stuck: dict[Path, list[SpooledFile]] = field(default_factory=dict)
    _closing: Background = field(default_factory=Background)

    async def take(self, key: DestinationKey, check: bool = True) -> Destination:
        """The destination, checked where it is new (or not). Raises BadInput and StorageError.

        With a spool, a store that cannot be reached just now is taken all the same.
        """
        destination = self._open.get(key)
        if destination is None:
            storages = await self._opened(key)
            trouble = await self._checked(storages) if check else None
            # Somebody else may have opened it meanwhile.
            destination = self._open.get(key)
            if destination is None:
                destination = self._make(key, *storages)
                destination.outbox.trouble = trouble
            else:
                await _close(storages)
        destination.users += 1
        return destination

    async def give_back(self, destination: Destination) -> None:
        """One user less; after the last one it is closed, once its outbox is empty."""
        destination.users -= 1
        if destination.users == 0 and destination.outbox.held == 0:
            await self._let_go(destination)

    async def recover(self, lookup: Lookup) -> None:
        """Send what the spool held at the start. What cannot be opened stays there, and is told.
        Raises OSError where the spool cannot be read."""
        if self.spool is not None:
            self._stuck.update(await self.spool.found())
            self.resend(lookup)

    def resend(self, lookup: Lookup) -> None:
        """Try again to open the stores of what is still in the spool from an earlier process."""
        for folder, found in list(self._stuck.items()):
            self._send(folder, found, lookup)
        if self.spool is not None:
            self.spool.ledger.sort()

    async def take_over(self, records: AsyncIterable[tuple[str, bytes]], lookup: Lookup) -> int:
        """Deliver what another process has cut: records of its spool, each with its key in the
        copies. Gives how many are on their way. Raises OSError where the spool cannot take them,
        and what *records* raises; those before are on their way all the same."""
        if self.spool is None:
            return 0
        here, folders, count = self._keys_here(), set[Path](), 0
        try:
            async for key, record in records:
                found = await self._take(self.spool, key, record, here, lookup)
                if found is None:
                    continue
                self._stuck.setdefault(found.path.parent, []).append(found)
                folders.add(found.path.parent)
                count += 1
                if count % TAKEN_AT_ONCE == 0:
                    self._send_taken(folders, lookup)
        finally:
            self._send_taken(folders, lookup)
        return count

    async def _take(
        self, spool: Spool, key: str, record: bytes, here: set[str], lookup: Lookup
    ) -> SpooledFile | None:
        """Put one record into the spool, and its slice's key into *here*; None where it is there
        already, or is no record for us. Raises OSError."""
        try:
            header, _ = await spool.threads.run(partial(decode, record))
            suffix = _copy_suffix(key, header.info.task)
            destination = with_keys(header.urls, header.info.task, lookup)
        except (ValueError, BadInput) as error:
            logger.warning("! copies: %s is left there: %s", key, error)
            return None
        if header.info.key in here:
            return None
        folder = spool.folder(destination.urls, *destination.key_ids)
        found = await spool.take(folder, suffix, record, header)
        here.add(header.info.key)
        return found

    def _send_taken(self, folders: set[Path], lookup: Lookup) -> None:
        """Send what was taken over; somebody who opened its store meanwhile may have done so."""
        while folders:
            folder = folders.pop()
            if folder in self._stuck:
                self._send(folder, self._stuck[folder], lookup)

    def _keys_here(self) -> set[str]:
        """The slices that are on their way here, or wait in the spool for their store to open."""
        outboxes = (destination.outbox for destination in self.all())
        keys = {one.info.key for outbox in outboxes for one in outbox.waiting()}
        stuck = (each.header for found in self._stuck.values() for each in found)
        return keys | {header.info.key for header in stuck if header is not None}

    def all(self) -> list[Destination]:
        """Those open now."""
        return list(self._open.values())

    async def close(self) -> None:
        """Close all."""
        self._closing.cancel()
        for destination in self.all():
            await self._let_go(destination)

    def _send(self, folder: Path, found: list[SpooledFile], lookup: Lookup) -> None:
        headers = [each.header for each in found if each.header is not None]
        if not headers:
            logger.warning("! spool: %s holds damaged records alone", folder)
            return
        try:
            key = key_of(folder.name, headers, lookup)
            destination = self._open.get(key)
            if destination is None:
                storage = self._store(key.to, key.credentials)
                backup = key.backup and self._store(key.backup, key.backup_credentials)
                destination = self._make(key, storage, backup or None)
        except SlicerError as error:
            logger.warning("! spool: %s left: %s", counted(len(found), "slice"), error)
            for task in sorted({header.info.task for header in headers}):
                self.reports.on_trouble(task, error)
            return
        if folder in self._stuck:  # another folder, where the keys have changed since
            self._adopt(destination.outbox, folder)
        self._closing.start(self._close_when_empty(destination))

    def _adopt(self, outbox: Outbox, folder: Path) -> None:
        found = self._stuck.pop(folder)
        if left := outbox.adopt(found, self.judge_of):
            self._stuck[folder] = left
            text = "! spool: %s left: who judges, or whether they may be delivered, is not known"
            logger.warning(text, counted(len(left), "slice"))

    async def _close_when_empty(self, destination: Destination) -> None:
        await destination.outbox.emptied()
        if destination.users == 0:
            await self._let_go(destination)

    async def _let_go(self, destination: Destination) -> None:
        if self._open.get(destination.key) is not destination:
            return  # somebody else is closing it, or has
        del self._open[destination.key]
        self.ending.append(destination)
        await destination.close()
        self.ending.remove(destination)
        self.closed.update(asdict(destination.outbox.counters))

    def _store(self, url: str, credentials: Credentials | None) -> Store:
        """Open a store; no I/O. Raises BadInput."""
        if not url.startswith(SLICES):
            return open_storage(url, credentials)
        if self.slices is None:
            allowed = "a program that reads slices: docs/embedding.md; they wait for one"
            raise BadInput("storage", url, allowed)
        return SliceStore(self.slices)

    async def _opened(self, key: DestinationKey) -> tuple[Store, Store | None]:
        storage = self._store(key.to, key.credentials)
        storages: tuple[Store, Store | None] = (storage, None)
        try:
            if key.backup:
                storages = storage, self._store(key.backup, key.backup_credentials)
        except BaseException:
            await _close(storages)
            raise
        return storages

    async def _checked(self, storages: tuple[Store, Store | None]) -> StorageError | None:
        """What the first store met, where slices can wait in the spool meanwhile."""
        storage, backup = storages
        try:
            trouble = await self._check(storage)
            if backup is not None:
                await self._check(backup)
        except BaseException:
            await _close(storages)
            raise
        return trouble

    async def _check(self, storage: Store) -> StorageError | None:
        try:
            await storage.check()
        except StorageUnavailable as error:
            if self.spool is None:
                raise
            logger.warning("! %s: %s; slices wait in the spool", storage.label, error)
            error.store = storage.label
            return error
        return None

    def _make(self, key: DestinationKey, storage: Store, backup: Store | None) -> Destination:
        folder = self.spool.folder(key.urls, *key.key_ids) if self.spool else None
        outbox = Outbox(
            storage,
            self.encoding,
            self.clock,
            self.reports,
            settings=self.settings,
            spool=(self.spool, folder) if self.spool and folder else None,
            backup=backup,
        )
        destination = Destination(storage, outbox, key, backup)
        self._open[key] = destination
        if folder is not None and folder.path in self._stuck:
            self._adopt(outbox, folder.path)
        return destination


def _copy_suffix(key: str, task: str) -> str:
    """What the record of a copy ends with. Raises ValueError where it is no copy of this task."""
    suffix = PurePath(key).suffix
    if suffix not in WHOLE or key.partition("/")[0] != task:
        raise ValueError("it is no copy of this task")
    return suffix


async def _close(storages: tuple[Store, Store | None]) -> None:
    for storage in storages:
        try:
            if storage is not None:
                await storage.close()
        except Exception:  # one of another package must not keep the rest open
            logger.exception("! a store could not be closed")
