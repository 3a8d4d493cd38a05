"""Events of slices whose task does not run: the spool held them at the start."""

import logging
from collections.abc import Awaitable, Callable

from slicer.clock import Clock
from slicer.delivery.judging import Outcome
from slicer.engine.events import (
    SliceLost,
    SliceStored,
    StoreRecovered,
    SupplierRecovered,
    SupplierTrouble,
    TaskEvent,
    TaskTrouble,
)
from slicer.engine.running import Confirm, ConfirmVerdict, judged
from slicer.errors import ModerationError, SlicerError
from slicer.media.slice import SliceInfo
from slicer.storage import Receipt

logger = logging.getLogger(__name__)


class Orphans:
    """Emits the events that their tasks would emit."""

    def __init__(
        self,
        clock: Clock,
        tell: Callable[[TaskEvent], None],
        confirm: Confirm | None = None,
        confirm_verdict: ConfirmVerdict | None = None,
    ) -> None:
        self._clock, self._tell = clock, tell
        self._confirm, self._confirm_verdict = confirm, confirm_verdict

    def on_stored(
        self, slice: SliceInfo, _data: bytes, receipt: Receipt, destination: str
    ) -> Awaitable[None] | None:
        """A slice was stored."""
        at = self._clock.wall(self._clock.now())
        event = SliceStored(slice.task, at, slice, receipt.etag, destination)
        self._tell(event)
        return self._confirm(event) if self._confirm is not None else None

    def on_judged(self, slice: SliceInfo, outcome: Outcome, keep: bool) -> Awaitable[None] | None:
        """A slice was judged, or nobody could."""
        event = judged(slice, self._clock.wall(self._clock.now()), outcome, keep)
        self._tell(event)
        return self._confirm_verdict(event) if self._confirm_verdict is not None else None

    def on_supplier_trouble(self, task: str, error: ModerationError) -> None:
        """The supplier fails, or refuses the account."""
        logger.warning("! task %s: %s", task, error)
        self._tell(SupplierTrouble(task, self._clock.wall(self._clock.now()), str(error)))

    def on_supplier_recovered(self, task: str, supplier: str) -> None:
        """The supplier judges again."""
        logger.warning("+ task %s: %s judges again", task, supplier)
        self._tell(SupplierRecovered(task, self._clock.wall(self._clock.now()), supplier))

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
