"""What a destination's tasks are told of failures: each kind once, until it works again."""

import logging

from slicer.delivery.outcome import OutboxListener
from slicer.errors import StorageError, StorageUnavailable
from slicer.media.slice import Info

SPOOL = "the spool"
"""What the disk is called where a store has its label."""

logger = logging.getLogger(__name__)


class Trouble:
    """Failures of one destination's stores, and of its spool's disk, that were told."""

    def __init__(self, listener: OutboxListener) -> None:
        self._listener = listener
        self._of_stores: set[tuple[str, type[StorageError]]] = set()
        self._of_disk: set[str] = set()

    def note(self, task: str, error: StorageError) -> None:
        """A task was told of this kind of failure by somebody else."""
        self._of_stores.add((task, type(error)))

    def tell(self, info: Info, error: StorageError) -> None:
        """A store fails: tell the task of this slice, unless it knows."""
        trouble = (info.task, type(error))
        if trouble not in self._of_stores:
            self._of_stores.add(trouble)
            self._listener.on_failed(info, error, False)

    def recovered(self, destination: str) -> None:
        """The first store, *destination* by its label, takes slices again."""
        tasks = sorted({task for task, _ in self._of_stores})
        self._of_stores.clear()
        for task in tasks:
            self._listener.on_recovered(task, destination)

    def tell_disk(self, info: Info, error: StorageUnavailable) -> None:
        """The spool's disk fails: tell the task of this slice, unless it knows."""
        if info.task not in self._of_disk:
            self._of_disk.add(info.task)
            logger.warning("! %s", error.reason)
            error.store = SPOOL
            self._listener.on_failed(info, error, False)

    def disk_recovered(self) -> None:
        """The disk takes slices again."""
        tasks = sorted(self._of_disk)
        self._of_disk.clear()
        for task in tasks:
            self._listener.on_recovered(task, SPOOL)
