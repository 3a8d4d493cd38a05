"""What the service keeps of its tasks: a record each, in one place or another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from slicer.errors import TaskEnded, TaskNotExist
from slicer.service.leave_code import LeaveCode
from slicer.service.order import Order, Product
from slicer.slicing.subscription import Subscription


@dataclass(frozen=True, slots=True)
class Record:
    """One task. *code*: why its robot left or is leaving; *ended*: when its last slice was settled;
    the order of a task that has ended has no secrets any more."""

    task: str
    app: int
    order: Order
    created: float
    expires: float
    code: LeaveCode | None = None
    ended: float | None = None


class Registry(Protocol):
    """The records by id; looking one up never waits, and what a method changes is safe before it
    returns: on the disk (sqlite_registry.py), or on the servers of a fleet (fleet_registry.py).

    A method that changes something raises where that is not certain; it may be tried again. Times
    are wall time in seconds. Whether a caller may see a task is checked by the service.
    """

    def get(self, task: str) -> Record | None:
        """The record of this id."""
        ...

    def unfinished(self) -> Iterator[Record]:
        """Those that have not ended, oldest first."""
        ...

    def unfinished_of(self, app: int) -> Iterator[Record]:
        """Those of one application; other applications' tasks cost nothing."""
        ...

    def epoch(self, task: str) -> int | None:
        """In which epoch this process has a task: another one from the next time that it has it,
        where other processes may have it meanwhile. None where it has it not."""
        ...

    def told(self, task: str) -> int:
        """Up to which of its first callbacks (1, 3) whoever had a task before has told them, where
        that is not known by their ids."""
        ...

    async def note_told(self, task: str, number: int) -> None:
        """Keep that for who has the task next, if that can be kept just now."""
        ...

    async def add(self, record: Record) -> None:
        """Keep a new task."""
        ...

    async def modify(self, task: str, lists: Subscription) -> None:
        """Keep a task's new lists; one that has ended meanwhile stays as it is."""
        ...

    async def leave(self, task: str, code: LeaveCode) -> None:
        """Keep that a task is being left: it is never taken up again. The first code stays. Nothing
        is kept where another process has the task by now; nor by `end`."""
        ...

    async def end(self, task: str, now: float, *, forget: bool = True) -> None:
        """Keep that a task is over, and forget its secrets, unless slices of it may still wait."""
        ...

    async def discard(self, task: str) -> None:
        """Forget a task whose creation failed, also while it is being added."""
        ...

    async def prune(self, before: float) -> int:
        """Forget tasks that ended earlier, and the oldest of too many, as far as that is this
        process's to do. Gives how many."""
        ...

    async def close(self) -> None:
        """May be called twice."""
        ...


def owned(registry: Registry, app: int, product: Product, task: str, now: float) -> Record:
    """The record of a task that has not ended, for who asks in an application's name; *now* is wall
    time in seconds. Raises TaskNotExist and TaskEnded."""
    record = registry.get(task)
    theirs = record is not None and (record.app, record.order.product) == (app, product)
    if record is None or not theirs or record.expires <= now:
        raise TaskNotExist(f"no task {task}")
    if record.ended is not None:
        raise TaskEnded(f"task {task} has ended")
    return record
