"""The engine: tasks by id, over shared rooms, stores and workers. Embed it:

async with slicer.Engine() as engine:
    task = await engine.create(TaskSpec(room="whip://127.0.0.1:8080/lobby", to="file:///tmp/s"))
    async with engine.events(task) as events:
        async for event in events: ...
"""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult

from slicer import hot
from slicer.background import Background
from slicer.clock import Clock, LoopClock
from slicer.delivery.decoding import Decoding
from slicer.delivery.encoding import EncodingPool
from slicer.delivery.judging import Judge, Outcome
from slicer.delivery.sharing import Sharing
from slicer.delivery.slices import SLICES, SliceStream, SliceStreams, of_task
from slicer.delivery.spool.spool import Spool
from slicer.engine import metrics
from slicer.engine.destination import Destination, Destinations, OutcomeRouter
from slicer.engine.destination_key import DestinationKey, Lookup
from slicer.engine.events import EventStream, EventStreams, TaskFinished
from slicer.engine.judges import Judges
from slicer.engine.metrics import TaskTotals
from slicer.engine.operation import Operation
from slicer.engine.reports import Confirm, ConfirmVerdict, TaskReports
from slicer.engine.running import RunningTask
from slicer.engine.sample import Sample
from slicer.engine.settings import Settings
from slicer.engine.spec import Moderation, TaskSpec
from slicer.engine.stages import Observe, Stages
from slicer.engine.task_status import TaskStatus, status_of
from slicer.errors import (
    BadInput,
    LimitReached,
    ModerationError,
    StorageError,
    TaskEnded,
    TaskNotExist,
    counted,
)
from slicer.media.naming import Names
from slicer.media.slice import File
from slicer.moderation import SupplierSpec
from slicer.moderation.local.supplier import check as check_local
from slicer.rooms import Authorize, Connector, Context, Room, connector, parse_room
from slicer.rooms.whip.address import check_user
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import Modified
from slicer.slicing.outputs import EndReason
from slicer.slicing.spec import AudioSpec, SliceParams
from slicer.slicing.subscription import Subscription

logger = logging.getLogger(__name__)

# Ended tasks that are still known to have ended.
MAX_ENDED = 1_000
PACE = 0.01
AUDIO_ALONE = SliceParams(AudioSpec(), None)


