"""Carries orders out with one engine: rooms and stores by the settings, limits, restarts.

A task is in the registry before Create answers with its id, and its leaving before the webhook is
queued. Between the two, every restart takes the task up again under its id. A robot that was
deleted, idle, replaced or thrown out is never sent again, unless another process has the task by
then: what becomes of this one's robot ends nothing.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial

from slicer.background import Background
from slicer.clock import Clock, Timer
from slicer.delivery.throttle import Throttle
from slicer.engine.engine import Engine
from slicer.engine.events import (
    Event,
    EventsMissed,
    EventStream,
    RobotLeft,
    SliceLost,
    TaskFinished,
)
from slicer.engine.sample import Sample
from slicer.engine.task_status import TaskStatus
from slicer.errors import (
    BadInput,
    LimitReached,
    RoomError,
    SlicerError,
    TaskEnded,
    TaskNotExist,
    counted,
)
from slicer.service.applications import Application
from slicer.service.audio import AudioFile, JudgedAudio, judge_audio
from slicer.service.leave_code import LEAVE_CODES, LeaveCode
from slicer.service.messages import Code
from slicer.service.metrics import of_callbacks
from slicer.service.notifier import Notifier
from slicer.service.operations import Operations
from slicer.service.order import Order, Product
from slicer.service.plan import apps_of, named, plan, room_at
from slicer.service.registry import Record, Registry, owned
from slicer.service.retry import retry
from slicer.service.settings import ServiceSettings
from slicer.slicing.outputs import EndReason, State
from slicer.slicing.subscription import Subscription
from slicer.webhooks.sender import Sender

logger = logging.getLogger(__name__)

HOUR, DAY = 3_600.0, 86_400.0
PATIENCE = 5.0
"""Seconds until a write that the registry failed is tried again."""


class Service:
    """An OrderTaker. Call `start` once, and `close` instead of the engine's own."""

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        notifier: Notifier,
        settings: ServiceSettings,
        clock: Clock,
        take_settings: Callable[[ServiceSettings], None] = lambda _: None,
        sender: Sender | None = None,
    ) -> None:
        """*take_settings* hands the settings of `reload` on; it may raise BadInput. *sender*: of
        callbacks, for the metrics."""
        self._engine, self._registry, self._notifier = engine, registry, notifier
        self._settings, self._clock, self._take_settings = settings, clock, take_settings
        self._sender = sender
        self._apps = {app.sdk_app_id: app for app in settings.apps}
        self._creating: dict[str, tuple[int, str, str]] = {}
        self._sending: dict[str, asyncio.Future[LeaveCode | None]] = {}
        """Robots of tasks that are known, on their way into their rooms."""
        self._following: dict[str, asyncio.Task[None]] = {}
        self._lifetimes: dict[str, Timer] = {}
        self._let_go: dict[str, asyncio.Event] = {}
        """Tasks that others have, or will have, and that have not ended here; set: the robot has
        left."""
        self._background = Background()
        self._not_begun = ""
        self._refusals = Throttle(clock, self._tell_not_begun)
        self._closing = False
        self.operations: Operations
        """What an operator may see and do; set by `serving`."""

    @property
    def busy(self) -> str:
        """Why orders cannot be carried out now, or nothing."""
        return "ending" if self._closing else ""

    async def start(self) -> None:
        """Take up every task that has not ended; those that were being left are ended."""
        await self._prune()
        for record in self._registry.unfinished():
            self.take_up(record.task)

    def take_up(self, task: str) -> None:
        """Send the robot of another process again; end a task that was being left."""
        record, epoch = self._record(task), self._registry.epoch(task)
        if record.code is None:
            self._background.start(self._resume(task, epoch))
        else:
            self._background.start(self._bury(task, record.code, epoch))

    async def begin(self, task: str) -> None:
        """Send the robot of a task that another process was told to create. Raises as `create`, and
        TaskEnded where the task is let go meanwhile."""
        order, epoch = self._record(task).order, self._registry.epoch(task)
        self._notifier.expect(task)
        events = self._engine.events(task)
        try:
            await self._sent(task, self._send_again(task))
        except BaseException as error:
            events.close()
            self._notifier.over(task)
            raise named(error, order) from None
        self._follow(task, events, epoch)

    def change(self, task: str) -> None:
        """A task's record was changed by another process: carry it out."""
        record = self._record(task)
        if task in self._let_go:
            return
        if record.code is not None:
            self._stop(task, record.code)
            return
        with contextlib.suppress(TaskNotExist, TaskEnded):  # it is coming, or has just gone
            if self._engine.describe(task).subscription != record.order.params.subscription:
                self._engine.modify(task, record.order.params.subscription)

    async def let_go(self, task: str) -> None:
        """Have the robot leave, for another process has the task, or will have it: nothing of that
        is told. Returns once it has left; what it cut is delivered all the same, where it may
        be."""
        if task not in self._let_go:
            left = self._let_go[task] = asyncio.Event()
            if task in self._lifetimes:
                self._lifetimes.pop(task).cancel()
            if task in self._sending:
                self._sending[task].cancel()
                await asyncio.wait([self._sending[task]])
            with contextlib.suppress(TaskNotExist, TaskEnded):
                self._engine.delete(task)
            if task not in self._following:
                del self._let_go[task]
                left.set()
                return
        await self._let_go[task].wait()

    async def gone(self, task: str) -> None:
        """Wait until nothing is left here of a task that was let go."""
        while task in self._let_go:
            if task in self._following:
                await asyncio.wait([self._following[task]])
            else:
                await self._let_go[task].wait()

    async def metrics(self) -> list[Sample]:
        """Every counter there is, now: the engine's, and those of `service.metrics.METRICS`."""
        callbacks = [] if self._sender is None else await of_callbacks(self._sender)
        return [*self._engine.metrics(), *callbacks, *self.operations.audit.samples()]

    async def create(self, app: Application, order: Order) -> str:
        """Send the robot; gives the task's id, which is on disk by then.

        Raises BadInput, LimitReached and RoomError.
        """
        task = secrets.token_urlsafe(24)
        spec = plan(task, app, order, self._settings.vendors)
        self._check_streams(app, spec.room, spec.user)
        self._creating[task] = (app.sdk_app_id, spec.room, spec.user)
        self._notifier.expect(task)
        events = self._engine.events(task)
        try:
            await self._engine.create(spec)
            now = self._now()
            expires = now + order.expire_hours * HOUR
            await self._registry.add(Record(task, app.sdk_app_id, order, now, expires))
        except BaseException as error:
            events.close()
            self._background.start(self._abandon(task))
            if isinstance(error, RoomError):  # no doing of the caller's: an operator must know
                self._not_begun = f"room {order.room_id!r} of application {app.sdk_app_id}: {error}"
                self._refusals.add()
            raise named(error, order) from None
        finally:
            del self._creating[task]
        self._follow(task, events, self._registry.epoch(task))
        return task

    async def describe(self, app: Application, product: Product, task: str) -> TaskStatus:
        """How the task is now. Raises TaskNotExist and TaskEnded."""
        record = self._owned(app, product, task)
        try:
            return self._engine.describe(task)
        except TaskNotExist:  # on its way back into its room, or just given up
            state = State.RECONNECTING if record.code is None else State.ENDED
            lists = record.order.params.subscription
            return TaskStatus(task, state, (), (), lists, 0, 0, 0)

    async def modify(
        self, app: Application, product: Product, task: str, lists: Subscription
    ) -> None:
        """Replace the lists. Raises TaskNotExist, and TaskEnded also while the robot leaves."""
        if self._owned(app, product, task).code is not None:
            raise TaskEnded(f"task {task} is ending")
        # Who asks may give up; what is on disk and what runs must agree all the same.
        await asyncio.shield(self._background.start(self._modify(task, lists)))

    async def delete(self, app: Application, product: Product, task: str) -> None:
        """Have the robot leave; deliveries go on. Raises TaskNotExist and TaskEnded."""
        self._owned(app, product, task)
        await asyncio.shield(self._background.start(self._delete(task)))

    async def judge(self, audio: AudioFile, supplier: str) -> JudgedAudio:
        """Have a file judged; nothing of it is kept. Raises BadInput."""
        began = self._clock.wall(self._clock.now())
        return await judge_audio(self._engine, audio, supplier, began)

    def whip_url(self, _task: str) -> str:
        """Nothing: publishers know this process, which has all rooms."""
        return ""

    def reload(self, settings: ServiceSettings) -> None:
        """Take other applications, and who may publish; all else stays. Tasks are not touched.

        Raises BadInput, and nothing has changed then, where a task that has not ended would lose
        its application or its room: the users of another one could publish into that room.
        """
        apps = apps_of(settings, self._apps, self._registry.unfinished())
        self._take_settings(settings)
        self._apps = apps

    def unfinished(self) -> list[str]:
        """The ids of all tasks that have not ended, oldest first."""
        return [record.task for record in self._registry.unfinished()]

    async def close(self) -> None:
        """Close the engine. Tasks that nobody ended stay as they are, for the next start."""
        self._closing = True
        self._refusals.close()
        for sending in self._sending.values():
            sending.cancel()
        for timer in self._lifetimes.values():
            timer.cancel()
        await self._engine.close(resumed=True)
        await self._background.wait()

    def _tell_not_begun(self, count: int) -> None:
        logger.warning("! %s could not be begun: %s", counted(count, "task"), self._not_begun)

    def _owned(self, app: Application, product: Product, task: str) -> Record:
        return owned(self._registry, app.sdk_app_id, product, task, self._now())

    def _check_streams(self, app: Application, room: str, user: str) -> None:
        """Raise LimitReached unless one more anchor may be sliced. Looks at the application's own
        tasks, of which there are no more than `max_streams`.

        Every task counts for the anchors it slices, and for one while it has none; the task that
        the new one replaces does not count.
        """
        robots = {
            task: robot for task, robot in self._creating.items() if robot[0] == app.sdk_app_id
        }
        for record in self._registry.unfinished_of(app.sdk_app_id):
            if record.code is None:
                where = room_at(app, record.order)
                robots[record.task] = (record.app, where, record.order.user_id)
        streams = sum(self._streams(task) for task, of in robots.items() if of[1:] != (room, user))
        if streams >= app.max_streams:
            raise LimitReached(f"max_streams: {streams} of {app.max_streams} streams are taken")

    def _streams(self, task: str) -> int:
        try:
            return max(1, self._engine.streams(task))
        except (TaskNotExist, TaskEnded):
            return 1  # it is coming or going

    async def _abandon(self, task: str) -> None:
        """Undo a creation that failed, however far it got."""
        self._notifier.over(task)
        with contextlib.suppress(TaskNotExist, TaskEnded):
            self._engine.delete(task)
        await self._registry.discard(task)

    async def _modify(self, task: str, lists: Subscription) -> None:
        await self._registry.modify(task, lists)
        with contextlib.suppress(TaskNotExist, TaskEnded):  # it is coming, or has just gone
            self._engine.modify(task, lists)

    async def _delete(self, task: str) -> None:
        await self._registry.leave(task, LeaveCode.STOPPED)
        self._stop(task, LeaveCode.STOPPED)

    def _stop(self, task: str, code: LeaveCode) -> None:
        replaced = code is LeaveCode.REPLACED
        with contextlib.suppress(TaskNotExist, TaskEnded):
            self._engine.delete(task, EndReason.REPLACED if replaced else EndReason.STOPPED)
            return
        if task in self._sending:
            self._sending[task].cancel()
            self._background.start(self._bury(task, code, self._registry.epoch(task)))

    def _follow(self, task: str, events: EventStream, epoch: int | None) -> None:
        """Tell of a task until its end, or until another process has it."""
        self._following[task] = self._background.start(self._tell(task, events, epoch))

    async def _tell(self, task: str, events: EventStream, epoch: int | None) -> None:
        try:
            record = self._record(task)
            if record.order.product is Product.LIVE and not self._closing:
                ends = self._clock.now() + record.expires - self._now()
                outlived = partial(self._outlived, task, epoch)
                self._lifetimes[task] = self._clock.call_at(ends, outlived)
            await self._notifier.begin(record)
            async for event in events:
                await self._note(task, event, epoch)
            if not self._is_ours(task, epoch):
                await self._engine.forget(task)
        finally:  # whoever waits for it waits no longer, whatever came
            if task in self._lifetimes:
                self._lifetimes.pop(task).cancel()
            del self._following[task]
            if task in self._let_go:
                self._let_go.pop(task).set()

    def _outlived(self, task: str, epoch: int | None) -> None:
        """A stream's task has a life of its own, at whose end its robot leaves."""
        if self._record(task).ended is None:
            logger.info("- task %s: ResourceExpiredHour is over", task, extra={"task": task})
            self._background.start(self._expire(task, epoch))

    async def _expire(self, task: str, epoch: int | None) -> None:
        code = LeaveCode.STOPPED
        if await self._kept(task, epoch, lambda: self._registry.leave(task, code)):
            self._stop(task, code)

    def _is_ours(self, task: str, epoch: int | None) -> bool:
        """Whether no other process has, or had, a task since this one has had it in this epoch."""
        return task not in self._let_go and self._registry.epoch(task) == epoch

    async def _note(self, task: str, event: Event, epoch: int | None) -> None:
        if task in self._let_go and isinstance(event, RobotLeft | TaskFinished):
            self._let_go[task].set()
            return  # another process has the task
        if self._registry.get(task) is None:
            return  # who ordered it has discarded it
        if isinstance(event, RobotLeft | TaskFinished):
            stays = self._closing and event.reason is EndReason.STOPPED
            if stays and self._record(task).code is None:
                return  # this process ends, not the task
        if isinstance(event, RobotLeft):
            code = LEAVE_CODES[event.reason]
            if not await self._kept(task, epoch, lambda: self._registry.leave(task, code)):
                if task in self._let_go:
                    self._let_go[task].set()
                return
        if isinstance(event, EventsMissed):
            await self._missed(task, event)
        if isinstance(event, TaskFinished) and (event.kept or not self._is_ours(task, epoch)):
            return  # the next process sends its last slices and reports its end
        if (record := self._registry.get(task)) is not None:  # or it was discarded meanwhile
            await self._notifier.note(record, event)
        if isinstance(event, TaskFinished):
            await self._kept(task, epoch, lambda: self._registry.end(task, self._now()))
            await self._prune()

    async def _kept(
        self, task: str, epoch: int | None, write: Callable[[], Awaitable[None]]
    ) -> bool:
        """Write to the registry until it is done: a task whose end is not kept would be sent again
        at the next start. Gives False where another process has the task, which goes on then."""
        while self._is_ours(task, epoch):
            try:
                await write()
                break
            except Exception:
                logger.exception("the registry cannot be written; it is tried again")
                await self._clock.sleep(PATIENCE)
        return self._is_ours(task, epoch)

    async def _missed(self, task: str, event: EventsMissed) -> None:
        text = f"{counted(event.count, 'event')} came too fast to be told"
        logger.warning("! task %s: %s", task, text, extra={"task": task})
        await self._notifier.trouble(self._record(task), event.at, Code.UPLOAD_TROUBLE, text)

    async def _resume(self, task: str, epoch: int | None) -> None:
        """Send the robot of an earlier process again."""
        events = self._engine.events(task)
        attempts = retry(
            lambda: self._send_again(task),
            lambda error: self._tell_trouble(task, error),
            self._clock,
        )
        try:
            code = await self._sent(task, attempts)
        except BaseException as error:
            events.close()
            if isinstance(error, TaskEnded):
                return
            raise
        if code is not None:
            events.close()
            await self._bury(task, code, epoch)
            return
        # Lists that were changed and a delete that came meanwhile.
        record = self._record(task)
        self._engine.modify(task, record.order.params.subscription)
        if record.code is not None:
            self._engine.delete(task)
        self._follow(task, events, epoch)

    async def _sent(
        self, task: str, work: Coroutine[None, None, LeaveCode | None]
    ) -> LeaveCode | None:
        """What comes of sending a task's robot. Raises TaskEnded where it is wanted no more before
        it is there."""
        self._sending[task] = asyncio.ensure_future(work)
        try:
            return await self._sending[task]
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            raise TaskEnded(f"task {task} is taken back") from None
        finally:
            del self._sending[task]

    async def _send_again(self, task: str) -> None:
        record = self._record(task)
        app = self._apps.get(record.app)
        if app is None:
            raise BadInput("apps", record.app, "an application of the settings")
        await self._engine.create(plan(task, app, record.order, self._settings.vendors))

    async def _tell_trouble(self, task: str, error: SlicerError) -> None:
        await self.tell_trouble(task, f"the task cannot be taken up: {error}")

    async def tell_trouble(self, task: str, text: str, unique: str = "") -> None:
        """Log a trouble of a task with its room, and tell its customer: once for each *unique*, if
        there is one."""
        logger.warning("! task %s: %s", task, text, extra={"task": task})
        at = self._clock.wall(self._clock.now())
        await self._notifier.trouble(self._record(task), at, Code.ROOM_TROUBLE, text, unique)

    async def tell_lost(self, events: EventStream) -> None:
        """Tell of slices that an earlier process left and that are lost, as these events say: its
        tasks may be another process's by now, and are not followed here. Each is told once."""
        async for event in events:
            record = self._registry.get(event.task) if isinstance(event, SliceLost) else None
            if record is not None:
                await self._notifier.note(record, event)

    async def _bury(self, task: str, code: LeaveCode, epoch: int | None) -> None:
        """End a task that is in no room any more, once the slices that an earlier process left are
        settled; what became of those before is not known here."""
        if not await self._kept(task, epoch, lambda: self._registry.leave(task, code)):
            return
        at = self._clock.wall(self._clock.now())
        record = self._record(task)
        await self._notifier.left(record, at, record.code or code)
        if not await self._engine.settled(task) or not self._is_ours(task, epoch):
            return  # the next process sends them and ends the task
        await self._notifier.all_stored(record, self._clock.wall(self._clock.now()), ok=False)
        await self._kept(task, epoch, lambda: self._registry.end(task, self._now(), forget=False))

    async def _prune(self) -> None:
        try:
            await self._registry.prune(self._now() - self._settings.serve.keep_ended * DAY)
        except Exception:
            logger.exception("what ended long ago cannot be forgotten; it is tried again later")

    def _record(self, task: str) -> Record:
        record = self._registry.get(task)
        assert record is not None
        return record

    def _now(self) -> float:
        return self._clock.wall(self._clock.now()).timestamp()
