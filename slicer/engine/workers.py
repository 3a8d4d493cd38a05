"""The threads in which files are made: as many as there are cores; knows not what they make."""

import os

from slicer.delivery.makers import LANES
from slicer.threads import ThreadPool

_KEPT = 31 << 20
"""Bytes; just below the 32 MiB at which glibc no longer learns from what is freed."""


def cores() -> int:
    """Cores this process may use, which a container or taskset can make fewer than there are."""
    return len(os.sched_getaffinity(0))


def open_workers() -> ThreadPool:
    """A crew for work that leaves the GIL (codecs do); dismiss it when done."""
    keep_freed_memory()
    return ThreadPool("maker", cores(), LANES)


def keep_freed_memory() -> None:
    """Have malloc use the memory of one picture for the next.

    A picture takes 5 to 15 MB and gives them back. glibc returns so much to the kernel at once, and
    each page is then faulted in anew: up to half of what a PNG costs. It learns to keep twice the
    size of the largest block that was ever freed (mallopt(3), "dynamic mmap threshold"); this frees
    one whose pages are never touched. Other allocators take no notice.
    """
    bytes(_KEPT)
