"""Events of slices whose task does not run: the spool held them at the start."""

import logging
from collections.abc import Awaitable, Callable

from slicer.clock import Clock
from slicer.engine.events import SliceLost, SliceStored, StoreRecovered, TaskEvent, TaskTrouble
from slicer.engine.running import Confirm
from slicer.errors import SlicerError
from slicer.media.slice import SliceInfo
from slicer.storage import Receipt

logger = logging.getLogger(__name__)


class Orphans:
    """Emits the events that their tasks would emit."""

    def __init__(
        self, clock: Clock, tell: Callable[[TaskEvent], None], confirm: Confirm | None = None
    ) -> None:
        self._clock, self._tell, self._confirm = clock, tell, confirm

    def on_stored(
        self, slice: SliceInfo, _data: bytes, receipt: Receipt, destination: str
    ) -> Awaitable[None] | None:
        """A slice was stored."""
        at = self._clock.wall(self._clock.now())
        event = SliceStored(slice.task, at, slice, receipt.etag, destination)
        self._tell(event)
        return self._confirm(event) if self._confirm is not None else None

    def on_lost(self, slice: SliceInfo, reason: str) -> None:
        """A slice will never be stored."""
        at = self._clock.wall(self._clock.now())
        self._tell(SliceLost(slice.task, at, slice, reason))

    def on_trouble(self, task: str, error: SlicerError) -> None:
        """Something is tried again."""
        logger.warning("! task %s: %s", task, error)
        self._tell(TaskTrouble(task, self._clock.wall(self._clock.now()), str(error)))

    def on_recovered(self, task: str, destination: str) -> None:
        """The store takes slices again."""
        logger.warning("+ task %s: %s takes slices again", task, destination)
        self._tell(StoreRecovered(task, self._clock.wall(self._clock.now()), destination))
