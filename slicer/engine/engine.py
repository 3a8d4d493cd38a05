"""The engine: tasks by id, over shared rooms, stores and workers. Embed it:

async with slicer.Engine() as engine:
    task = await engine.create(TaskSpec(room="whip://127.0.0.1:8080/lobby", to="file:///tmp/s"))
    async with engine.events(task) as events:
        async for event in events: ...
"""

import asyncio
import logging
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult

from slicer.clock import Clock, LoopClock
from slicer.delivery.encoding import EncodingPool
from slicer.delivery.spool.spool import Spool
from slicer.engine.destination import Destination, DestinationKey, Destinations, Lookup, Reports
from slicer.engine.events import EventStream, TaskEvent, TaskFinished
from slicer.engine.orphans import Orphans
from slicer.engine.running import Confirm, RunningTask
from slicer.engine.spec import TaskSpec
from slicer.errors import BadInput, LimitReached, StorageError, TaskNotExist, Unauthorized
from slicer.errors import TaskFinished as TaskHasFinished
from slicer.media.naming import Names
from slicer.rooms import Connector, Room, RoomSettings, connector, parse_room
from slicer.rtp.parameters import Kind
from slicer.settings import Settings
from slicer.slicing.facts import Modified
from slicer.slicing.outputs import LeaveCode, State
from slicer.slicing.subscription import Subscription
from slicer.usersig import SdkApp

logger = logging.getLogger(__name__)

# Ended tasks that are still known to have ended.
MAX_ENDED = 1_000
PACE = 0.01


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """What `describe` says. *tracks*: (anchor, kind) being cut now; *pending*: not yet stored;
    *late*: pictures ready more than 2 s after they were taken."""

    task: str
    state: State
    anchors: tuple[str, ...]
    tracks: tuple[tuple[str, Kind], ...]
    subscription: Subscription
    stored: int
    lost: int
    pending: int
    late: int = 0


