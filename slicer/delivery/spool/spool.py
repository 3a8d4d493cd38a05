"""The spool: slices on the disk until a store has acknowledged them.

Theory of operation. A cut lives in memory for the milliseconds in which its file is made. Then the
file is a record in the spool, and only then it counts as cut (`SliceSpooled`): an event stays true
whatever happens to this process. The record is removed when the store has acknowledged the slice
*and* `SliceStored` is confirmed. A crash between the two sends the slice again under the same key
with the same bytes: it is in the store once, and its event is emitted at least once.

    spool/                      locked (flock on the folder) by the one process that sends from it
      3f0c…/                    one folder a destination: its URLs and key ids, hashed
        0000000000000042.slice  a record (`record.py`), named by its number: the order of cutting
        0000000000000044.judging  a record that waits for its verdict; then it is renamed, or goes
        0000000000000043.part   being written; after a crash it is torn, and is removed
        0000000000000017.damaged  a record whose bytes are wrong; kept for a human
        0000000000000045.slice.waiting  a record of which it is not known whether it may be
                                delivered (sharing.py); then it is renamed, or goes

There is no index beside the records that could disagree with them: the rename commits, the
unlink ends, the listing is the index, and each record proves itself by a CRC and a SHA-256.
Numbers go on from the highest that is there, so the order needs no clock, which might step.

Fsync. A crash or kill -9 of this process loses nothing without any: the kernel has the bytes. They
matter when the machine fails. `always` forces each record before it counts, `interval` every second
what the store has not taken by then (mostly nothing), `never` leaves it to the kernel; a record
that it left torn is found out by its sums.

Bounds. Above `max_bytes` the oldest pictures go, then the oldest audio; what is older than
`max_age` goes as well; each is a `SliceLost`. Below `reserve_bytes` of free space, or on a disk
that is full, read-only or broken, nothing more is written, and slices wait in memory as without a
spool; the tasks report both. The bounds are kept on the loop's thread, the disk is touched in
threads alone.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Self

from slicer.clock import Clock, Timer
from slicer.delivery.delivery import Delivery
from slicer.delivery.sharing import Permission, Sharing
from slicer.delivery.spool.folder import (
    DAMAGED,
    JUDGING,
    RECORD,
    WAITING,
    Folder,
    SpooledFile,
    clear,
    file_for,
    folder_name,
    free_bytes,
    listing,
    mark_judged,
    mark_permitted,
    number_of,
    numbers,
    read,
    read_record,
    set_aside,
)
from slicer.delivery.spool.ledger import Ledger
from slicer.delivery.spool.record import Header, StoreUrls
from slicer.delivery.spool.settings import Fsync, SpoolSettings
from slicer.errors import BadInput, MediaError, StorageError, StorageUnavailable, counted
from slicer.files import sync
from slicer.media.slice import File
from slicer.permissions import private_folder
from slicer.threads import ThreadPool

logger = logging.getLogger(__name__)

THREADS = 4
SYNC_SECONDS = 1.0
SWEEP_SECONDS = 60.0
DISK_PATIENCE = 5.0
"""Seconds a disk that failed is left alone."""
LEAST_FREE = 1024**2
"""Bytes above the reserve below which a disk counts as full: one large picture."""

Evict = Callable[[Delivery, str], None]
"""Called with a slice that has to go, and why."""


class Spool:
    """One locked folder. For the loop's thread, unless a method says otherwise.

    No fault of the disk leaves it but as StorageUnavailable; the disk is then left alone for
    DISK_PATIENCE.
    """

    def __init__(
        self,
        path: Path,
        lock: int,
        settings: SpoolSettings,
        clock: Clock,
        sharing: Sharing | None = None,
    ) -> None:
        self.ledger = Ledger(settings.max_bytes)
        self.failures = 0
        """Slices that could not be written, or not be read just then."""
        self.damaged = 0
        """Records that were there at the start, or read later, and are not what was written."""
        self.copies = None if sharing is None else sharing.copies
        """Where each record that may be delivered has a copy, until it is removed."""
        self._permits = None if sharing is None else sharing.permits
        self._copied: dict[int, str] = {}
        self._path, self._lock, self._settings, self._clock = path, lock, settings, clock
        self.threads = ThreadPool("spool", THREADS)
        self._last = max(
            (number for folder in folders(path) for number in numbers(folder)), default=0
        )
        self._ready_at = clock.now()
        self._evict: dict[int, Evict] = {}
        self._dirty: list[Path] = []
        self._syncing: Timer | None = None
        self._sweeping: Timer | None = None

    @classmethod
    def open(cls, settings: SpoolSettings, clock: Clock, sharing: Sharing | None = None) -> Self:
        """Make the folder and lock it; blocks. Raises BadInput where another process has it or
        others may write to it, and OSError where the disk does not do it."""
        path = Path(settings.folder)
        private_folder("spool.folder", path, group=settings.group_writes)
        descriptor = lock(path)
        try:
            return cls(path, descriptor, settings, clock, sharing)
        except OSError:
            os.close(descriptor)
            raise

    @property
    def ready(self) -> bool:
        """The disk is not being left alone."""
        return self._clock.now() >= self._ready_at

    async def load(self) -> float:
        """How full it is, from 0 to 1: of its own bound, or 1 where its disk takes nothing more."""
        free = await self.threads.run(partial(free_bytes, self._path))
        if free is None or free <= self._settings.reserve_bytes + LEAST_FREE:
            return 1.0
        return min(1.0, self.ledger.bytes / self.ledger.max_bytes)

    def next_number(self) -> int:
        """The number of the slice that was cut next."""
        self._last += 1
        return self._last

    def folder(self, urls: StoreUrls, *key_ids: str) -> Folder:
        """The folder of a destination; *key_ids* tell apart who writes there. Nothing is made
        yet."""
        return Folder(self._path / folder_name(urls, *key_ids), urls, self._settings)

    async def found(self) -> dict[Path, list[SpooledFile]]:
        """What was there at the start, by folder, in order. Raises OSError."""
        found = await self.threads.run(self._find)
        for each in chain.from_iterable(found.values()):
            self._claim(each.header)
        return found

    async def write(self, folder: Folder, delivery: Delivery, file: File, evict: Evict) -> None:
        """Put a slice's file on the disk and count it; its cut is let go. Raises
        StorageUnavailable; then it is not there.

        *evict* is called where it has to go later. Others may have to go for it now.
        """
        size = file.info.size
        try:
            for each in self.ledger.claim(size):
                self._lose(each, "the spool is full (spool.max_bytes)")
            try:
                path = await self.threads.run(self._write_of(folder, delivery, file))
            finally:
                self.ledger.release(size)
        except (OSError, ValueError) as error:
            raise self._failed(delivery, error) from None
        delivery.size, delivery.deadline = size, self._clock.now() + self._settings.max_age
        self._count(delivery, path, evict)
        self._force(path)
        granted = delivery.permission and delivery.permission.granted
        if granted and path.suffix != WAITING and granted.result():
            self._copy(delivery)

    async def take(self, folder: Folder, suffix: str, record: bytes, header: Header) -> SpooledFile:
        """Put another process's record on the disk; it is to be adopted. Raises OSError."""
        number = self.next_number()
        path = await self.threads.run(partial(folder.take, number, suffix, record))
        self._force(path)
        self._claim(header)
        written = self._clock.wall(self._clock.now()).timestamp()
        return SpooledFile(path, number, len(record), written, header)

    async def mark_permitted(self, delivery: Delivery) -> None:
        """A slice may be delivered, as is known by now. Raises StorageUnavailable; then the next
        start would ask again."""
        assert delivery.path is not None
        if delivery.path.suffix == WAITING and await self._rename(delivery, mark_permitted):
            self._copy(delivery)

    def cannot_ask(self, found: SpooledFile) -> bool:
        """Whether a record waits for a permission that nobody here gives: no worker has the spool
        just now, or what is said of its task cannot be verified."""
        permits, header = self._permits, found.header
        known = permits is not None and (header is None or permits.can_say(header.info.task))
        return found.waiting and not known

    def adopt(self, found: SpooledFile, evict: Evict) -> Delivery | None:
        """What was there at the start, on its way once more; None where it is damaged."""
        if found.header is None:
            self.damaged += 1
            logger.warning("! spool: %s is damaged, it is kept and not sent", found.path)
            if found.path.suffix != DAMAGED:
                self.remove(found.path, damaged=True)
            return None
        if found.header.copy:
            self._copied[found.number] = found.header.copy
        info, now = found.header.info, self._clock.now()
        age = self._clock.wall(now).timestamp() - found.written
        delivery = Delivery(info, info.size, number=found.number)
        if found.waiting:
            granted = asyncio.get_running_loop().create_future()
            epoch, permits = found.header.epoch, self._permits
            assert permits is not None, "it was asked whether there are any"
            granted.set_result(permits.held(info.task, epoch))
            delivery.permission = Permission(epoch, granted)
        delivery.deadline = now + self._settings.max_age - age
        self._count(delivery, found.path, evict)
        return delivery

    async def read(self, delivery: Delivery, urls: StoreUrls) -> File:
        """The file of a slice on the disk, which is for these stores; of its copy where its record
        is damaged, gone or for others. Raises StorageUnavailable where that fails just now, and
        MediaError where there is neither."""
        assert delivery.path is not None
        try:
            return await self.threads.run(partial(read, delivery.path, urls))
        except (ValueError, FileNotFoundError) as error:
            file = await self._from_copy(delivery, urls)
            self.damaged += 1
            instead = "; its copy is whole, and is sent" if file is not None else ""
            logger.warning("! spool: %s: %s%s", delivery.path, error, instead)
            if file is None:
                raise MediaError(f"spool: {error}") from None
            return file
        except OSError as error:
            raise self._failed(delivery, error) from None

    async def mark_judged(self, delivery: Delivery) -> None:
        """Have a slice be stored that waited for its verdict. Raises StorageUnavailable; then the
        next start would have it judged again."""
        await self._rename(delivery, mark_judged)

    def remove(self, path: Path, *, damaged: bool = False) -> None:
        """Have a record taken off the disk, soon, and its copy; a damaged one is set aside."""
        self.threads.post(partial(_remove, path, damaged))
        copy = self._copied.pop(number_of(path), "")
        if copy and self.copies is not None:
            self.copies.remove(copy)

    def forget(self, delivery: Delivery) -> None:
        """Count a slice no longer; its record stays, until `remove` or for the next start."""
        self._evict.pop(delivery.number, None)
        self.ledger.remove(delivery)

    async def close(self) -> None:
        """Force to the disk what the settings say, and let the folder go. May be called twice."""
        for timer in (self._syncing, self._sweeping):
            if timer is not None:
                timer.cancel()
        self._syncing = self._sweeping = None
        if self.copies is not None:
            await self.copies.close()
        if self._lock >= 0:
            dirty, self._dirty = self._dirty, []
            self.threads.run(partial(_sync_all, dirty))
            await asyncio.to_thread(self.threads.join)
            self.release()

    def release(self) -> None:
        """Unlock the folder for another process, and force nothing to the disk before."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _count(self, delivery: Delivery, path: Path, evict: Evict) -> None:
        delivery.path, delivery.make = path, None
        self._evict[delivery.number] = evict
        self.ledger.add(delivery)
        if self._sweeping is None:
            self._sweeping = self._clock.call_at(self._clock.now() + SWEEP_SECONDS, self._sweep)

    def _write_of(self, folder: Folder, delivery: Delivery, file: File) -> Callable[[], Path]:
        """What writes a slice's record, in a thread."""
        judging, permission = delivery.judge is not None, delivery.permission
        if permission is None:
            return partial(folder.write, delivery.number, file, judging)
        granted, epoch = permission.granted, permission.epoch
        waiting = not (granted.done() and granted.result())  # one that is refused never counts
        write = partial(folder.write, delivery.number, file, judging)
        return partial(write, waiting=waiting, epoch=epoch, copy=self._copy_key(delivery))

    async def _rename(self, delivery: Delivery, mark: Callable[[Path], Path]) -> bool:
        """Mark a record; whether its slice is still on its way. Raises StorageUnavailable."""
        assert delivery.path is not None
        try:
            path = await self.threads.run(partial(mark, delivery.path))
        except OSError as error:
            if delivery.gone and isinstance(error, FileNotFoundError):
                return False
            raise self._failed(delivery, error) from None
        if delivery.gone:  # it had to go meanwhile, and was removed under its old name alone
            self.remove(path)
            return False
        delivery.path = path
        return True

    def _claim(self, header: Header | None) -> None:
        """A record's slice is here: nobody takes it from its copy as well."""
        if self.copies is not None and header is not None and header.copy:
            self.copies.claim(header.copy)

    def _copy_key(self, delivery: Delivery) -> str:
        """Where a slice's copy is to be; empty where copies are not kept."""
        if self.copies is None or delivery.permission is None:
            return ""
        key = self.copies.key(delivery.info.task, delivery.permission.epoch, delivery.info.key)
        return key + (RECORD if delivery.judge is None else JUDGING)

    async def _from_copy(self, delivery: Delivery, urls: StoreUrls) -> File | None:
        """The file as its copy has it; None where there is none that is whole."""
        key = self._copied.get(delivery.number, "")
        if not key or self.copies is None:
            return None
        try:
            record = await self.copies.read(key)
            file = await self.threads.run(partial(file_for, record or b"", urls))
        except ValueError:
            return None
        except StorageError as error:
            text = f"spool: the record is damaged, and its copy: {error.reason}"
            raise StorageUnavailable(delivery.info.key, text, "it is tried again") from None
        return file if file.info.key == delivery.info.key else None

    def _copy(self, delivery: Delivery) -> None:
        """Have a slice's record copied, where copies are kept. What was found in the spool has the
        key that it was written with."""
        path, number = delivery.path, delivery.number
        key = self._copied.setdefault(number, self._copy_key(delivery))
        if key and path is not None and self.copies is not None:
            self.copies.add(key, lambda: self.threads.run(partial(read_record, path)))

    def _force(self, path: Path) -> None:
        """Have a record forced to the disk soon, if the settings say so."""
        if self._settings.fsync is Fsync.INTERVAL:
            self._dirty.append(path)
            if self._syncing is None:
                self._syncing = self._clock.call_at(self._clock.now() + SYNC_SECONDS, self._sync)

    def _failed(self, delivery: Delivery, error: OSError | ValueError) -> StorageUnavailable:
        self.failures += 1
        reason = str(error)
        if isinstance(error, OSError):  # otherwise this slice alone does not fit
            self._ready_at = self._clock.now() + DISK_PATIENCE
            reason = error.strerror or reason
        text = f"spool: {reason}"
        return StorageUnavailable(delivery.info.key, text, "slices wait in memory")

    def _find(self) -> dict[Path, list[SpooledFile]]:
        found: dict[Path, list[SpooledFile]] = {}
        for folder in folders(self._path):
            try:
                if torn := clear(folder):
                    slices = counted(torn, "half-written slice")
                    logger.warning("x %s of a crash removed", slices)
            except OSError as error:
                logger.warning("! spool: %s", error)
            if records := listing(folder):
                found[folder] = records
            else:
                with contextlib.suppress(OSError):  # a damaged record is there
                    folder.rmdir()
        return found

    def _sweep(self) -> None:
        self._sweeping = None
        now = self._clock.now()
        for delivery in self.ledger.too_old(now):
            self._lose(delivery, "no store took it in time (spool.max_age)")
        if len(self.ledger):
            self._sweeping = self._clock.call_at(now + SWEEP_SECONDS, self._sweep)

    def _lose(self, delivery: Delivery, reason: str) -> None:
        evict = self._evict.pop(delivery.number)
        self.ledger.remove(delivery)
        evict(delivery, reason)

    def _sync(self) -> None:
        dirty, self._dirty, self._syncing = self._dirty, [], None
        self.threads.run(partial(_sync_all, dirty))


def lock(folder: Path) -> int:
    """Lock a spool for this process; its descriptor. Raises BadInput where another one has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            allowed = "a folder that no other process uses"
            raise BadInput("spool.folder", str(folder), allowed) from None
        raise
    return descriptor


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a spool while a few records of it are seen to. Raises BadInput, OSError."""
    descriptor = lock(folder)
    try:
        yield
    finally:
        os.close(descriptor)


def folders(spool: Path) -> list[Path]:
    """The folders of a spool, one a destination. Raises OSError."""
    return sorted(path for path in spool.iterdir() if path.is_dir() and not path.is_symlink())


def _remove(path: Path, damaged: bool) -> None:
    try:
        if damaged:
            set_aside(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("! spool: %s stays, to be sent again at the next start: %s", path, error)


def _sync_all(paths: list[Path]) -> None:
    """Force what is still there, then the names in its folders."""
    there = [path for path in paths if path.exists()]
    try:
        for path in [*there, *{path.parent for path in there}]:
            with contextlib.suppress(FileNotFoundError):  # the store has it by now
                sync(path)
    except OSError as error:
        logger.warning("! spool: %s", error)
