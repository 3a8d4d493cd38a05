"""The settings of the spool: its folder, how safe it is, how much it holds."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from slicer.config import DAY, bounded
from slicer.errors import BadInput


class Fsync(StrEnum):
    """When a slice in the spool is forced to the disk; a crash of this process needs none."""

    NEVER = "never"
    INTERVAL = "interval"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """The folder in which slices wait for the store; with none, they wait in memory."""

    folder: str = ""
    """An absolute path, on a local disk, of one process; empty: slices wait in memory."""
    fsync: Fsync = Fsync.INTERVAL
    """When a slice is forced to the disk: never, every second or before it counts as kept."""
    max_bytes: int = bounded(10 * 1024**3, 1024**2, 2**63)
    """Bytes above which the oldest pictures go first, then the oldest audio."""
    max_age: float = bounded(3.0 * DAY, 1, 365 * DAY)
    """Seconds after which a slice that no store took is given up."""
    reserve_bytes: int = bounded(1024**3, 0, 2**63)
    """Free space of the disk that is left to others, in bytes."""
    required: bool = True
    """Whether a spool that cannot be used stops the start; else slices wait in memory alone."""
    group_writes: bool = False
    """Whether the folder's group may write to it, as on a volume given to a group."""

    def __post_init__(self) -> None:
        if self.folder and not Path(self.folder).is_absolute():
            raise BadInput("spool.folder", self.folder, "an absolute path")