class Engine:
    """Runs tasks. Use it as an async context manager: leaving it stops and delivers everything.

    All methods are for the thread of the loop it was entered in.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        lookup: Lookup | None = None,
        confirm: Confirm | None = None,
    ) -> None:
        """*lookup* finds the keys of stores that the spool has slices for (`storage`'s, without
        it). *confirm* is awaited for each stored slice, before its record leaves the spool and
        before its task finishes (a queue of webhooks that keeps it)."""
        self.settings = settings or Settings()
        self._lookup = lookup or (lambda _url, _task: self.settings.storage.credentials())
        self._confirm = confirm
        self._tasks: dict[str, RunningTask] = {}
        self._ended: dict[str, TaskFinished] = {}
        self._streams: list[EventStream] = []
        self._connectors: dict[str, Connector] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._closed: asyncio.Task[None] | None = None
        self._clock: Clock
        self._rooms: RoomSettings
        self._destinations: Destinations

    async def __aenter__(self) -> Self:
        self._clock = LoopClock()
        self._rooms = self._room_settings()
        self._encoding = EncodingPool.open()
        self._spool = await self._open_spool()
        orphans = Orphans(self._clock, self._tell, self._confirm)
        self._reports = Reports(self._tasks.get, orphans, self._clock)
        self._destinations = Destinations(
            self._encoding, self._clock, self.settings.outbox, self._reports, self._spool
        )
        await self._recover()
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
        before anything starts, StorageError where the store would refuse (if it is to be asked),
        RoomError where the room does.
        """
        url = parse_room(spec.room)
        connector = self._connector(url.scheme)
        connector.check(url)
        task = spec.task or secrets.token_urlsafe(24)
        if task in self._tasks:
            raise BadInput("task", task, "an id that no task runs under")
        names = Names(spec.prefix, task, spec.app, spec.room_id or url.path.rpartition("/")[2])
        if self._closed is not None:
            raise LimitReached("engine: it is closing; allowed: tasks of another engine")
        if len(self._tasks) >= self.settings.engine.max_tasks:
            raise LimitReached(f"engine.max_tasks: {len(self._tasks)} tasks are running")
        key = DestinationKey(spec.to, spec.credentials, spec.backup, spec.backup_credentials)
        destination = await self._destinations.take(key, spec.check_store)
        running = RunningTask(
            task, spec, names, destination.outbox, self._clock, self._tell, self._confirm
        )
        self._replace(spec)
        self._tasks[task] = running
        try:
            await self._enter(running, connector, url)
        except BaseException:
            del self._tasks[task]
            await self._destinations.give_back(destination)
            raise
        if not spec.check_store:
            self._spawn(self._check_store(running, destination))
        running.finished.add_done_callback(
            lambda finished: self._spawn(self._retire(task, destination, finished.result()))
        )
        return task

    def modify(self, task: str, subscription: Subscription) -> None:
        """Replace all four lists, at once. Raises TaskNotExist, TaskFinished."""
        self._running(task).driver.deliver(Modified(subscription))

    def describe(self, task: str) -> TaskStatus:
        """How the task is now. Raises TaskNotExist, TaskFinished."""
        running = self._running(task)
        core = running.driver.task
        tracks = tuple((track.anchor, track.kind) for track in sorted(core.tracks))
        return TaskStatus(
            task,
            core.state,
            core.anchors,
            tracks,
            core.subscription,
            running.stored,
            running.lost,
            running.pending,
            running.late,
        )

    def delete(self, task: str, code: LeaveCode = LeaveCode.STOPPED) -> None:
        """Have the robot leave; deliveries go on. Raises TaskNotExist, TaskFinished."""
        self._running(task).stop(code)

    async def finished(self, task: str) -> TaskFinished:
        """Wait until the robot has left and every slice is stored or lost. Raises TaskNotExist."""
        if task in self._ended:
            return self._ended[task]
        if task not in self._tasks:
            raise TaskNotExist(f"no task {task}")
        return await asyncio.shield(self._tasks[task].finished)

    def events(self, task: str | None = None) -> EventStream:
        """All events from now on, of one task or of all."""
        self._streams = [stream for stream in self._streams if not stream.closed]
        stream = EventStream(task)
        self._streams.append(stream)
        return stream

    def resend(self) -> None:
        """Look up the keys again of stores that the spool has slices for and that stayed shut."""
        self._destinations.resend(self._lookup)

    def connector(self, scheme: str) -> Connector:
        """The connector that rooms of this scheme share (where our own rooms listen, say)."""
        return self._connector(scheme)

    async def close(self) -> None:
        """Stop every task, deliver for `outbox.drain` seconds at most, give up the rest.

        May be called again, also while it goes on.
        """
        if self._closed is None:
            self._closed = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closed)

    async def _close(self) -> None:
        running = list(self._tasks.values())
        for task in running:
            task.stop(LeaveCode.STOPPED)
        for destination in self._destinations.all():
            destination.outbox.hurry()
        if running:
            await asyncio.wait(
                [task.finished for task in running], timeout=self.settings.outbox.drain
            )
        await self._destinations.close()
        if self._spool is not None:
            await self._spool.close()
        while self._retiring:
            await asyncio.wait(self._retiring)
        for opened in self._connectors.values():
            await opened.close()
        self._reports.close()
        self._encoding.threads.shut_down(finish=False)
        await asyncio.to_thread(self._encoding.threads.join)
        for stream in self._streams:
            stream.close()

    async def _open_spool(self) -> Spool | None:
        """The spool, if one is set. A disk that fails is told loudly, and goes without."""
        if not self.settings.spool.folder:
            return None
        try:
            return await asyncio.to_thread(Spool.open, self.settings.spool, self._clock)
        except OSError as error:
            logger.warning("! no spool, slices wait in memory alone: %s", error)
            return None

    async def _recover(self) -> None:
        try:
            await self._destinations.recover(self._lookup)
        except OSError as error:
            logger.warning("! the spool cannot be read, what it holds is not sent: %s", error)

    async def _enter(self, running: RunningTask, connector: Connector, url: SplitResult) -> None:
        room: Room = await connector.open(url, running.spec.user, running.driver.deliver)
        running.room = room
        running.driver.bind(room)
        try:
            await room.enter()
        except BaseException:
            await room.leave()
            raise

    async def _check_store(self, running: RunningTask, destination: Destination) -> None:
        try:
            await destination.storage.check()
        except StorageError as error:
            running.on_trouble(error)

    def _replace(self, spec: TaskSpec) -> None:
        robot = (spec.app, spec.room, spec.user)
        for running in list(self._tasks.values()):
            if (running.spec.app, running.spec.room, running.spec.user) == robot:
                running.stop(LeaveCode.REPLACED)

    async def _retire(self, task: str, destination: Destination, finished: TaskFinished) -> None:
        del self._tasks[task]
        self._ended[task] = finished
        if len(self._ended) > MAX_ENDED:
            del self._ended[next(iter(self._ended))]
        await self._destinations.give_back(destination)

    def _running(self, task: str) -> RunningTask:
        if task in self._ended:
            raise TaskHasFinished(f"task {task} has ended")
        if task not in self._tasks:
            raise TaskNotExist(f"no task {task}")
        return self._tasks[task]

    def _connector(self, scheme: str) -> Connector:
        if scheme not in self._connectors:
            self._connectors[scheme] = connector(scheme, self._clock, self._rooms)
        return self._connectors[scheme]

    def _room_settings(self) -> RoomSettings:
        rooms = replace(self.settings.rooms, pace=self._pace)
        return replace(rooms, authorize=self._authorize) if self.settings.app.usersig_key else rooms

    def _authorize(self, _room: str, user: str, bearer: str | None) -> None:
        app = SdkApp(self.settings.app.sdk_app_id, self.settings.app.usersig_key)
        if bearer is None:
            raise Unauthorized("bearer token: missing; allowed: the user's UserSig")
        app.verify_usersig(bearer, user, self._clock.wall(self._clock.now()).timestamp())

    async def _pace(self) -> None:
        """Rooms that make their own time wait here until outboxes are half empty."""
        while any(  # noqa: ASYNC110 (nobody else waits for this)
            destination.outbox.crowded for destination in self._destinations.all()
        ):
            await asyncio.sleep(PACE)

    def _tell(self, event: TaskEvent) -> None:
        for stream in self._streams:
            if not stream.closed:
                stream.tell(event)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
