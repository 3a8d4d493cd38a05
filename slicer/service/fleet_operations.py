"""What an operator may see of a fleet at a copy of the API: workers, tasks, callbacks that wait.

What a task cuts, its slices, stores and suppliers are at the worker that has it, and are shown by
that worker's own console.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slicer.clock import Clock
from slicer.engine.engine import Engine
from slicer.engine.events import EventStream
from slicer.errors import BusUnavailable
from slicer.fleet.bus import Bus
from slicer.fleet.facts import Facts
from slicer.fleet.placement import load_of
from slicer.fleet.planner import Planner
from slicer.media.slice import File
from slicer.service.audit import Audit
from slicer.service.fleet_registry import FleetRegistry
from slicer.service.operations import Health, TaskView, Waiting, task_view

MAX_TASKS = 2_000
"""Tasks that a page lists."""


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker. *state*: working, draining, or silent (it is not heard: dead, as far as can be
    known); *load*: from 0 to 1; *silence*: seconds since it was heard; *orders*: records that its
    heartbeat has not shown yet; *console*: its address, or nothing."""

    name: str
    state: str
    zone: str
    load: float
    tasks: int
    capacity: int
    orders: int
    silence: float
    console: str
    rooms: str
    version: str


@dataclass(frozen=True, slots=True)
class FleetView:
    """The fleet as a copy of the API sees it. *bus*: whether a server is there; *unowned*: tasks
    that nobody has who lives, and *longest*: the longest time of one, in seconds; *callbacks*:
    those that wait in the stream, None where that cannot be known now."""

    bus: bool
    workers: list[WorkerView]
    tasks: int
    unowned: int
    longest: float
    callbacks: int | None


class FleetOperations:
    """What a console asks for, beside `Operations`; for the loop's thread."""

    def __init__(  # noqa: PLR0913 (each is one part of the process, made where all are)
        self,
        bus: Bus,
        registry: FleetRegistry,
        planner: Planner,
        facts: Facts,
        folder: Path,
        *,
        engine: Engine,
        audit: Audit,
        clock: Clock,
        counters: Counter[str],
    ) -> None:
        """*engine*: has no tasks; *counters*: what became of callbacks that this copy sends."""
        self._bus, self._registry, self._planner, self._facts = bus, registry, planner, facts
        self._engine, self._clock, self._counters = engine, clock, counters
        self.audit, self.folder = audit, folder

    def tasks(self) -> list[TaskView]:
        """Those of the whole fleet that have not ended, oldest first; of more than MAX_TASKS those
        that nobody has before all others."""
        unowned = self._planner.unowned(self._clock.now())
        worker_of = self._registry.worker_of
        records = list(self._registry.unfinished())
        if len(records) > MAX_TASKS:
            records.sort(key=lambda record: (record.task not in unowned, record.created))
        return [
            task_view(record, None, worker_of(record.task), _rounded(unowned.get(record.task)))
            for record in records[:MAX_TASKS]
        ]

    async def fleet(self) -> FleetView:
        """Everything, now."""
        now, roster = self._clock.now(), self._planner.roster
        alive = {beat.worker for beat in roster.alive(now)}
        unowned = self._planner.unowned(now)
        workers = [
            WorkerView(
                beat.worker,
                ("draining" if beat.draining else "working") if beat.worker in alive else "silent",
                beat.zone,
                round(load_of(beat, self._planner.tasks_of(beat.worker)), 3),
                self._planner.tasks_of(beat.worker),
                beat.capacity,
                self._planner.orders_waiting(beat.worker),
                round(roster.silence(beat.worker, now), 1),
                beat.console,
                beat.rooms,
                beat.version,
            )
            for beat in [*roster.alive(now), *roster.dead(now)]
        ]
        longest = round(max(unowned.values(), default=0.0), 1)
        tasks = sum(1 for _ in self._registry.unfinished())
        workers.sort(key=lambda one: one.name)
        waiting = await self._waiting_callbacks()
        return FleetView(self._bus.connected, workers, tasks, len(unowned), longest, waiting)

    def events(self) -> EventStream:
        """None: tasks are elsewhere."""
        return self._engine.events()

    def watch(
        self, watch: Callable[[File], None] | None, looked_at: Callable[[], bool] = lambda: False
    ) -> None:
        """No file is made here."""

    async def health(self) -> Health:
        """Callbacks alone: stores and suppliers are the workers'."""
        counts = {name: self._counters[name] for name in ("delivered", "failed", "given_up")}
        waiting = await self._waiting_callbacks()
        return Health([], [], None, {**counts, "waiting": waiting or 0})

    async def waiting(self) -> Waiting:
        """Nothing that could be tried or dropped here."""
        return Waiting([], [])

    def try_slices_again(self) -> int:
        """None waits here."""
        return 0

    async def try_callbacks_again(self) -> int:
        """None: the stream gives them out again by itself."""
        return 0

    def drop_slice(self, _key: str, _reason: str) -> bool:
        """None waits here."""
        return False

    async def drop_callback(self, _webhook: str, _reason: str) -> bool:
        """None can be taken out of the stream."""
        return False

    async def _waiting_callbacks(self) -> int | None:
        try:
            return await self._facts.count()
        except BusUnavailable:
            return None


def _rounded(seconds: float | None) -> int | None:
    """Whole seconds: a page is told of changes, and this would be one all the time."""
    return None if seconds is None else round(seconds)
