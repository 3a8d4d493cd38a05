"""What becomes of slices, stores and suppliers, as events of the tasks that they are of: each event
and its line of the log are made here, whether its task runs or was an earlier process's."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from slicer.clock import Clock
from slicer.delivery.judging import Outcome
from slicer.engine.events import (
    SliceJudged,
    SliceLost,
    SliceStored,
    SliceUnjudged,
    StoreRecovered,
    SupplierRecovered,
    SupplierTrouble,
    TaskEvent,
    TaskTrouble,
)
from slicer.engine.stages import Stage, Stages
from slicer.errors import ModerationError, SlicerError, StorageError
from slicer.media.slice import SliceInfo
from slicer.moderation import Verdict
from slicer.storage import Receipt

logger = logging.getLogger(__name__)

Confirm = Callable[[SliceStored], Awaitable[None]]
"""Gives back once the event is safe elsewhere. Until then the spool keeps the slice, and the task
does not finish."""

ConfirmVerdict = Callable[[SliceJudged | SliceUnjudged], Awaitable[None]]
"""The same of a verdict. Until then the slice goes nowhere."""


class TaskReports:
    """Emits the events of any task; gives back the confirmation of one, to be awaited."""

    def __init__(
        self,
        clock: Clock,
        tell: Callable[[TaskEvent], None],
        confirm: Confirm | None = None,
        confirm_verdict: ConfirmVerdict | None = None,
        stages: Stages | None = None,
        live: bool = True,
    ) -> None:
        """*live*: as of `Stages.reach`."""
        self._clock, self._tell = clock, tell
        self._confirm, self._confirm_verdict = confirm, confirm_verdict
        self._stages, self._live = stages or Stages(clock), live

    def reach(self, slice: SliceInfo, stage: Stage) -> None:
        """A slice has come so far."""
        self._stages.reach(slice, stage, self._live)

    def on_stored(
        self, slice: SliceInfo, _data: bytes, receipt: Receipt, destination: str
    ) -> Awaitable[None] | None:
        """A slice was stored."""
        etag, url, digest = receipt.etag, receipt.url, receipt.sha256
        event = SliceStored(slice.task, self._now(), slice, etag, destination, url, digest)
        self._tell(event)
        self.reach(slice, Stage.STORED)
        if self._confirm is None:
            self.reach(slice, Stage.TOLD)
            return None
        return self._told(slice, self._confirm(event))

    async def _told(self, slice: SliceInfo, confirmed: Awaitable[None]) -> None:
        await confirmed
        self.reach(slice, Stage.TOLD)

    def on_judged(self, slice: SliceInfo, outcome: Outcome, keep: bool) -> Awaitable[None] | None:
        """A slice was judged, or nobody could."""
        event: SliceJudged | SliceUnjudged
        if isinstance(outcome, Verdict):
            event = SliceJudged(slice.task, self._now(), slice, outcome, keep)
        else:
            reason, by_choice = outcome.reason, outcome.by_choice
            event = SliceUnjudged(slice.task, self._now(), slice, reason, keep, by_choice)
            level = logging.DEBUG if by_choice else logging.WARNING
            text = "! task %s: %s is not judged: %s"
            fields = {"task": slice.task, "anchor": slice.anchor}
            logger.log(level, text, slice.task, slice.key, reason, extra=fields)
        self._tell(event)
        self.reach(slice, Stage.JUDGED)
        if not keep:
            self.reach(slice, Stage.UNKEPT)
        return self._confirm_verdict(event) if self._confirm_verdict is not None else None

    def on_lost(self, slice: SliceInfo, reason: str) -> None:
        """A slice will never be stored."""
        self._tell(SliceLost(slice.task, self._now(), slice, reason))
        self.reach(slice, Stage.LOST)

    def on_trouble(self, task: str, error: SlicerError, app: int = 0) -> None:
        """Something is tried again; *app*: whose task it is, where that is known."""
        store = error.store if isinstance(error, StorageError) else ""
        label, extra = f"{store}: " if store else "", {"task": task, "app": app}
        logger.warning("! task %s%s: %s%s", task, _of(app), label, error, extra=extra)
        self._tell(TaskTrouble(task, self._now(), str(error), store))

    def on_recovered(self, task: str, destination: str, app: int = 0) -> None:
        """The store takes slices again; *app*: as above."""
        text, extra = "+ task %s%s: %s takes slices again", {"task": task, "app": app}
        logger.warning(text, task, _of(app), destination, extra=extra)
        self._tell(StoreRecovered(task, self._now(), destination))

    def on_supplier_trouble(self, task: str, error: ModerationError) -> None:
        """The supplier fails, or refuses the account."""
        logger.warning("! task %s: %s", task, error, extra={"task": task})
        self._tell(SupplierTrouble(task, self._now(), str(error)))

    def on_supplier_recovered(self, task: str, supplier: str) -> None:
        """The supplier judges again."""
        logger.warning("+ task %s: %s judges again", task, supplier, extra={"task": task})
        self._tell(SupplierRecovered(task, self._now(), supplier))

    def _now(self) -> datetime:
        return self._clock.wall(self._clock.now())


def _of(app: int) -> str:
    return f" of application {app}" if app else ""
