"""Listing, sending and dropping what a spool holds, by hand and without an engine."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from slicer.clock import Clock, LoopClock
from slicer.delivery.encoding import EncodingPool
from slicer.delivery.spool.folder import SpooledFile, listing
from slicer.delivery.spool.spool import Spool, folders, locked
from slicer.engine.destination import Destinations, OutcomeRouter
from slicer.engine.destination_key import Lookup
from slicer.engine.events import TaskEvent
from slicer.engine.reports import TaskReports
from slicer.engine.running import RunningTask
from slicer.engine.settings import Settings
from slicer.errors import BadInput
from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind


@dataclass(frozen=True, slots=True)
class Choice:
    """Which records: all that fit every field that is set."""

    task: str = ""
    anchor: str = ""
    kind: Kind | None = None
    older_than: timedelta | None = None
    damaged: bool = False

    def fits(self, found: SpooledFile, now: datetime) -> bool:
        """Whether a record is meant; a damaged one only where damaged ones are asked for, and a
        manifest only where neither an anchor nor a kind is."""
        if found.header is None or self.damaged:
            return found.header is None and self.damaged
        info = found.header.info
        written = datetime.fromtimestamp(found.written, UTC)
        anchor, kind = (info.anchor, info.kind) if isinstance(info, SliceInfo) else ("", None)
        return (
            (not self.task or info.task == self.task)
            and (not self.anchor or anchor == self.anchor)
            and (self.kind is None or kind is self.kind)
            and (self.older_than is None or now - written >= self.older_than)
        )


def stuck(folder: Path, choice: Choice | None = None) -> Iterator[SpooledFile]:
    """The records in a spool, oldest first within each destination, also while an engine sends
    them. Raises BadInput where there is no spool."""
    now, chosen = datetime.now(UTC), choice or Choice()
    for each in _folders(folder):
        yield from (found for found in listing(each) if choice is None or chosen.fits(found, now))


def drop(folder: Path, choice: Choice) -> list[SpooledFile]:
    """Delete records for good; gives those that are gone. Raises BadInput while an engine has
    the spool, and OSError."""
    with locked(folder):
        chosen = list(stuck(folder, choice))
        for found in chosen:
            found.path.unlink(missing_ok=True)
        return chosen


async def send(
    settings: Settings, lookup: Lookup, tell: Callable[[TaskEvent], None], within: float
) -> int:
    """Send what a spool holds, without an engine; how many slices stay after *within* seconds.

    Every stored or lost slice is told. Raises BadInput while an engine has the spool, OSError.
    """
    async with _opened(settings, tell, LoopClock()) as destinations:
        await destinations.recover(lookup)
        await asyncio.gather(*(one.outbox.drain(within) for one in destinations.all()))
    return sum(1 for _ in stuck(Path(settings.spool.folder)))


@asynccontextmanager
async def _opened(
    settings: Settings, tell: Callable[[TaskEvent], None], clock: Clock
) -> AsyncIterator[Destinations]:
    spool = Spool.open(settings.spool, clock)
    encoding = EncodingPool.open()
    nobody: dict[str, RunningTask] = {}
    reports = OutcomeRouter(nobody.get, TaskReports(clock, tell), clock)
    destinations = Destinations(encoding, clock, settings.outbox, reports, spool)
    try:
        yield destinations
    finally:
        await destinations.close()
        await spool.close()
        reports.close()
        await asyncio.to_thread(encoding.threads.join)


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise BadInput("spool.folder", str(folder), "a folder that is there")
    return folders(folder)
