"""The settings of an outbox: how much may wait for the store, and for how long."""

from dataclasses import dataclass

from slicer.config import DAY, bounded


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """How much may wait for the store. What does not fit is dropped and counted. One anchor may
    have 8/9 of each bound; two that fill it, 8/17 each."""

    count: int = 2_000
    """Slices held, waiting or under way."""
    memory: int = 256 * 1024 * 1024
    """Bytes of the slices held."""
    uploads: int = bounded(8, 1, 256)
    """Uploads side by side."""
    drain: float = bounded(30.0, 0, DAY)
    """Seconds that what waits is given when the engine closes."""
    backup_after: float = bounded(60.0, 0, DAY)
    """Seconds a store must have failed before a task's backup takes its place."""
    checksums: bool = False
    """Whether `SliceStored`, and 1004 of the service, tell the SHA-256 of the file."""
