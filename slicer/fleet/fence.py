"""Which slices a worker may deliver: those that it cut while their task was certainly its own.

A worker that was frozen, or cut off from the bus, goes on cutting while another one has its task.
No clock can tell how long. The bus can: all writes have one order, whoever makes them. So a slice
waits, once it is cut, until the worker has written something of its own, the *barrier*, and has
read everything up to it. What it then knows was true when the barrier was written, which is after
the cut:

    cut ─────▶ barrier written ─────▶ all read up to it
               the task has the epoch of the cut: deliver      another epoch: refuse

Who has the task next was given it by a later write, and joins later still. So no two epochs have
delivered slices of the same time. It holds however long anything takes and whatever clocks do. One
barrier serves all slices that wait when it is sent; while it is on its way, others gather for the
next one. Where the bus is away, slices wait, on the disk. So they do while what lies on the bus of
their task cannot be verified: it may be from another worker, which has keys that this one lacks.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ticket:
    """A slice that waits: its task, and the epoch in which it was cut."""

    number: int
    task: str
    epoch: int


class Fence:
    """Of one worker. *epoch_of*: the epoch in which it has a task, by all it has read; or None;
    *is_certain*: whether all that it has read of a task could be verified."""

    def __init__(
        self,
        epoch_of: Callable[[str], int | None],
        is_certain: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._epoch_of, self._is_certain = epoch_of, is_certain
        self._waiting: list[Ticket] = []
        self._under_way: list[Ticket] = []
        self._revision: int | None = None
        self._seen = 0
        self._numbers = 0

    def __len__(self) -> int:
        """Slices that wait."""
        return len(self._waiting) + len(self._under_way)

    def waits_for(self, task: str) -> bool:
        """Whether a slice of this task waits."""
        return any(one.task == task for one in (*self._waiting, *self._under_way))

    def add(self, task: str, epoch: int) -> Ticket:
        """A slice was cut."""
        self._numbers += 1
        ticket = Ticket(self._numbers, task, epoch)
        self._waiting.append(ticket)
        return ticket

    def begin(self) -> bool:
        """Whether to write a barrier now; if so, call `written` or `failed` after that."""
        if self._under_way or not self._waiting:
            return False
        self._under_way, self._waiting = self._waiting, []
        self._revision = None
        return True

    def written(self, revision: int) -> list[tuple[Ticket, bool]]:
        """The barrier has this place among all writes. Gives whose slices may be delivered."""
        self._revision = revision
        return self._settle()

    def failed(self) -> None:
        """It is not known to be written: another one is needed."""
        self._waiting = self._under_way + self._waiting
        self._under_way = []

    def seen(self, revision: int) -> list[tuple[Ticket, bool]]:
        """Everything up to this revision has been read. Gives whose slices may be delivered."""
        self._seen = max(self._seen, revision)
        return self._settle()

    def _settle(self) -> list[tuple[Ticket, bool]]:
        if self._revision is None or self._seen < self._revision or not self._under_way:
            return []
        under_way, self._under_way = self._under_way, []
        settled, uncertain = list[Ticket](), list[Ticket]()
        for one in under_way:
            (settled if self._is_certain(one.task) else uncertain).append(one)
        self._waiting = uncertain + self._waiting
        return [(one, self._epoch_of(one.task) == one.epoch) for one in settled]
