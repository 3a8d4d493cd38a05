"""A slice that is held: still a cut in memory, or a record in the spool; a record of its state."""

from dataclasses import dataclass
from pathlib import Path

from slicer.clock import Timer
from slicer.delivery.job import Job
from slicer.media.slice import Slice
from slicer.slicing.outputs import TrackKey


@dataclass(slots=True, eq=False)
class Entry:
    """One slice on its way, compared by identity.

    *size* in bytes, of memory or of the disk; *deadline*: the *now* after which it is given up.
    Either *job* or *path* is set: where its file comes from. *ready*: the *now* since which it
    could be sent, None while its file is being made for the spool. *made*: the file where it can
    be sent at once.
    """

    sequence: int
    key: str
    track: TrackKey
    size: int
    deadline: float
    job: Job | None = None
    path: Path | None = None
    ready: float | None = None
    made: Slice | None = None
    failures: int = 0
    uploading: bool = False
    gone: bool = False
    timer: Timer | None = None
