"""The threads in which files are made: as many as there are cores; knows not what they make."""

import os
from concurrent.futures import ThreadPoolExecutor


def cores() -> int:
    """Cores this process may use, which a container or taskset can make fewer than there are."""
    return len(os.sched_getaffinity(0))


def open_workers() -> ThreadPoolExecutor:
    """A pool for work that leaves the GIL (codecs do); shut it down when done."""
    return ThreadPoolExecutor(cores(), thread_name_prefix="maker")
