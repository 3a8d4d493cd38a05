"""A worker of a fleet: what the records say it has, its service does, and its heartbeat shows.

    records ▶ Ownership ▶ Start, Change, Stop ▶ Service (an engine, its rooms, its deliveries)
    slices, as soon as they are cut ▶ Gate: may they be delivered?

A task that goes to another worker by plan, since this one drains or somebody asks, is handed over:
its robot leaves, what it has cut passes the gate, and only then the task is given away. So nothing
of it is lost or doubled, and it is silent for as long as the next robot takes to join.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from slicer import __version__
from slicer.background import Background
from slicer.delivery.copies import BACKOFF, Copies
from slicer.engine.engine import Engine
from slicer.engine.task_status import TaskStatus
from slicer.errors import (
    BadInput,
    BusUnavailable,
    SlicerError,
    StorageError,
    TaskEnded,
    TaskNotExist,
    counted,
)
from slicer.fleet import record as records
from slicer.fleet.beat import EVERY, Beat
from slicer.fleet.bus import Bus
from slicer.fleet.gate import Gate
from slicer.fleet.ownership import Change, Ownership, Start, Step, Stop
from slicer.fleet.record import TaskRecord
from slicer.fleet.roster import Roster
from slicer.fleet.settings import FleetSettings
from slicer.fleet.table import Table
from slicer.service.fleet_registry import FleetRegistry
from slicer.service.service import Service

logger = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds that a creation which failed waits for who asked for it to discard it."""
REMEMBERED = 30.0
"""Seconds for which the outcome of a creation is known to who asks for it, and is waited for: who
asks waits for less, and takes an answer that does not come as one that is on its way."""
HANDED_OVER = 8
"""Tasks that are handed over at the same time."""
LOOK = 1.0
"""Seconds between two looks at how much of the machine is taken."""
LISTEN = 4 * EVERY
"""Seconds for which it is listened who else is there."""


