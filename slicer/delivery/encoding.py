"""The encoding pool: threads that make files, audio before pictures, within a bound for all tasks.

Opus costs a millisecond, a picture ten to sixty. Where more pictures are cut than the cores can
make, they wait, in the order they were cut, and audio goes past them. One anchor has no more files
under way than there are threads, so that another one's next file waits for one of his at most.

A light file (`media.slice.is_light`) is made at once on the loop's thread. It is Python's work
alone and holds the interpreter wherever it is done, so a thread would not spare the loop its time,
and the way there and back takes CPU of its own. For as long as one took, the next ones go to the
threads: so audio of many anchors that is cut at one moment takes half of the loop's time at most.
"""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from time import monotonic
from typing import Self, TypeVar

from slicer.delivery.share import may_take
from slicer.media.slice import File
from slicer.rtp.parameters import Kind
from slicer.threads import ThreadPool

logger = logging.getLogger(__name__)
T = TypeVar("T")
Holder = tuple[str, ...]
"""Whose file it is: a task and an anchor; of no holder, files have no bound of their own."""

MAX_WAITING = 2_000
"""Files of each kind, over all tasks. Two cores make so many pictures of 720p in 15 s."""

_PRIORITIES = {Kind.AUDIO: 0, Kind.VIDEO: 1}
PRIORITIES = len(_PRIORITIES)

_KEPT = 31 << 20
"""Bytes; just below the 32 MiB at which glibc no longer learns from what is freed."""


class EncodingPool:
    """Makes files in *threads*, which have PRIORITIES lanes. For the loop's thread."""

    def __init__(self, threads: ThreadPool, max_waiting: int = MAX_WAITING) -> None:
        self.threads, self._max_waiting = threads, max_waiting
        self.watch: Callable[[File], None] | None = None
        """Told of each file that is made, on the loop's thread; once more where one is made anew
        for another try. What it raises is logged, and costs no slice."""
        self.looked_at: Callable[[], bool] = _never
        """Whether who watches wants files that nothing else needs yet (previews.py)."""
        self._waiting: Counter[Kind] = Counter()
        self._of: Counter[tuple[Kind, Holder]] = Counter()
        self._turns: dict[tuple[Kind, Holder], asyncio.Semaphore] = {}
        self._next_light = 0.0  # from when on another one may be made on the loop's thread

    @classmethod
    def open(cls) -> Self:
        """As many threads as cores: codecs leave the GIL. Join `threads` when done."""
        keep_freed_memory()
        return cls(ThreadPool("encoding", cores(), PRIORITIES))

    @property
    def waiting(self) -> int:
        """Files that wait to be made, or are being made."""
        return self._waiting.total()

    @property
    def crowded(self) -> bool:
        """Half of a bound is reached: who can wait should."""
        return any(count > self._max_waiting // 2 for count in self._waiting.values())

    def full(self, kind: Kind) -> bool:
        """Whether the bound of this kind is reached. `make` does not look at it: a file that is
        made anew for another try has been let in before."""
        return self._waiting[kind] >= self._max_waiting

    def over_share(self, kind: Kind, holder: Holder) -> bool:
        """Whether so many files of this one wait that the rest is for others."""
        return not may_take(self._of[kind, holder], self._waiting[kind], self._max_waiting)

    async def make(
        self, kind: Kind, make: Callable[[], T], holder: Holder = (), *, light: bool = False
    ) -> T:
        """What *make* gives: a file, or nothing. Raises what it raises. *light*: as this module's
        head says."""
        began = monotonic() if light else 0.0
        if light and began >= self._next_light:
            try:
                file = make()
            finally:
                ended = monotonic()
                self._next_light = ended + (ended - began)
        else:
            file = await self._make_in_thread(kind, make, holder)
        if self.watch is not None and isinstance(file, File):
            try:
                self.watch(file)
            except Exception:
                logger.exception("! who watches files failed at %s", file.info.key)
        return file

    async def _make_in_thread(self, kind: Kind, make: Callable[[], T], holder: Holder) -> T:
        key = kind, holder
        self._waiting[kind] += 1
        self._of[key] += 1
        turns = self._turns.setdefault(key, asyncio.Semaphore(max(1, self.threads.count)))
        try:
            async with turns if holder else nullcontext():
                return await self.threads.run(make, _PRIORITIES[kind])
        finally:
            self._waiting[kind] -= 1
            self._of[key] -= 1
            if not self._of[key]:
                del self._of[key], self._turns[key]


def _never() -> bool:
    return False


def cores() -> int:
    """Cores this process may use, which a container or taskset can make fewer than there are."""
    return len(os.sched_getaffinity(0))


def keep_freed_memory() -> None:
    """Have malloc use the memory of one picture for the next.

    A picture takes 5 to 15 MB and gives them back. glibc returns so much to the kernel at once, and
    each page is then faulted in anew: up to half of what a PNG costs. It learns to keep twice the
    size of the largest block that was ever freed (mallopt(3), "dynamic mmap threshold"); this frees
    one whose pages are never touched. Other allocators take no notice.
    """
    bytes(_KEPT)