class Engine:
    """Runs tasks. Use it as an async context manager: leaving it stops and delivers everything.

    All methods are for the thread of the loop it was entered in; before, they raise RuntimeError.
    """

    def __init__(  # noqa: PLR0913 (each is one thing that who embeds it may decide)
        self,
        settings: Settings | None = None,
        *,
        lookup: Lookup | None = None,
        moderation: Callable[[str], Moderation | None] | None = None,
        confirm: Confirm | None = None,
        confirm_verdict: ConfirmVerdict | None = None,
        sharing: Sharing | None = None,
        authorize: Authorize | None = None,
        observe: Observe | None = None,
    ) -> None:
        """*lookup* finds the keys of stores that the spool has slices for (`storage`'s, without
        it), *moderation* who judges those of a task. *confirm* is awaited for each stored slice,
        before its record leaves the spool and before its task finishes (a queue of webhooks that
        keeps it); *confirm_verdict* likewise for each that was judged. *sharing*: what holds where
        other processes may have its tasks next. *authorize*: who may publish into our own rooms (as
        the `whip` settings say, without it). *observe*: a tracer."""
        self.settings = settings or Settings()
        self._lookup = lookup or (lambda _url, _task: self.settings.storage.credentials())
        self._moderation = moderation or (lambda _task: None)
        self._confirm, self._confirm_verdict, self._authorize = confirm, confirm_verdict, authorize
        self._observe, self._sharing = observe, sharing
        self._tasks: dict[str, RunningTask] = {}
        self._ended: dict[str, TaskFinished] = {}
        self._robots: dict[tuple[int, str, str], RunningTask] = {}
        self._streams = EventStreams()
        self._slices = SliceStreams()
        self._connectors: dict[str, Connector] = {}
        self._background = Background()
        self._totals = TaskTotals(Counter(), Counter())
        self._closed: asyncio.Task[None] | None = None
        self._entered = False
        self._clock: Clock
        self._context: Context
        self._destinations: Destinations
        self.operation: Operation

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("engine: entered before; each `async with` takes a new one")
        hot.check()
        check_local(self.settings.moderation)
        self._clock = LoopClock()
        self._context = Context(
            self._clock,
            self.settings.whip,
            self._authorize,
            self._pace,
            self.settings.http,
            stream=self.settings.stream,
            rtp=self.settings.rtp,
            trtc=self.settings.trtc,
            whep=self.settings.whep,
            livekit=self.settings.livekit,
            janus=self.settings.janus,
        )
        self._spool = await self._open_spool()
        self._encoding = EncodingPool.open()
        self._decoding = Decoding(self._encoding)
        self._stages = Stages(self._clock, self._observe)
        self._reports = TaskReports(
            self._clock, self._streams.tell, self._confirm, self._confirm_verdict, self._stages
        )
        self._outcomes = OutcomeRouter(self._tasks.get, self._reports, self._clock)
        self._destinations = Destinations(
            self._encoding,
            self._clock,
            self.settings.outbox,
            self._outcomes,
            self._spool,
            self._judge_of,
            self._slices,
        )
        self._judges = Judges(
            self._clock,
            self.settings.moderation,
            self._reports.on_supplier_trouble,
            self._reports.on_supplier_recovered,
            lambda: [one.spec.moderation for one in self._tasks.values() if one.spec.moderation],
        )
        self.operation = Operation(
            self._destinations, self._judges, self._encoding, self._spool, self._lookup
        )
        self._entered = True  # from here on there is something to close
        try:
            await self._destinations.recover(self._lookup)
        except OSError as error:
            await self._cannot_recover(error)
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def create(self, spec: TaskSpec) -> str:
        """Send a robot into the room. Gives the task's id once it is there.

        The same *user* of an *app* in the same *room* ends the task it had there. Raises BadInput
        before anything starts, StorageError where the store, if asked, refuses, RoomError likewise.
        """
        url, connector = self._checked(spec)
        task = spec.task or secrets.token_urlsafe(24)
        if task in self._tasks:
            raise BadInput("task", task, "an id that no task runs under")
        names = Names(spec.prefix, task, spec.app, spec.room_id or url.path.rpartition("/")[2])
        if self._closed is not None:
            raise LimitReached("engine: it is closing; allowed: tasks of another engine")
        if len(self._tasks) >= self.settings.engine.max_tasks:
            raise LimitReached(f"engine.max_tasks: {counted(len(self._tasks), 'task')} running")
        destination = await self._destinations.take(_destination(spec, task), spec.check_store)
        spec = replace(spec, params=self.settings.slicing.complete(spec.params))
        running = RunningTask(
            task,
            spec,
            names,
            destination.outbox,
            self._clock,
            self._streams.tell,
            decoding=self._decoding,
            confirm=self._confirm,
            confirm_verdict=self._confirm_verdict,
            stages=self._stages,
        )
        running.sharing, running.preroll = self._sharing, self.settings.slicing.preroll
        running.transcripts = self.settings.moderation.transcripts
        for slice_key in self._outcomes.take_adopted(task):
            running.adopt(slice_key)
        self._tasks[task] = running
        if spec.moderation is not None:
            running.judge = self._judges.get(spec.moderation)
        try:
            await self._enter(running, connector, url)
        except BaseException:
            running.driver.close()
            self._remove(task)
            self._outcomes.put_back(task, running.pending_keys)
            await self._destinations.give_back(destination)
            raise
        # Not before: a create that fails leaves the earlier task as it was.
        if not running.ended:
            self._replace(running)
        if not spec.check_store:
            self._background.start(self._check_store(running, destination))
        elif trouble := destination.outbox.trouble:
            running.on_store_trouble(trouble)
        if running.judge is not None and self.settings.moderation.check:
            self._background.start(self._check_supplier(task, running.judge))
        running.finished.add_done_callback(
            lambda finished: self._background.start(
                self._retire(task, destination, finished.result())
            )
        )
        return task

    async def judge(self, make: Callable[[], File], supplier: SupplierSpec) -> Outcome:
        """Have an audio file judged that is of no task; a thread makes it. Raises BadInput, and
        what *make* raises."""
        self._check_entered()
        self._judges.check(Moderation(supplier), AUDIO_ALONE)
        return await self._judges.judge(await self._encoding.make(Kind.AUDIO, make), supplier)

    def modify(self, task: str, subscription: Subscription) -> None:
        """Replace all four lists, at once. Raises TaskNotExist, TaskEnded."""
        self._running(task).driver.deliver(Modified(subscription))

    def describe(self, task: str) -> TaskStatus:
        """How the task is now. Raises TaskNotExist, TaskEnded."""
        return status_of(task, self._running(task))

    async def settled(self, task: str) -> bool:
        """Wait until every slice of a task that an earlier process left in the spool is stored or
        lost, and its event confirmed. False where the engine closes before."""
        return await self._outcomes.settled(task)

    def streams(self, task: str) -> int:
        """How many anchors the task cuts now. Raises TaskNotExist, TaskEnded."""
        return len({track.anchor for track in self._running(task).driver.task.tracks})

    def delete(self, task: str, reason: EndReason = EndReason.STOPPED) -> None:
        """Have the robot leave; deliveries go on. Raises TaskNotExist, TaskEnded."""
        self._running(task).stop(reason)

    async def finished(self, task: str) -> TaskFinished:
        """Wait until the robot has left and every slice is stored or lost. Raises TaskNotExist."""
        self._check_entered()
        if task in self._ended:
            return self._ended[task]
        if task not in self._tasks:
            raise TaskNotExist(f"no task {task}")
        return await asyncio.shield(self._tasks[task].finished)

    def events(self, task: str | None = None) -> EventStream:
        """All events from now on, of one task or of all.

        The task may be yet to come (`TaskSpec.task` names it); one that has ended gives its last
        event.
        """
        stream = self._streams.open(task)
        if task in self._ended:
            stream.tell(self._ended[task])
        return stream

    def slices(self, task: str | None = None) -> SliceStream:
        """The slices of tasks that have `slices:` as their store, of one task or of all, as bytes.

        The task may be yet to come. A slice is stored once its reader is done with it.
        """
        return self._slices.open(task, ended=task in self._ended)

    async def forget(self, task: str) -> None:
        """Wait until a task has ended, and know no more of it: it may be created again under its
        id."""
        if task in self._tasks:
            await self.finished(task)
        while task in self._tasks:  # noqa: ASYNC110 (until it is retired, at once)
            await asyncio.sleep(0)
        self._ended.pop(task, None)

    def metrics(self) -> list[Sample]:
        """Every counter there is, now; `engine.metrics.METRICS` says what each name means."""
        self._check_entered()
        delivery = (self._destinations, self._encoding, self._decoding, self._spool)
        return [
            *metrics.of_tasks(self._tasks.values(), self._totals),
            *self._stages.samples(),
            *metrics.of_events(self._streams),
            *metrics.of_rooms(self._connectors),
            *metrics.of_delivery(*delivery),
            *metrics.of_moderation(self._judges),
            Sample("slices_unread", self._slices.unread),
            Sample("background_work", len(self._background)),
        ]

    def resend(self) -> None:
        """Look up the keys again of stores that the spool has slices for and that stayed shut."""
        self._check_entered()
        self._destinations.resend(self._lookup)

    def connector(self, scheme: str) -> Connector:
        """The connector that rooms of this scheme share (where our own rooms listen, say)."""
        self._check_entered()
        return self._connector(scheme)

    async def close(self, resumed: bool = False) -> None:
        """Stop every task, deliver for `outbox.drain` seconds at most, give up the rest. *resumed*:
        the tasks go on in the next process; the log says so.

        May be called again, also while it goes on. Never entered, it has nothing to close.
        """
        if not self._entered:
            return
        if self._closed is None:
            self._closed = asyncio.ensure_future(self._close(resumed))
        await asyncio.shield(self._closed)

    async def _close(self, resumed: bool) -> None:
        running = list(self._tasks.values())
        for task in running:
            task.stop(EndReason.STOPPED, resumed)
        for destination in self._destinations.all():
            destination.outbox.hurry()
        self._judges.hurry()
        if running:
            ended = [task.finished for task in running]
            await asyncio.wait(ended, timeout=self.settings.outbox.drain)
        await self._decoding.close()
        await self._destinations.close()
        await self._judges.close()
        if self._spool is not None:
            await self._spool.close()
        await self._background.wait()
        for opened in self._connectors.values():
            self._background.start(opened.close())  # which logs what is raised
        await self._background.wait()
        self._outcomes.close()
        self._encoding.threads.shut_down(finish=False)
        await asyncio.to_thread(self._encoding.threads.join)
        self._streams.close()
        self._slices.close()

    async def _open_spool(self) -> Spool | None:
        """The spool, if one is set. Raises BadInput where it cannot be used, unless the settings
        do without; that is logged."""
        settings = self.settings.spool
        if not settings.folder:
            return None
        try:
            return await asyncio.to_thread(Spool.open, settings, self._clock, self._sharing)
        except OSError as error:
            self._without_spool(error)
            return None

    def _without_spool(self, error: OSError) -> None:
        settings = self.settings.spool
        if settings.required:
            reason = error.strerror or error
            allowed = f"a folder that can be written ({reason}), or spool.required = false"
            raise BadInput("spool.folder", settings.folder, allowed) from None
        logger.warning("! no spool, slices wait in memory alone: %s", error)

    async def _cannot_recover(self, error: OSError) -> None:
        try:
            self._without_spool(error)
        except BadInput:
            await self.close()
            raise

    def _checked(self, spec: TaskSpec) -> tuple[SplitResult, Connector]:
        """The room's URL and its connector. Raises BadInput where the task can never run."""
        self._check_entered()
        check_user("user", spec.user)
        url = parse_room(spec.room)
        connector = self._connector(url.scheme)
        connector.check(url)
        if spec.moderation is not None:
            self._judges.check(spec.moderation, spec.params)
        return url, connector

    async def _enter(self, running: RunningTask, connector: Connector, url: SplitResult) -> None:
        room: Room = await connector.open(url, running.spec.user, running.driver.deliver)
        if running.ended:  # stopped while the room opened: nobody else would leave it
            await room.leave()
            return
        running.room = room
        running.driver.bind(room)
        try:
            await room.enter()
        except BaseException:
            await room.leave()
            raise
        if running.ended:  # it may have been left before it was entered
            await room.leave()

    async def _check_store(self, running: RunningTask, destination: Destination) -> None:
        try:
            await destination.storage.check()
        except StorageError as error:
            running.on_store_trouble(error)

    async def _check_supplier(self, task: str, judge: Judge) -> None:
        try:
            await judge.judging.supplier.check()
        except ModerationError as error:
            self._reports.on_supplier_trouble(task, error)
            judge.judging.note_trouble(task, error)

    def _judge_of(self, task: str) -> Judge | None:
        moderation = self._moderation(task)
        try:
            return self._judges.get(moderation) if moderation is not None else None
        except BadInput as error:
            logger.warning("! task %s: %s", task, error)
            return None

    def _replace(self, running: RunningTask) -> None:
        """The newest task of a robot has its place; an earlier one that it had ends."""
        earlier = self._robots.get(_robot(running.spec))
        self._robots[_robot(running.spec)] = running
        if earlier is not None:
            earlier.stop(EndReason.REPLACED)

    def _remove(self, task: str) -> None:
        running = self._tasks.pop(task)
        if self._robots.get(_robot(running.spec)) is running:
            del self._robots[_robot(running.spec)]

    async def _retire(self, task: str, destination: Destination, finished: TaskFinished) -> None:
        self._totals.add(self._tasks[task], finished.reason)
        self._remove(task)
        self._ended[task] = finished
        self._slices.end(task)
        if len(self._ended) > MAX_ENDED:
            del self._ended[next(iter(self._ended))]
        self._judges.sweep()
        await self._destinations.give_back(destination)

    def _check_entered(self) -> None:
        """Raise RuntimeError where `async with` was forgotten: nothing would work, and no task
        would be ended."""
        if not self._entered:
            raise RuntimeError("engine: not entered; use `async with slicer.Engine() as engine:`")

    def _running(self, task: str) -> RunningTask:
        self._check_entered()
        if task in self._ended:
            raise TaskEnded(f"task {task} has ended")
        if task not in self._tasks:
            raise TaskNotExist(f"no task {task}")
        return self._tasks[task]

    def _connector(self, scheme: str) -> Connector:
        if scheme not in self._connectors:
            self._connectors[scheme] = connector(scheme, self._context)
        return self._connectors[scheme]

    async def _pace(self) -> None:
        """Rooms that make their own time wait here until outboxes and lanes are half empty."""
        while self._decoding.crowded or any(
            destination.outbox.crowded for destination in self._destinations.all()
        ):
            await self._clock.sleep(PACE)


def _destination(spec: TaskSpec, task: str) -> DestinationKey:
    """Where its slices go. Raises BadInput."""
    if spec.manifest and SLICES in (spec.to, spec.backup):
        raise BadInput("manifest", True, f"False with {SLICES}: a reader is given slices alone")
    to, backup = of_task("to", spec.to, task), of_task("backup", spec.backup, task)
    return DestinationKey(to, spec.credentials, backup, spec.backup_credentials)


def _robot(spec: TaskSpec) -> tuple[int, str, str]:
    """Who a task's robot is: there is one of each."""
    return spec.app, spec.room, spec.user
