"""Copies the newest slices of a bucket into a folder, so that a page can show them."""

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from slicer.errors import BadInput
from slicer.rtp.parameters import Kind
from slicer.storage.local import LocalStorage
from slicer.storage.reading import BucketReader, StoredObject

MOST_LISTED = 2_000_000
"""Objects that are looked at: a thousand come with each answer."""
AT_ONCE = 8
"""Objects that are read side by side."""
_TYPE = "application/octet-stream"

Named = Callable[[PurePosixPath], tuple[Kind, datetime] | None]
"""What a slice's name says; None: it is no slice's."""


@dataclass(frozen=True, slots=True)
class Copied:
    """*slices*: there now; *left_out*: older ones; *larger*: so many of these would have passed
    the bound of bytes."""

    slices: int
    left_out: int
    larger: int


async def copy(
    reader: BucketReader, folder: Path, named: Named, limit: int, most_bytes: int
) -> Copied:
    """Copy the newest *limit* slices, or as many as *most_bytes* hold. A file that is there with
    its size is not read again. Raises StorageError, and BadInput for a bucket too large."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        found, newest = await _newest(reader, named, limit, progress)
        chosen = list[StoredObject]()
        room = most_bytes
        for _, _, one in newest:
            room -= one.size
            if room < 0:
                break
            chosen.append(one)
        await _fetch(reader, folder, chosen, progress)
    return Copied(len(chosen), found - len(chosen), len(newest) - len(chosen))


async def _newest(
    reader: BucketReader, named: Named, limit: int, progress: Progress
) -> tuple[int, list[tuple[datetime, str, StoredObject]]]:
    """How many slices there are, and the newest of them, the newest first."""
    shown = progress.add_task("listing", total=None)
    newest = list[tuple[datetime, str, StoredObject]]()
    listed = found = 0
    async for one in reader.objects():
        listed += 1
        progress.update(shown, completed=listed)
        if listed > MOST_LISTED:
            raise BadInput("PLACE", reader.label, f"a prefix with {MOST_LISTED} objects at most")
        if facts := named(PurePosixPath(one.key)):
            found += 1
            # No more are held than are wanted, however many there are.
            keep = heapq.heappush if len(newest) < limit else heapq.heappushpop
            keep(newest, (facts[1], one.key, one))
    progress.update(shown, total=listed)
    return found, sorted(newest, reverse=True)


async def _fetch(
    reader: BucketReader, folder: Path, chosen: list[StoredObject], progress: Progress
) -> None:
    shown = progress.add_task("copying", total=len(chosen))
    turns, store = asyncio.Semaphore(AT_ONCE), LocalStorage(folder)

    async def fetch(one: StoredObject) -> None:
        async with turns:
            path = folder / one.key
            if not path.is_file() or path.stat().st_size != one.size:
                await store.put(one.key, await reader.read(one), _TYPE)
            progress.advance(shown)

    try:
        async with asyncio.TaskGroup() as group:
            for one in chosen:
                group.create_task(fetch(one))
    except* Exception as errors:
        raise errors.exceptions[0] from None
    finally:
        await store.close()
