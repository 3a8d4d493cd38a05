"""What concerns a whole task: its store, the spool or its supplier fails, until it works again."""

from collections.abc import Container

from slicer.delivery.trouble import SPOOL
from slicer.engine.events import (
    Event,
    SliceJudged,
    SliceStored,
    StoreRecovered,
    SupplierRecovered,
    SupplierTrouble,
    TaskFinished,
    TaskTrouble,
)

_SUPPLIER = object()


class TaskTroubles:
    """For the loop's thread. By task: what fails (a store by its label, the spool, the supplier),
    and the words for it."""

    def __init__(self) -> None:
        self._of: dict[str, dict[object, str]] = {}

    def of(self, task: str) -> str:
        """In words; empty where nothing fails."""
        return " · ".join(self._of.get(task, {}).values())

    def on_event(self, event: Event) -> str | None:
        """Gives the task whose words are others now, if there is one.

        That a slice is stored or judged says as much as a recovery that was told: an event may have
        been missed.
        """
        match event:
            case TaskTrouble(task=task, store=store, reason=reason):
                return self._set(task, store, f"{store}: {reason}" if store else reason)
            case SupplierTrouble(task=task, reason=reason):
                return self._set(task, _SUPPLIER, reason)
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

    def _set(self, task: str, what: object, words: str) -> str | None:
        before = self.of(task)
        self._of.setdefault(task, {})[what] = words
        return task if self.of(task) != before else None

    def _keep(self, task: str, kept: Container[object]) -> str | None:
        found = self._of.get(task)
        if found is None:
            return None
        left = {what: words for what, words in found.items() if what in kept}
        if left:
            self._of[task] = left
        else:
            del self._of[task]
        return task if len(left) < len(found) else None
