"""One outbox's side of the spool: writes slices, reads them, has them leave; tells of the disk."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from slicer.clock import Clock
from slicer.delivery.entry import Entry
from slicer.delivery.spool.shelf import Found, Shelf
from slicer.delivery.spool.spool import Lose, Spool
from slicer.errors import MediaError, StorageError, StorageUnavailable
from slicer.media.slice import Slice

logger = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds a disk that failed is left alone."""
CLOSE_SECONDS = 5.0
"""Seconds that who was told of stored slices is given when the outbox closes."""


class Spooler:
    """No fault of the disk leaves it but as words: *tell* is called once for each task that meets
    one, until the disk works again. *lose* is called with entries that have to go."""

    def __init__(
        self,
        spool: Spool,
        shelf: Shelf,
        clock: Clock,
        tell: Callable[[Entry, StorageError], None],
        lose: Lose,
    ) -> None:
        self.failures = 0
        """Slices that could not be written, or not be read just then."""
        self._spool, self._shelf, self._clock = spool, shelf, clock
        self._tell, self._lose = tell, lose
        self._told: set[str] = set()
        self._from = clock.now()
        self._removals: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """The disk is not being left alone."""
        return self._clock.now() >= self._from

    @property
    def crowded(self) -> bool:
        """The spool is half full."""
        return self._spool.ledger.crowded

    @property
    def busy(self) -> bool:
        """Some record waits for who was told."""
        return bool(self._removals)

    def next_number(self) -> int:
        """The number of the slice that was cut next."""
        return self._spool.next_number()

    async def write(self, entry: Entry, made: Slice) -> bool:
        """Put an entry's slice on the disk; whether it is there."""
        try:
            await self._spool.write(self._shelf, entry, made, self._lose)
        except OSError as error:
            self._failed(entry, error)
            return False
        self._told.clear()
        return True

    def adopt(self, found: Found) -> Entry | None:
        """The entry of what was there at the start; None where it is damaged."""
        if found.record is None:
            logger.warning("! spool: %s is damaged and was not sent", found.path)
            return None
        record, now = found.record, self._clock.now()
        age = self._clock.wall(now).timestamp() - found.written
        deadline = now + self._spool.max_age - age
        entry = Entry(found.sequence, record.key, record.track, record.size, deadline)
        self._spool.keep(entry, found.path, self._lose)
        return entry

    async def read(self, entry: Entry) -> Slice | None:
        """The slice of an entry on the disk; None where that fails just now. Raises MediaError
        where it is damaged or gone."""
        assert entry.path is not None
        try:
            return await self._spool.read(entry.path)
        except (ValueError, FileNotFoundError) as error:
            logger.warning("! spool: %s: %s", entry.path, error)
            raise MediaError(f"spool: {error}") from None
        except OSError as error:
            self._failed(entry, error)
            return None

    def leave(self, entry: Entry) -> None:
        """The outbox closes; the record stays for the next start."""
        self._spool.forget(entry)

    def release(
        self, entry: Entry, told: Awaitable[None] | None = None, *, damaged: bool = False
    ) -> None:
        """Have the record of an entry removed, once what was *told* of it is done."""
        if entry.path is None:
            return
        self._spool.forget(entry)
        if told is None:
            self._spool.remove(entry.path, damaged=damaged)
            return
        removal = asyncio.ensure_future(self._remove(entry.path, told))
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)

    async def close(self) -> None:
        """Wait a little for who was told; what is not confirmed stays for the next start."""
        if self._removals:
            await asyncio.wait(self._removals, timeout=CLOSE_SECONDS)
        for removal in self._removals:
            removal.cancel()

    async def _remove(self, path: Path, told: Awaitable[None]) -> None:
        try:
            await told
        except Exception as error:  # a fault of who was told must not stop deliveries
            logger.warning("! spool: %s stays, to be sent again at the next start: %s", path, error)
        else:
            self._spool.remove(path)

    def _failed(self, entry: Entry, error: OSError) -> None:
        self.failures += 1
        self._from = self._clock.now() + PATIENCE
        if entry.track.task not in self._told:
            self._told.add(entry.track.task)
            said = f"spool: {error.strerror or error}"
            logger.warning("! %s", said)
            self._tell(entry, StorageUnavailable(entry.key, said, "slices wait in memory"))
