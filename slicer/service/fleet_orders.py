"""A copy of the API in a fleet: orders become records on the bus, which workers carry out."""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from slicer.background import Background
from slicer.clock import Clock
from slicer.engine.engine import Engine
from slicer.engine.sample import Sample
from slicer.engine.task_status import TaskStatus
from slicer.errors import BadInput, BusUnavailable, LimitReached, RoomError, SlicerError, TaskEnded
from slicer.fleet import record as records
from slicer.fleet.bus import Bus
from slicer.fleet.limits import SharedLimits
from slicer.fleet.metrics import of_planner
from slicer.fleet.planner import TICK, Assign, Planner
from slicer.fleet.planner import Order as Step
from slicer.fleet.table import Table
from slicer.rooms import Authorize
from slicer.rooms.whip.address import RoomAddress, listen_host
from slicer.rooms.whip.endpoint import Sessions
from slicer.rtp.parameters import Kind, Role
from slicer.service.applications import Application
from slicer.service.audio import AudioFile, JudgedAudio, judge_audio
from slicer.service.audit import Audit
from slicer.service.fleet_operations import FleetOperations
from slicer.service.fleet_registry import FleetRegistry
from slicer.service.leave_code import LeaveCode
from slicer.service.metrics import of_outcomes
from slicer.service.order import Order, Product
from slicer.service.plan import apps_of, plan, room_at
from slicer.service.ports import room_ports
from slicer.service.publishers import Lobby, Publishers
from slicer.service.registry import Record, owned
from slicer.service.service import HOUR
from slicer.service.settings import ServiceSettings
from slicer.service.worker import COUNTS
from slicer.slicing.outputs import State
from slicer.slicing.subscription import Subscription

logger = logging.getLogger(__name__)

ANSWER = 4.0
"""Seconds within which a worker must say whether a robot has joined. Later, its task goes on all
the same, here or on another worker."""
LOOK = 2.0
"""Seconds within which a worker must say how a task is."""
AGAIN = 1.0
"""Seconds until something on the bus that failed is tried again."""
RESTORE = 1.0
"""Seconds between two looks for records that others have overwritten."""
KEEP = 60.0
"""Seconds between two looks for tasks that ended long ago."""


