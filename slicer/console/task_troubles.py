"""What concerns a whole task: its store, the spool or its supplier fails, until it works again."""

from collections.abc import Container
from typing import NamedTuple

from slicer.delivery.trouble import SPOOL
from slicer.engine import events
from slicer.engine.events import (
    Event,
    SliceJudged,
    SliceStored,
    StoreRecovered,
    SupplierRecovered,
    SupplierTrouble,
    TaskFinished,
)

_SUPPLIER = object()


class TaskTrouble(NamedTuple):
    """*what* in two or three words, *detail* as the engine tells it."""

    what: str
    detail: str


class TaskTroubles:
    """For the loop's thread. By task: what fails (a store by its label, the spool, the supplier),
    and the words for it."""

    def __init__(self) -> None:
        self._of: dict[str, dict[object, TaskTrouble]] = {}

    def of(self, task: str) -> tuple[TaskTrouble, ...]:
        """What fails now, the first of it first."""
        return tuple(self._of.get(task, {}).values())

    def on_event(self, event: Event) -> str | None:
        """Gives the task whose words are others now, if there is one.

        That a slice is stored or judged says as much as a recovery that was told: an event may have
        been missed.
        """
        match event:
            case events.TaskTrouble(task=task, store="", reason=reason):
                return self._set(task, "", TaskTrouble("Trouble", reason))
            case events.TaskTrouble(task=task, store=store, reason=reason):
                what = "Spool fails" if store == SPOOL else "Store fails"
                return self._set(task, store, TaskTrouble(what, f"{store}: {reason}"))
            case SupplierTrouble(task=task, reason=reason):
                return self._set(task, _SUPPLIER, TaskTrouble("Supplier fails", reason))
            case StoreRecovered(task=task, destination=store) if store != SPOOL:
                kept = {SPOOL, _SUPPLIER}
            case (
                StoreRecovered(task=task, destination=store)
                | SliceStored(task=task, destination=store)
            ):
                kept = self._of.get(task, {}).keys() - {store}
            case SupplierRecovered(task=task) | SliceJudged(task=task):
                kept = self._of.get(task, {}).keys() - {_SUPPLIER}
            case TaskFinished(task=task):
                kept = set()
            case _:
                return None
        return self._keep(task, kept)

    def retain(self, tasks: Container[str]) -> None:
        """Forget every other task."""
        self._of = {task: found for task, found in self._of.items() if task in tasks}

    def _set(self, task: str, of: object, trouble: TaskTrouble) -> str | None:
        before = self.of(task)
        self._of.setdefault(task, {})[of] = trouble
        return task if self.of(task) != before else None

    def _keep(self, task: str, kept: Container[object]) -> str | None:
        found = self._of.get(task)
        if found is None:
            return None
        left = {of: trouble for of, trouble in found.items() if of in kept}
        if left:
            self._of[task] = left
        else:
            del self._of[task]
        return task if len(left) < len(found) else None
