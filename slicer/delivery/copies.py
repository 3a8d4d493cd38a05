"""Copies of spooled slices in a second place, from which another process can deliver them.

A copy is the slice's record as the spool has it (record.py), so it proves itself. It is written as
soon as the slice may be delivered, beside its upload, and deleted once the slice is stored, told or
given up:

    TASK/EPOCH/WRITER-DIGEST.slice      WRITER: this process; DIGEST: of the slice's key
    TASK/EPOCH/WRITER-DIGEST.judging    to be judged first

So what lies there of a task is what nobody has delivered yet. Whoever has the task next takes it.
A place that fails costs the copies alone: they are tried again while their slices wait.
"""

import asyncio
import logging
import os
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Protocol

from slicer.background import Background
from slicer.clock import Clock
from slicer.delivery.retry import Backoff
from slicer.errors import StorageError

logger = logging.getLogger(__name__)

AT_ONCE = 4
"""Copies that are written, read or deleted side by side."""
PATIENCE = 5.0
"""Seconds that a closing process gives to what is under way."""
MAX_UNDELETED = 4_000
"""Copies that wait to be deleted: what a busy worker stores in half a minute. One more is left
where it is: the next that has the task delivers it once more, under the same key with the same
bytes."""
BACKOFF = Backoff(first=0.5, most=30.0)
_WRITE, _DELETE = "takes", "deletes"
_MEANWHILE = {
    _WRITE: "what is cut is in the spool alone until then",
    _DELETE: "who has the tasks next may deliver slices once more, each with the same bytes",
}

Read = Callable[[], Awaitable[bytes | None]]
"""A record's bytes; None: it is gone. Raises OSError."""


class Place(Protocol):
    """Where copies are. Its methods raise StorageError."""

    @property
    def label(self) -> str: ...

    async def put(self, key: str, data: bytes) -> None: ...

    async def keys(self, under: str) -> Sequence[str]:
        """All that lie in a folder."""
        ...

    async def read(self, key: str) -> bytes | None:
        """None: it is gone."""
        ...

    async def delete(self, key: str) -> None:
        """Also where it is gone."""
        ...


