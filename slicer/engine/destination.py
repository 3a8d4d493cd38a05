"""The stores of an engine: one connection and one outbox each, shared by the tasks that use it."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from slicer.clock import Clock
from slicer.delivery.entry import Entry
from slicer.delivery.makers import Makers
from slicer.delivery.outbox import Outbox
from slicer.delivery.overflow import Overflow
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.spool.record import Address
from slicer.delivery.spool.shelf import Found
from slicer.delivery.spool.spool import Spool
from slicer.engine.orphans import Orphans
from slicer.engine.running import LATE, RunningTask
from slicer.errors import BadInput, SlicerError, StorageUnavailable
from slicer.media.slice import Slice
from slicer.storage import Credentials, Receipt, Storage, open_storage

logger = logging.getLogger(__name__)


class Reports:
    """Who is told what becomes of a slice: its task, or *orphans* for a task of an earlier run."""

    def __init__(
        self, find: Callable[[str], RunningTask | None], orphans: Orphans, clock: Clock
    ) -> None:
        self._find, self._orphans = find, orphans
        self._late = Overflow(clock, _say_late)

    def close(self) -> None:
        """Log what was not yet logged."""
        self._late.close()

    def on_late(self, entry: Entry) -> None:
        """Count it for the task, and for the log."""
        self._late.add()
        if task := self._find(entry.track.task):
            task.on_late()

    def on_spooled(self, made: Slice) -> None:
        """Tell the task."""
        if task := self._find(made.track.task):
            task.on_spooled(made)

    def on_stored(self, made: Slice, receipt: Receipt, destination: str) -> Awaitable[None] | None:
        """Tell the task."""
        task = self._find(made.track.task)
        return (task or self._orphans).on_stored(made, receipt, destination)

    def on_failed(self, entry: Entry, error: SlicerError, final: bool) -> None:
        """Tell the task."""
        task = self._find(entry.track.task)
        if final:
            (task or self._orphans).on_lost(entry.track, entry.key, str(error))
        elif task is not None:
            task.on_trouble(error)
        else:
            self._orphans.on_trouble(entry.track.task, error)

    def on_kept(self, entry: Entry) -> None:
        """Tell the task."""
        if task := self._find(entry.track.task):
            task.on_kept(entry.track, entry.key)

    def on_trouble(self, task: str, error: SlicerError) -> None:
        """Tell a task that has no slice at hand."""
        self._orphans.on_trouble(task, error)

    def on_overflow(self, count: int) -> None:
        """Each refused slice was told by the task that offered it."""


def _say_late(count: int) -> None:
    logger.warning("! %d pictures late: ready more than %g s after they were taken", count, LATE)


@dataclass(frozen=True, slots=True)
class Place:
    """What makes a destination one: a store, its backup, and the keys to both."""

    to: str
    credentials: Credentials | None = None
    backup: str = ""
    backup_credentials: Credentials | None = None

    @property
    def address(self) -> Address:
        """The same as the spool may know it."""
        keys = (self.credentials is not None, self.backup_credentials is not None)
        return Address(self.to, self.backup, *keys)

    @property
    def key_ids(self) -> tuple[str, str]:
        """Whose keys they are; no secret."""
        both = (self.credentials, self.backup_credentials)
        first, second = (keys.access_key if keys else "" for keys in both)
        return first, second


Lookup = Callable[[str, str], Credentials | None]
"""Finds the keys for a URL that a task (by its id) was given; None: not known any more."""


@dataclass(eq=False, slots=True)
class Destination:
    """A store that is open, its outbox, and how many tasks use it."""

    storage: Storage
    outbox: Outbox
    backup: Storage | None = None
    users: int = 0

    async def close(self) -> None:
        """What is in the spool is kept, what is in memory is lost and told so."""
        await self.outbox.close()
        await self.storage.close()
        if self.backup is not None:
            await self.backup.close()


@dataclass(slots=True)
class Destinations:
    """Opens each store once for all who use it, and closes it after the last of them."""

    makers: Makers
    clock: Clock
    settings: OutboxSettings
    reports: Reports
    spool: Spool | None = None
    closed: Counter[str] = field(default_factory=Counter)
    """What the outboxes of closed destinations counted."""
    ending: list[Destination] = field(default_factory=list)
    """Those that are being closed, and still count."""
    _open: dict[Place, Destination] = field(default_factory=dict)
    _stuck: dict[Path, list[Found]] = field(default_factory=dict)
    _closing: set[asyncio.Task[None]] = field(default_factory=set)

    async def take(self, place: Place, check: bool = True) -> Destination:
        """The destination, checked where it is new (or not). Raises BadInput and StorageError.

        With a spool, a store that cannot be reached just now is taken all the same.
        """
        found = self._open.get(place)
        if found is None:
            storages = await self._opened(place, check)
            # Somebody else may have opened it meanwhile.
            found = self._open.get(place)
            if found is None:
                found = self._make(place, *storages)
            else:
                await _close(storages)
        found.users += 1
        return found

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

    def all(self) -> list[Destination]:
        """Those open now."""
        return list(self._open.values())

    async def close(self) -> None:
        """Close all."""
        for task in self._closing:
            task.cancel()
        for destination in self.all():
            await self._let_go(destination)

    def _send(self, folder: Path, found: list[Found], lookup: Lookup) -> None:
        records = [one.record for one in found if one.record is not None]
        if not records:
            logger.warning("! spool: %s holds damaged records alone", folder)
            return
        address, task = records[-1].address, records[-1].track.task
        try:
            place = _place(address, task, lookup)
            destination = self._open.get(place)
            if destination is None:
                storage = open_storage(place.to, place.credentials)
                backup = place.backup and open_storage(place.backup, place.backup_credentials)
                destination = self._make(place, storage, backup or None)
        except SlicerError as error:
            logger.warning("! spool: %d slices stay: %s", len(found), error)
            for each in sorted({record.track.task for record in records}):
                self.reports.on_trouble(each, error)
            return
        if folder in self._stuck:  # another folder, where the keys have changed since
            destination.outbox.adopt(self._stuck.pop(folder))
        closing = asyncio.ensure_future(self._close_when_empty(destination))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _close_when_empty(self, destination: Destination) -> None:
        await destination.outbox.emptied()
        if destination.users == 0:
            await self._let_go(destination)

    async def _let_go(self, destination: Destination) -> None:
        for place, held in list(self._open.items()):
            if held is destination:
                del self._open[place]
                self.ending.append(destination)
                await destination.close()
                self.ending.remove(destination)
                self.closed.update(asdict(destination.outbox.counters))

    async def _opened(self, place: Place, check: bool) -> tuple[Storage, Storage | None]:
        storage = open_storage(place.to, place.credentials)
        storages: tuple[Storage, Storage | None] = (storage, None)
        try:
            if place.backup:
                storages = storage, open_storage(place.backup, place.backup_credentials)
            for each in storages if check else ():
                await self._check(each)
        except BaseException:
            await _close(storages)
            raise
        return storages

    async def _check(self, storage: Storage | None) -> None:
        try:
            if storage is not None:
                await storage.check()
        except StorageUnavailable as error:
            if self.spool is None:
                raise
            logger.warning("! %s: %s; slices wait in the spool", storage and storage.label, error)

    def _make(self, place: Place, storage: Storage, backup: Storage | None) -> Destination:
        shelf = self.spool.shelf(place.address, *place.key_ids) if self.spool else None
        outbox = Outbox(
            storage,
            self.makers,
            self.clock,
            self.reports,
            settings=self.settings,
            spool=(self.spool, shelf) if self.spool and shelf else None,
            backup=backup,
        )
        destination = Destination(storage, outbox, backup)
        self._open[place] = destination
        if shelf is not None and shelf.folder in self._stuck:
            outbox.adopt(self._stuck.pop(shelf.folder))
        return destination


def _place(address: Address, task: str, lookup: Lookup) -> Place:
    """An address with its keys. Raises BadInput where they are not known."""
    keys = _keys(address.to, task, lookup) if address.keys else None
    backup_keys = _keys(address.backup, task, lookup) if address.backup_keys else None
    return Place(address.to, keys, address.backup, backup_keys)


def _keys(url: str, task: str, lookup: Lookup) -> Credentials:
    keys = lookup(url, task)
    if keys is None:
        raise BadInput("spool", url, "a store whose keys are known; the slices wait")
    return keys


async def _close(storages: tuple[Storage, Storage | None]) -> None:
    for storage in storages:
        if storage is not None:
            await storage.close()