class FleetOrders:
    """An OrderTaker. *engine*: judges files, and does nothing else. Call `start` once."""

    def __init__(  # noqa: PLR0913 (each is one part of the process, made where all are)
        self,
        bus: Bus,
        table: Table,
        registry: FleetRegistry,
        planner: Planner,
        *,
        limits: SharedLimits,
        publishers: Publishers,
        admit: Authorize,
        audit: Audit,
        engine: Engine,
        settings: ServiceSettings,
        clock: Clock,
        take_settings: Callable[[ServiceSettings], None] = lambda _: None,
        callbacks: Counter[str] | None = None,
    ) -> None:
        """*take_settings* hands the settings of `reload` on. *callbacks*: what became of those that
        this copy sends, for the metrics."""
        self._callbacks = Counter[str]() if callbacks is None else callbacks
        self._bus, self.table = bus, table
        self.registry = registry
        """What all processes know of the tasks."""
        self.planner = planner
        """Who lives, as far as this copy has heard, and what is under way."""
        self._engine, self._settings, self._clock = engine, settings, clock
        self._take_settings = take_settings
        self.limits = limits
        """What all copies have let in."""
        self._publishers, self._admit = publishers, admit
        self.audit = audit
        """What this copy was asked for and refused."""
        self._apps = {app.sdk_app_id: app for app in settings.apps}
        self._creating: dict[str, tuple[int, tuple[str, str]]] = {}
        """Of each task: its application, its room and its user."""
        self.operations: FleetOperations
        """What an operator may see; set by `ordering`."""
        self._background = Background()
        self._steps: asyncio.Queue[Step] = asyncio.Queue()
        self._running: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Know the workers, and see to it that each task has one."""
        for record in list(self.table.records.values()):
            self._plan(self.planner.receive(record, self._clock.now()))
        receive = self.planner.receive
        self.table.on_record.append(lambda one: self._plan(receive(one, self._clock.now())))
        await self._bus.hear_beats(lambda one: self._plan(receive(one, self._clock.now())))
        self._running = [
            asyncio.ensure_future(one())
            for one in (self._tick, self._carry_out, self._restore, self._prune)
        ]

    @property
    def busy(self) -> str:
        """Why orders cannot be carried out now, or nothing."""
        return self._bus.absence or self.table.absence

    async def create(self, app: Application, order: Order) -> str:
        """Have a worker send the robot; gives the task's id, which is on the bus by then. Raises
        BadInput, LimitReached, RoomError and BusUnavailable."""
        task = secrets.token_urlsafe(24)
        spec = plan(task, app, order, self._settings.vendors)
        robot = (spec.room, spec.user)
        self._check_streams(app, robot)
        self._creating[task] = (app.sdk_app_id, robot)
        now = self._now()
        expires = now + order.expire_hours * HOUR
        replaced = set(self._of_robot(app, robot))
        try:
            await self.registry.add(Record(task, app.sdk_app_id, order, now, expires))
            # Clocks of copies differ; what was written before this one has a lower revision.
            ours = self.table.records[task].revision
            earlier = (one for one in self._of_robot(app, robot) if self._revision(one) < ours)
            replaced.update(earlier)
            await self._begin(task)
        except BaseException:  # also where who asked gives up: they do not get the id
            self.planner.give_up(task)
            self._background.start(self.discard(task))
            raise
        finally:
            del self._creating[task]
        for other in replaced:
            self._background.start(self._replace(other))
        return task

    async def describe(self, app: Application, product: Product, task: str) -> TaskStatus:
        """How the task is now. Raises TaskNotExist, TaskEnded, and BusUnavailable while no server
        is there: what was known last may be long ago."""
        self._bus.check_connected()
        record = owned(self.registry, app.sdk_app_id, product, task, self._now())
        lists = record.order.params.subscription
        try:
            worker = self.registry.worker_of(task)
            answer = await self._bus.ask(worker, {"verb": "describe", "task": task}, LOOK)
            return status_from_json(task, answer["status"], lists)
        except (BusUnavailable, KeyError):  # on its way into its room, or out of it
            self._bus.check_connected()
            state = State.RECONNECTING if record.code is None else State.ENDED
            return TaskStatus(task, state, (), (), lists, 0, 0, 0)

    async def modify(
        self, app: Application, product: Product, task: str, lists: Subscription
    ) -> None:
        """Replace the lists. Raises TaskNotExist, TaskEnded and BusUnavailable."""
        if owned(self.registry, app.sdk_app_id, product, task, self._now()).code is not None:
            raise TaskEnded(f"task {task} is ending")
        await self.registry.modify(task, lists)

    async def delete(self, app: Application, product: Product, task: str) -> None:
        """Have the robot leave; deliveries go on. Raises TaskNotExist, TaskEnded and
        BusUnavailable."""
        owned(self.registry, app.sdk_app_id, product, task, self._now())
        await self.registry.leave(task, LeaveCode.STOPPED)

    async def judge(self, audio: AudioFile, supplier: str) -> JudgedAudio:
        """Have a file judged, in this process; nothing of it is kept. Raises BadInput."""
        began = self._clock.wall(self._clock.now())
        return await judge_audio(self._engine, audio, supplier, began)

    def whip_url(self, task: str) -> str:
        """Where publishers reach a task's room, without the user that follows, where it is one of
        ours and its worker has announced an address."""
        return self._publishers.url(task)

    def lobby(self) -> Sessions | None:
        """What leads publishers who come here to the worker that has their room; None where no
        application has rooms of ours."""
        port = next(room_ports(self._settings), None)
        if port is None:
            return None
        at = RoomAddress(listen_host(port.host), port.number, "")
        return Lobby(at, self._publishers.leading(self._admit))

    def reload(self, settings: ServiceSettings) -> None:
        """Take other applications. Raises BadInput, and nothing has changed then, where a task
        that has not ended would lose its own, or its room."""
        apps = apps_of(settings, self._apps, self.registry.unfinished())
        self._take_settings(settings)
        self._apps = apps

    async def metrics(self) -> list[Sample]:
        """The fleet as this copy sees it."""
        tasks = sum(1 for _ in self.registry.unfinished())
        fleet = of_planner(self.planner, tasks, self._clock.now())
        own = (
            Sample("fleet_messages_refused_total", self._bus.refused),
            Sample("fleet_records_unverified", self.table.foreign),
            *of_outcomes(self._callbacks),
            *self.audit.samples(),
            *self._publishers.samples(),
        )
        return [*self._engine.metrics(), *fleet, *own]

    async def close(self) -> None:
        """May be called twice."""
        for one in self._running:
            one.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._background.finish(LOOK)

    async def _begin(self, task: str) -> None:
        """Have its worker send the robot now. Raises what the worker did."""
        record = self.table.records[task]
        question = {
            "verb": "begin",
            "task": task,
            "record": records.to_json(record).decode(),
            "revision": record.revision,
        }
        try:
            answer = await self._bus.ask(record.worker, question, ANSWER)
        except BusUnavailable as error:
            logger.warning("! task %s is on its way: %s", task, error, extra={"task": task})
            return
        if error_of := answer.get("error"):
            raise error_from_json(error_of)

    async def discard(self, task: str) -> None:
        """Forget a task whose creation has failed, as soon as the bus lets us."""
        await self._kept(lambda: self.registry.discard(task))

    async def _replace(self, task: str) -> None:
        """Have a robot leave whose place another one has taken."""
        await self._kept(lambda: self.registry.leave(task, LeaveCode.REPLACED))

    async def _kept(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write until it is done."""
        while True:
            try:
                return await write()
            except BusUnavailable as error:
                logger.debug("a record is not written, and is tried again: %s", error)
                await self._clock.sleep(AGAIN)

    def _of_robot(self, app: Application, robot: tuple[str, str]) -> list[str]:
        """The tasks that have not ended of the robot of this room and user."""
        return [
            one.task
            for one in self.registry.unfinished_of(app.sdk_app_id)
            if (room_at(app, one.order), one.order.user_id) == robot
        ]

    def _revision(self, task: str) -> int:
        return self.table.records[task].revision

    def _check_streams(self, app: Application, robot: tuple[str, str]) -> None:
        """Raise LimitReached unless one more anchor may be sliced; each task counts for the anchors
        that its worker's heartbeat shows, and for one while it has none. The task that the new one
        replaces does not count; *robot*: the new one's room and user."""
        of_app = app.sdk_app_id
        robots = {task: its for task, (its_app, its) in self._creating.items() if its_app == of_app}
        for one in self.registry.unfinished_of(of_app):
            if one.code is None:
                robots[one.task] = (room_at(app, one.order), one.order.user_id)
        streams = sum(self._streams(task) for task, its in robots.items() if its != robot)
        if streams >= app.max_streams:
            raise LimitReached(f"max_streams: {streams} of {app.max_streams} streams are taken")

    def _streams(self, task: str) -> int:
        beat = self.planner.roster.beat(self.registry.worker_of(task))
        return beat.streams.get(task, 1) if beat is not None else 1

    def _plan(self, steps: list[Step]) -> None:
        for step in steps:
            self._steps.put_nowait(step)

    async def _tick(self) -> None:
        while True:
            self._plan(self.planner.handle_timer(self._clock.now()))
            await self._clock.sleep(TICK)

    async def _carry_out(self) -> None:
        while True:
            step = await self._steps.get()
            if isinstance(step, Assign):
                self._background.start(self._assign(step))
            else:
                await self._bus.push(step.record, step.worker)

    async def _assign(self, step: Assign) -> None:
        record = records.given(step.record, step.worker)
        about = {"task": record.task}
        try:
            if await self.table.write(record) is not None:
                logger.info("+ task %s goes to %s", record.task, step.worker, extra=about)
        except BusUnavailable as error:
            logger.debug("task %s is not assigned: %s", record.task, error)

    async def _restore(self) -> None:
        """Whoever starts later must find the fleet's own records. Copies alone see to that: a
        worker that lacks a key of theirs would write over what they have given away."""
        while True:
            await self._clock.sleep(RESTORE)
            try:
                await self.table.restore()
            except BusUnavailable as error:
                logger.debug("a record is not restored, and is tried again: %s", error)

    async def _prune(self) -> None:
        while True:
            await self._clock.sleep(KEEP)
            try:
                days = self._settings.serve.keep_ended
                await self.registry.prune(self._now() - days * 24 * HOUR)
            except BusUnavailable as error:
                logger.debug("nothing is forgotten now: %s", error)

    def _now(self) -> float:
        return self._clock.wall(self._clock.now()).timestamp()


def error_from_json(found: Mapping[str, str]) -> SlicerError:
    """The error that a worker met."""
    if "field" in found:
        return BadInput(found["field"], found["got"], found["allowed"])
    kinds = {"LimitReached": LimitReached}
    return kinds.get(found["kind"], RoomError)(found["text"])


def status_from_json(task: str, found: Mapping[str, Any], lists: Subscription) -> TaskStatus:
    """A status as its worker has it."""
    tracks = tuple((anchor, Kind[kind], Role[role]) for anchor, kind, role in found["tracks"])
    counts = dict(zip(COUNTS, found["counts"], strict=True))
    return TaskStatus(task, State[found["state"]], tuple(found["anchors"]), tracks, lists, **counts)
