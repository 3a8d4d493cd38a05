"""The newest slices of all tasks, for their time lines: what each is, and what became of it."""

from collections import OrderedDict
from dataclasses import dataclass

from slicer.console.media import identity_of
from slicer.console.verdict import Judgement
from slicer.media.slice import SliceInfo

MAX_ENTRIES = 20_000
"""Slices of all tasks together; the oldest go first."""


@dataclass(slots=True)
class Entry:
    """One slice. *state*: made, stored, unkept or lost; *reason*: why it is lost; *store*: label
    of the one that has it."""

    slice: SliceInfo
    state: str = "made"
    reason: str = ""
    store: str = ""
    judgement: Judgement | None = None


class History:
    """Slices by their identity, within MAX_ENTRIES."""

    def __init__(self, most: int = MAX_ENTRIES) -> None:
        self._most = most
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._tasks: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def note(self, slice: SliceInfo) -> Entry:
        """The entry of a slice, made if need be; what is known of it now."""
        identity = identity_of(slice.key)
        entry = self._entries.get(identity)
        if entry is None:
            entry = self._entries[identity] = Entry(slice)
            self._tasks.setdefault(slice.task, {})[identity] = None
            if len(self._entries) > self._most:
                self._forget(next(iter(self._entries)))
        elif slice.size or not entry.slice.size:
            entry.slice = slice
        return entry

    def find(self, identity: str) -> Entry | None:
        """A slice, if it is still known."""
        return self._entries.get(identity)

    def of_task(self, task: str, limit: int) -> list[tuple[str, Entry]]:
        """The latest slices of a task with their identities, oldest first."""
        known = list(self._tasks.get(task, ()))[-limit:]
        return [(identity, self._entries[identity]) for identity in known]

    def _forget(self, identity: str) -> None:
        task = self._entries.pop(identity).slice.task
        del self._tasks[task][identity]
        if not self._tasks[task]:
            del self._tasks[task]