class Worker:
    """Call `start` once, and `close` before the service's own."""

    def __init__(  # noqa: PLR0913 (each is one part of the process, made where all are)
        self,
        bus: Bus,
        table: Table,
        owns: Ownership,
        gate: Gate,
        copies: Copies | None = None,
        *,
        registry: FleetRegistry,
        service: Service,
        engine: Engine,
        settings: FleetSettings,
    ) -> None:
        self.draining = False
        self._bus, self._table, self._registry = bus, table, registry
        self._owns, self._gate, self._copies = owns, gate, copies
        self._service, self._engine, self._settings = service, engine, settings
        self._instance = os.urandom(8).hex()
        self._found = set[str]()
        """Tasks that were there at the start: they may have been this worker's before."""
        self._taking_over = asyncio.Lock()
        """One at a time: of many tasks that come at once, the first are delivered first."""
        self._begun: dict[str, asyncio.Future[SlicerError | None]] = {}
        self._background = Background()
        self._beating: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._others = Roster()
        self._namesakes: dict[str, int] = {}
        """The capacity of those that have this one's name as it starts, by instance."""
        self._cpu = self._spool = 0.0
        self._started = self._told = self._emptying = False

    @property
    def name(self) -> str:
        """What it is called on the bus."""
        return self._settings.name

    async def start(self) -> None:
        """Take up what it has. Raises BadInput where another worker has its name."""
        name = self._settings.name
        # All of them only where publishers are led to others' rooms: what each says grows with its
        # tasks, and so it costs the square of their number.
        await self._bus.hear_beats(self._hear, "*" if self._settings.rooms else name)
        self._looking = asyncio.ensure_future(self._look())
        self._beating = asyncio.ensure_future(self._beat())
        await asyncio.sleep(LISTEN)
        # Of several that start at the same time, one goes on.
        namesakes = self._namesakes.items()
        if any(capacity or instance < self._instance for instance, capacity in namesakes):
            await self.close()
            raise BadInput("fleet.name", name, "a name that no other worker has")
        self._started = True
        for record in list(self._table.records.values()):
            self._found.add(record.task)
            self._learn(record)
        self._table.on_record.append(self._learn)
        await self._bus.hear_pushes(name, self._table.learn)
        await self._bus.answer(name, self._instance, self._answer)

    def address_of(self, worker: str) -> str:
        """Where another worker that lives has announced its rooms, or nothing."""
        return self._others.rooms(worker, time.monotonic())

    async def drain(self) -> None:
        """Take no further tasks, and hand over those that are here, unless nobody could take
        them. Returns once all are gone. It may be begun again where it has failed."""
        self.draining = self._emptying = True
        self._others = Roster()
        try:
            hear_no_more = await self._bus.hear_beats(self._hear)
            try:
                await asyncio.sleep(LISTEN)
                await self._empty()
            finally:
                await hear_no_more()
        finally:
            self._emptying = False

    async def _empty(self) -> None:
        """Hand over what is here, as long as somebody takes it."""
        while tasks := list(self._owns.tasks()):
            if not self._anybody() and not await self._anybody_later():
                left = counted(len(tasks), "task")
                logger.warning("! no other worker takes over: %s left here", left)
                return
            await asyncio.gather(*(self.hand_over(task) for task in tasks[:HANDED_OVER]))

    def _anybody(self) -> bool:
        """Whether another worker takes tasks, as far as it has been heard."""
        return any(not beat.draining for beat in self._others.alive(time.monotonic()))

    async def _anybody_later(self) -> bool:
        """The same once more: while the bus was away nobody could be heard."""
        while True:
            connected = self._bus.connected
            await asyncio.sleep(LISTEN)
            if self._anybody() or (connected and self._bus.connected):
                return self._anybody()

    async def hand_over(self, task: str) -> None:
        """Have another worker take a task. One that is ending ends here."""
        record = self._registry.get(task)
        if record is None or record.code is not None or record.ended is not None:
            await asyncio.sleep(EVERY)
            return
        if not self._table.is_certain(task):  # or its slices would wait, and nobody have it
            logger.warning("! task %s is not handed over: its record cannot be verified", task)
            await asyncio.sleep(EVERY)
            return
        await self._service.let_go(task)
        await self._gate.passed(task)
        self._gate.shut(task)
        try:
            await self._registry.hand_over(task, self._settings.name)
        except BusUnavailable as error:
            logger.warning("! task %s is not handed over: %s", task, error)
            await self._take_up(self._table.records[task])

    async def close(self) -> None:
        """Be heard no more. May be called twice."""
        for one in filter(None, (self._beating, self._looking)):
            one.cancel()
            await asyncio.gather(one, return_exceptions=True)
        self._background.cancel()
        await self._background.wait()

    def _learn(self, record: TaskRecord) -> None:
        for step in self._owns.receive(record):
            self._carry_out(step)

    def _carry_out(self, step: Step) -> None:
        match step:
            case Start(record):
                self._background.start(self._take_up(record))
            case Change(record) if self._registry.get(record.task) is not None:
                self._service.change(record.task)
            case Stop(task):
                self._gate.shut(task)
                logger.info("- task %s is not this worker's any more", task, extra={"task": task})
                self._background.start(self._service.let_go(task))

    async def _take_up(self, record: TaskRecord) -> None:
        """Send a robot. The first one of a task is awaited by who ordered it."""
        task = record.task
        await self._service.gone(task)
        if not self._still_has(record):
            return
        self._gate.reopen(task)
        if record.epoch > 1 or task in self._found:
            taking_over = self._background.start(self._take_over(record))
            if record.code is not None:  # its end waits for what others have cut
                await asyncio.wait([taking_over], timeout=PATIENCE)
        if record.code is not None or record.epoch > 1:
            if record.previous:
                lost = f"worker {record.previous} is lost, and what it was cutting"
                rest = "what it had cut waits in its spool, for its next start"
                if self._copies is not None:
                    rest = "what it had cut is delivered by copies"
                text = f"{lost}; {self.name} goes on; {rest}"
                # The same id after a restart: this worker has told it already.
                await self._service.tell_trouble(task, text, f"lost.{record.epoch}")
            if self._still_has(record):  # what was told had to be written first
                self._service.take_up(task)
            return
        failed: SlicerError | None = None
        try:
            await self._service.begin(task)
        except TaskEnded:
            pass  # it was let go on its way: its record says the rest
        except SlicerError as error:
            failed = error
        begun = self._begun_of(task)
        if not begun.done():
            begun.set_result(failed)
        if failed is not None:
            await asyncio.sleep(PATIENCE)
            if self._still_has(record):  # who ordered it has died
                self._service.take_up(task)

    def _still_has(self, record: TaskRecord) -> bool:
        """Whether a task is this worker's, by the epoch of this record, and has an order."""
        return (
            self._owns.epoch(record.task) == record.epoch
            and self._registry.get(record.task) is not None
        )

    async def _take_over(self, record: TaskRecord) -> None:
        """Deliver what other workers have cut of a task, by the copies that they have left. A place
        that cannot be read is tried again for as long as the task is this worker's."""
        task, failures = record.task, 0
        while self._copies is not None and self._owns.epoch(task) == record.epoch:
            try:
                async with self._taking_over:
                    if self._owns.epoch(task) != record.epoch:
                        return
                    found = self._copies.of_others(task, record.epoch)
                    async with contextlib.aclosing(found):
                        count = await self._engine.operation.take_over(found)
            except (StorageError, OSError) as error:
                failures += 1
                if failures == 1:
                    about = {"task": task}
                    text = "! task %s: what others have cut cannot be read: %s"
                    logger.warning(text, task, error, extra=about)
                await asyncio.sleep(BACKOFF.after_failure(failures, 1.0))
            else:
                if count:
                    text = "+ task %s: %s that others have cut"
                    logger.info(text, task, counted(count, "slice"), extra={"task": task})
                return

    def _begun_of(self, task: str) -> "asyncio.Future[SlicerError | None]":
        loop = asyncio.get_running_loop()
        if task not in self._begun:
            self._begun[task] = loop.create_future()
            loop.call_later(REMEMBERED, self._begun.pop, task, None)
        return self._begun[task]

    async def _answer(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        task = str(question.get("task", ""))
        match question.get("verb"):
            case "begin":
                data = str(question["record"]).encode()
                self._table.learn(records.from_json(task, data, int(question["revision"])))
                begun = self._begun_of(task)
                # Nothing is begun where the record is another worker's by now.
                await asyncio.wait([begun], timeout=REMEMBERED)
                failed = begun.result() if begun.done() else None
                return {} if failed is None else {"error": error_to_json(failed)}
            case "describe":
                try:
                    return {"status": status_to_json(self._engine.describe(task))}
                except (TaskNotExist, TaskEnded):
                    return {}
            case "move" if self._owns.epoch(task) is not None:
                for one in self._together_with(task):
                    await self.hand_over(one)
                return {"moved": True}
            case "drain":
                if not self._emptying:
                    self._emptying = True  # it begins in a moment
                    self._background.start(self.drain())
                return {"tasks": len(self._owns.tasks())}
        return {}

    def _together_with(self, task: str) -> list[str]:
        """Those of this worker that have to be where this task is; it comes first."""
        records = self._table.records
        together = records[task].together
        others = [one for one in self._owns.tasks() if together and one != task]
        return [task, *(one for one in others if records[one].together == together)]

    def _hear(self, beat: Beat) -> None:
        if beat.instance == self._instance:
            return
        self._others.receive(beat, time.monotonic())
        if beat.worker != self._settings.name:
            return
        if not self._started:
            self._namesakes[beat.instance] = beat.capacity
        elif not self._told:
            self._told = True
            logger.error("! another worker has the name %r, too: end one of them", beat.worker)

    async def _beat(self) -> None:
        settings = self._settings
        while True:
            await self._bus.beat(
                Beat(
                    settings.name,
                    self._instance,
                    settings.zone,
                    self._engine.settings.engine.max_tasks if self._started else 0,
                    round(min(max(self._cpu, self._spool), 1.0), 3),
                    self.draining,
                    self._owns.tasks(),
                    self._streams(),
                    settings.rooms,
                    __version__,
                    settings.console,
                )
            )
            await asyncio.sleep(EVERY)

    async def _look(self) -> None:
        """See how much of this machine is taken. A disk that hangs must not hold heartbeats up."""
        busy, looked = time.process_time(), time.monotonic()
        while True:
            await asyncio.sleep(LOOK)
            now = time.monotonic()
            used = (time.process_time() - busy) / ((now - looked) * (os.cpu_count() or 1))
            self._cpu = 0.7 * self._cpu + 0.3 * used
            busy, looked = time.process_time(), now
            full, self._spool = self._spool >= 1.0, await self._engine.operation.spool_load()
            if not full and self._spool >= 1.0:
                logger.warning("! the spool is full: this worker is given no further tasks")
            elif full and self._spool < 1.0:
                logger.warning("+ the spool has room again")

    def _streams(self) -> dict[str, int]:
        found = {}
        for task in self._owns.tasks():
            with contextlib.suppress(TaskNotExist, TaskEnded):
                found[task] = self._engine.streams(task)
        return {task: streams for task, streams in found.items() if streams > 1}


def error_to_json(error: SlicerError) -> dict[str, str]:
    """An error that who asked is to raise."""
    if isinstance(error, BadInput):
        return {"field": error.field, "got": str(error.got), "allowed": error.allowed}
    return {"kind": type(error).__name__, "text": str(error)}


def status_to_json(status: TaskStatus) -> dict[str, Any]:
    """A status, without the lists, which the record has."""
    return {
        "state": status.state.name,
        "anchors": list(status.anchors),
        "tracks": [(anchor, kind.name, role.name) for anchor, kind, role in status.tracks],
        "counts": [getattr(status, name) for name in COUNTS],
    }


COUNTS = ("stored", "lost", "pending", "late", "judged", "unjudged")
"""The numbers of a status, in this order."""
