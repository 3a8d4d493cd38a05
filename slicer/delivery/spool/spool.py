"""The spool: slices on the disk until a store has acknowledged them. Knows no store and no task.

Theory of operation. A cut lives in memory for the milliseconds in which its file is made. Then the
file is a record in the spool, and only then it counts as cut (`SliceSpooled`): what is told of a
slice stays true whatever happens to this process. The record is removed when the store has
acknowledged the slice *and* that was told; a crash between the two sends it again under the same
key with the same bytes, so it is in the store once and told at least once.

    spool/                      locked (flock on the folder) by the one process that sends from it
      3f0c…/                    one folder an address: a store with its key id, both hashed
        0000000000000042.slice  a record (`record.py`), named by its number: the order of cutting
        0000000000000043.part   being written; after a crash it is torn, was never told, is removed
        0000000000000017.damaged  a record whose bytes are wrong; kept for a human

There is no journal beside the records that could disagree with them: the rename commits, the
unlink ends, the listing is the journal, and each record proves itself by a CRC and a SHA-256.
Numbers go on from the highest that is there, so the order needs no clock, which might step.

Fsync. A crash or kill -9 of this process loses nothing without any: the kernel has the bytes. They
matter when the machine fails. `always` forces each record before it counts, `interval` every second
what the store has not taken by then (mostly nothing), `never` leaves it to the kernel; a record
that it left torn is found out by its sums.

Bounds. Above `max_bytes` the oldest pictures go, then the oldest sound; what is older than
`max_age` goes as well; each is told as lost. Below `reserve_bytes` of free space, or on a disk that
is full, read-only or broken, nothing more is written, and slices wait in memory as without a spool;
both are told. The bounds are kept on the loop's thread, the disk is touched in threads alone.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Self, TypeVar

from slicer.clock import Clock, Timer
from slicer.delivery.entry import Entry
from slicer.delivery.spool.ledger import Ledger
from slicer.delivery.spool.record import Address
from slicer.delivery.spool.settings import Fsync, SpoolSettings
from slicer.delivery.spool.shelf import Found, Shelf, clear, listing, numbers, read, set_aside, sync
from slicer.errors import BadInput
from slicer.media.slice import Slice
from slicer.threads import ThreadPool

logger = logging.getLogger(__name__)
T = TypeVar("T")

THREADS = 4
SYNC_SECONDS = 1.0
SWEEP_SECONDS = 60.0

Lose = Callable[[Entry, str], None]
"""Called with an entry that has to go, and why."""


class Spool:
    """One locked folder. For the loop's thread, but where said otherwise."""

    def __init__(self, folder: Path, lock: int, settings: SpoolSettings, clock: Clock) -> None:
        self.ledger = Ledger(settings.max_bytes)
        self._folder, self._lock, self._settings, self._clock = folder, lock, settings, clock
        self._threads = ThreadPool("spool", THREADS)
        self._last = max(
            (number for shelf in shelves(folder) for number in numbers(shelf)), default=0
        )
        self._owners: dict[int, Lose] = {}
        self._dirty: list[Path] = []
        self._syncing: Timer | None = None
        self._sweeping: Timer | None = None

    @classmethod
    def open(cls, settings: SpoolSettings, clock: Clock) -> Self:
        """Make the folder and lock it; blocks. Raises BadInput where another process has it, and
        OSError where the disk does not do it."""
        folder = Path(settings.folder)
        if not folder.is_absolute():
            raise BadInput("spool.folder", settings.folder, "an absolute path")
        if not folder.is_dir():  # a read-only disk may well have one to send from
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = lock(folder)
        try:
            return cls(folder, descriptor, settings, clock)
        except OSError:
            os.close(descriptor)
            raise

    @property
    def max_age(self) -> float:
        """Seconds."""
        return self._settings.max_age

    def next_number(self) -> int:
        """The number of the slice that was cut next."""
        self._last += 1
        return self._last

    def shelf(self, address: Address, *key_ids: str) -> Shelf:
        """The folder of an address; *key_ids* tell apart who writes there. Nothing is made yet."""
        said = "\0".join((address.to, address.backup, *key_ids))
        name = sha256(said.encode(errors="surrogatepass")).hexdigest()[:24]
        return Shelf(self._folder / name, address, self._settings)

    async def found(self) -> dict[Path, list[Found]]:
        """What was there at the start, by folder, in order. Raises OSError."""
        return await self.run(self._find)

    async def write(self, shelf: Shelf, entry: Entry, made: Slice, lose: Lose) -> None:
        """Put an entry's slice on the disk and count it. Raises OSError; then it is not there.

        *lose* is called where it has to go later. Others may have to go for it now.
        """
        self._make_room(made.size)
        try:
            path = await self.run(partial(shelf.write, entry.sequence, made))
        finally:
            self.ledger.release(made.size)
        entry.size, entry.deadline = made.size, self._clock.now() + self.max_age
        self.keep(entry, path, lose)
        if self._settings.fsync is Fsync.INTERVAL:
            self._dirty.append(path)
            if self._syncing is None:
                self._syncing = self._clock.call_at(self._clock.now() + SYNC_SECONDS, self._sync)

    def keep(self, entry: Entry, path: Path, lose: Lose) -> None:
        """Count an entry that is on the disk."""
        entry.path, entry.job = path, None
        self._owners[entry.sequence] = lose
        self.ledger.add(entry)
        if self._sweeping is None:
            self._sweeping = self._clock.call_at(self._clock.now() + SWEEP_SECONDS, self._sweep)

    async def read(self, path: Path) -> Slice:
        """The slice of a record. Raises OSError, and ValueError where it is damaged."""
        return await self.run(partial(read, path))

    def remove(self, path: Path, *, damaged: bool = False) -> None:
        """Have a record taken off the disk, soon; a damaged one is set aside."""
        self._threads.run(partial(_remove, path, damaged))

    def forget(self, entry: Entry) -> None:
        """Count an entry no longer; its record stays for the next start."""
        self._owners.pop(entry.sequence, None)
        self.ledger.remove(entry)

    async def run(self, work: Callable[[], T]) -> T:
        """Do blocking work in the spool's threads."""
        return await self._threads.run(work)

    async def close(self) -> None:
        """Force to the disk what the settings say, and let the folder go. May be called twice."""
        for timer in (self._syncing, self._sweeping):
            if timer is not None:
                timer.cancel()
        self._syncing = self._sweeping = None
        if self._lock >= 0:
            dirty, self._dirty = self._dirty, []
            self._threads.run(partial(_sync_all, dirty))
            await asyncio.to_thread(self._threads.join)
            os.close(self._lock)
            self._lock = -1

    def _find(self) -> dict[Path, list[Found]]:
        found: dict[Path, list[Found]] = {}
        for shelf in shelves(self._folder):
            try:
                if torn := clear(shelf):
                    logger.warning("x %d half-written slices of a crash removed", torn)
            except OSError as error:
                logger.warning("! spool: %s", error)
            if records := listing(shelf):
                found[shelf] = records
            else:
                with contextlib.suppress(OSError):  # a damaged record is there
                    shelf.rmdir()
        return found

    def _make_room(self, size: int) -> None:
        try:
            chosen = self.ledger.claim(size)
        except ValueError as error:
            raise OSError(str(error)) from None
        for entry in chosen:
            self._lose(entry, "the spool is full (spool.max_bytes)")

    def _sweep(self) -> None:
        self._sweeping = None
        now = self._clock.now()
        for entry in self.ledger.too_old(now):
            self._lose(entry, "no store took it in time (spool.max_age)")
        if len(self.ledger):
            self._sweeping = self._clock.call_at(now + SWEEP_SECONDS, self._sweep)

    def _lose(self, entry: Entry, reason: str) -> None:
        lose = self._owners.pop(entry.sequence)
        self.ledger.remove(entry)
        lose(entry, reason)

    def _sync(self) -> None:
        dirty, self._dirty, self._syncing = self._dirty, [], None
        self._threads.run(partial(_sync_all, dirty))


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


def shelves(folder: Path) -> list[Path]:
    """The folders of a spool. Raises OSError."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


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
            sync(path)
    except OSError as error:
        logger.warning("! spool: %s", error)
