"""What an operator may see of the service, and may do: tasks, events, health, and what waits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from slicer.engine.engine import Engine
from slicer.engine.events import EventStream
from slicer.engine.operation import SpoolHealth, StoreHealth, SupplierHealth, WaitingSlice
from slicer.engine.task_status import TaskStatus
from slicer.errors import TaskEnded, TaskNotExist
from slicer.media.slice import File
from slicer.service.audit import Audit
from slicer.service.registry import Record, Registry
from slicer.webhooks.queue import Outcome, QueuedWebhook
from slicer.webhooks.sender import Sender

MAX_LISTED = 500
"""Callbacks that are listed of one kind."""


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task that has not ended. *created*: wall time in seconds; *status*: None while it is on its
    way into its room or out of it; *worker*: who has it in a fleet, nothing where nobody has, and
    None where there is no fleet; *unowned*: seconds for which nobody has had it who lives."""

    task: str
    app: int
    product: str
    room: str
    user: str
    created: float
    status: TaskStatus | None
    worker: str | None = None
    unowned: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """Everything outside that the service depends on. *callbacks*: how many wait (`waiting`), are
    given up (`given_up`), and what the sender has counted."""

    stores: list[StoreHealth]
    suppliers: list[SupplierHealth]
    spool: SpoolHealth | None
    callbacks: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits: slices for a store or a verdict, callbacks for their receiver."""

    slices: list[WaitingSlice]
    callbacks: list[QueuedWebhook]


class Operations:
    """For the loop's thread. *folder*: where what must survive the service is kept."""

    def __init__(
        self, engine: Engine, registry: Registry, sender: Sender, audit: Audit, folder: Path
    ) -> None:
        self._engine, self._registry, self._sender = engine, registry, sender
        self.audit, self.folder = audit, folder

    def tasks(self) -> list[TaskView]:
        """Those that have not ended, oldest first."""
        return [
            task_view(record, self._status(record.task)) for record in self._registry.unfinished()
        ]

    def events(self) -> EventStream:
        """All events from now on."""
        return self._engine.events()

    def watch(
        self, watch: Callable[[File], None] | None, looked_at: Callable[[], bool] = lambda: False
    ) -> None:
        """Be told of each file that is made; None: no longer. *looked_at*: as an Operation's."""
        self._engine.operation.watch(watch, looked_at)

    async def health(self) -> Health:
        """How everything is now."""
        operation = self._engine.operation
        counts = await self._sender.counts()
        callbacks = {outcome.name.lower(): count for outcome, count in counts.items()}
        callbacks |= {name: self._sender.counters[name] for name in ("delivered", "failed")}
        return Health(operation.stores(), operation.suppliers(), operation.spool(), callbacks)

    async def waiting(self) -> Waiting:
        """What waits now, within MAX_LISTED; of callbacks also those given up."""
        found = [
            one
            for outcome in (Outcome.GIVEN_UP, Outcome.WAITING)
            for one in await self._sender.listed(outcome, MAX_LISTED)
        ]
        return Waiting(self._engine.operation.waiting(), found)

    def try_slices_again(self) -> int:
        """Ask stores and suppliers now. Gives how many slices wait."""
        return self._engine.operation.try_again()

    async def try_callbacks_again(self) -> int:
        """Send now what waits, and anew what was given up. Gives how many."""
        return await self._sender.try_again()

    def drop_slice(self, key: str, reason: str) -> bool:
        """Give up a slice that waits; it is told as lost."""
        return self._engine.operation.drop(key, reason)

    async def drop_callback(self, webhook: str, reason: str) -> bool:
        """Give up a callback that waits."""
        return await self._sender.drop(webhook, reason)

    def _status(self, task: str) -> TaskStatus | None:
        try:
            return self._engine.describe(task)
        except (TaskNotExist, TaskEnded):
            return None


def task_view(
    record: Record,
    status: TaskStatus | None,
    worker: str | None = None,
    unowned: float | None = None,
) -> TaskView:
    """A record as a console shows it; all else as a TaskView has it."""
    order = record.order
    about = (record.app, order.product.name.lower(), order.room_id, order.user_id, record.created)
    return TaskView(record.task, *about, status, worker, unowned)
