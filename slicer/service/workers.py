"""The threads in which files are made: as many as there are cores; knows not what they make."""

import os

from slicer.crew import Crew
from slicer.delivery.makers import LANES


def cores() -> int:
    """Cores this process may use, which a container or taskset can make fewer than there are."""
    return len(os.sched_getaffinity(0))


def open_workers() -> Crew:
    """A crew for work that leaves the GIL (codecs do); dismiss it when done."""
    return Crew("maker", cores(), LANES)