class Copies:
    """Of one process. For the loop's thread."""

    def __init__(self, place: Place, clock: Clock) -> None:
        self.written = self.failures = 0
        """Copies that were written, and tries that failed."""
        self.left = 0
        """Copies of slices that are done with, and that could not be deleted."""
        self._place, self._clock = place, clock
        self._writer = os.urandom(4).hex()
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._tried, self._putting, self._resting = set[str](), set[str](), set[str]()
        self._claimed = set[str]()
        self._deleting = Background()
        self._limit = asyncio.Semaphore(AT_ONCE)
        self._limit_of_deletions = asyncio.Semaphore(AT_ONCE)  # those that wait hold up no copy
        self._failing = set[str]()  # what of it

    def __len__(self) -> int:
        """Slices that wait for their copy."""
        return sum(not one.done() for one in self._writing.values())

    def key(self, task: str, epoch: int, slice_key: str) -> str:
        """Where a slice's copy will be, without what says whether it is to be judged."""
        digest = sha256(slice_key.encode()).hexdigest()[:24]
        return f"{task}/{epoch:08d}/{self._writer}-{digest}"

    def add(self, key: str, read: Read) -> None:
        """Write a copy, soon."""
        self._writing[key] = asyncio.ensure_future(self._write(key, read))

    def remove(self, key: str) -> None:
        """Delete a copy, soon: its slice is done with. One that was not begun is not written; one
        that is on its way is deleted once it is there."""
        writing = self._writing.pop(key, None)
        if writing is not None and key not in self._putting:
            writing.cancel()
            if key not in self._tried:
                self._claimed.discard(key)
                return
        if len(self._deleting) < MAX_UNDELETED:
            self._deleting.start(self._delete(key, writing))
        else:
            self.left += 1
            self._forget(key)

    def claim(self, key: str) -> None:
        """The slice of a copy that another process wrote is in the spool here: `of_others` leaves
        it out from now on, until it was removed."""
        self._claimed.add(key)

    async def read(self, key: str) -> bytes | None:
        """The record that a copy is; None: it is gone. Raises StorageError."""
        async with self._limit:
            return await self._place.read(key)

    async def of_others(self, task: str, epoch: int) -> AsyncGenerator[tuple[str, bytes], None]:
        """The copies of a task that other processes have left, up to this epoch, each with its key.
        No more than AT_ONCE are in memory ahead of who takes them. Raises StorageError."""
        # As of now: what is delivered from the spool while this goes on may still be listed.
        claimed = frozenset(self._claimed)
        listed = [key for key in await self._place.keys(task) if self._is_others(key, epoch)]
        left = deque(key for key in listed if key not in claimed)
        reading = deque[tuple[str, asyncio.Task[bytes | None]]]()
        try:
            while left or reading:
                while left and len(reading) < AT_ONCE:
                    key = left.popleft()
                    reading.append((key, asyncio.ensure_future(self.read(key))))
                key, read = reading[0]
                data = await read
                reading.popleft()
                if data is not None:
                    yield key, data
        finally:
            for _, read in reading:
                read.cancel()
            await asyncio.gather(*(read for _, read in reading), return_exceptions=True)

    async def close(self) -> None:
        """Give a moment to what is under way, and none to what failed before: that is in the spool
        alone. May be called twice."""
        for key in self._resting & self._writing.keys():
            self._writing[key].cancel()
        writing, self._writing = list(self._writing.values()), {}
        if writing:
            await asyncio.wait(writing, timeout=PATIENCE)
        for one in writing:
            one.cancel()
        await asyncio.gather(*writing, return_exceptions=True)
        await self._deleting.finish(PATIENCE if not self._failing else 0.0)

    async def _write(self, key: str, read: Read) -> None:
        failed = 0
        while True:
            async with self._limit:
                try:
                    data = await read()
                    if data is None:
                        return
                    self._tried.add(key)
                    self._putting.add(key)
                    await self._place.put(key, data)
                except (StorageError, OSError) as error:
                    failed += 1
                    self._tell(_WRITE, error)
                else:
                    self._recovered(_WRITE)
                    self.written += 1
                    return
                finally:
                    self._putting.discard(key)
            if key not in self._writing:
                return  # its slice is done with, or the process ends
            self._resting.add(key)
            try:
                await self._clock.sleep(BACKOFF.after_failure(failed, 1.0))
            finally:
                self._resting.discard(key)

    async def _delete(self, key: str, writing: asyncio.Task[None] | None) -> None:
        if writing is not None:  # else it would be there after it was deleted
            await asyncio.wait([writing])
        failed = 0
        while not await self._is_deleted(key):
            failed += 1
            await self._clock.sleep(BACKOFF.after_failure(failed, 1.0))
        self._forget(key)

    def _forget(self, key: str) -> None:
        self._tried.discard(key)
        self._claimed.discard(key)

    async def _is_deleted(self, key: str) -> bool:
        """Try once."""
        try:
            async with self._limit_of_deletions:
                await self._place.delete(key)
        except StorageError as error:
            self._tell(_DELETE, error)
            return False
        self._recovered(_DELETE)
        return True

    def _is_others(self, key: str, epoch: int) -> bool:
        path = PurePosixPath(key)
        with suppress(ValueError):
            return int(path.parent.name) <= epoch and not path.name.startswith(f"{self._writer}-")
        return False

    def _tell(self, what: str, error: StorageError | OSError) -> None:
        self.failures += 1
        if what in self._failing:
            return
        self._failing.add(what)
        if isinstance(error, OSError):
            reason = f"the spool cannot be read: {error.strerror or error}"
        else:
            reason = error.reason
        logger.warning(f"! copies: %s: %s; {_MEANWHILE[what]}", self._place.label, reason)

    def _recovered(self, what: str) -> None:
        if what in self._failing:
            self._failing.remove(what)
            logger.warning("+ copies: %s %s them again", self._place.label, what)
