"""One task while it lives: its driver, its names, what became of its slices; tells events."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial

from slicer.clock import Clock
from slicer.errors import SlicerError
from slicer.media.naming import Names
from slicer.media.slice import Slice, extension, make
from slicer.rooms import Room
from slicer.service.driver import Driver
from slicer.service.events import (
    AnchorWaits,
    RobotLeft,
    SliceLost,
    SliceStored,
    TaskEvent,
    TaskFinished,
    TaskState,
    TaskTrouble,
    TrackEnded,
    TrackStarted,
)
from slicer.service.job import Job
from slicer.service.outbox import Outbox
from slicer.service.spec import TaskSpec
from slicer.slicing.facts import Stopped
from slicer.slicing.outputs import (
    AnchorWaiting,
    Cut,
    Finished,
    LeaveCode,
    StateChanged,
    Subscribe,
    Unsubscribe,
)
from slicer.slicing.task import SliceTask
from slicer.storage import Receipt


class RunningTask:
    """The shell of one SliceTask, from its creation to its last acknowledged slice."""

    def __init__(
        self,
        task: str,
        spec: TaskSpec,
        names: Names,
        outbox: Outbox,
        clock: Clock,
        tell: Callable[[TaskEvent], None],
    ) -> None:
        self.spec = spec
        self.outbox = outbox
        self.driver = Driver(SliceTask(task, spec.params, clock.now()), clock, self)
        self.room: Room | None = None
        self.stored = self.lost = 0
        self.finished: asyncio.Future[TaskFinished] = asyncio.get_running_loop().create_future()
        self._task, self._names, self._clock, self._tell = task, names, clock, tell
        self._pending = 0
        self._code: LeaveCode | None = None
        self._left: asyncio.Task[None] | None = None

    @property
    def pending(self) -> int:
        """Slices cut and neither stored nor lost."""
        return self._pending

    def stop(self, code: LeaveCode) -> None:
        """Leave the room; what has been cut is still delivered. May be called twice."""
        self.driver.deliver(Stopped(code))

    def on_cut(self, cut: Cut) -> None:
        """Name the slice and hand it to the outbox; its file is made there."""
        began = self._clock.wall(cut.began)
        images = self.spec.images
        key = self._names.allocate(cut.track.anchor, cut.track.kind, extension(cut, images), began)
        self._pending += 1
        if not self.outbox.offer(Job(key, cut, partial(make, cut, key, began, images))):
            self.on_lost(cut, key, "the outbox is full: slices are cut faster than stored")

    def on_output(self, output: Subscribe | Unsubscribe | StateChanged | AnchorWaiting) -> None:
        """Tell what the task does."""
        at = self._now()
        match output:
            case Subscribe(track, _):
                self._tell(TrackStarted(self._task, at, track.anchor, track.kind))
            case Unsubscribe(track):
                self._tell(TrackEnded(self._task, at, track.anchor, track.kind))
            case StateChanged(state):
                self._tell(TaskState(self._task, at, state))
            case AnchorWaiting(anchor):
                self._tell(AnchorWaits(self._task, at, anchor))

    def on_finished(self, finished: Finished) -> None:
        """Leave the room; the last event follows when the last slice is settled."""
        self._code = finished.code
        self._left = asyncio.ensure_future(self._leave(finished.code))

    def on_stored(self, made: Slice, receipt: Receipt) -> None:
        """The store has acknowledged a slice."""
        self.stored += 1
        anchor, kind = made.track.anchor, made.track.kind
        said = (made.key, made.began, made.seconds, made.size, receipt.etag)
        self._tell(SliceStored(self._task, self._now(), anchor, kind, *said))
        self._settled()

    def on_lost(self, cut: Cut, key: str, reason: str) -> None:
        """A slice will never be stored."""
        self.lost += 1
        track = cut.track
        self._tell(SliceLost(self._task, self._now(), track.anchor, track.kind, key, reason))
        self._settled()

    def on_trouble(self, error: SlicerError) -> None:
        """Something is tried again."""
        self._tell(TaskTrouble(self._task, self._now(), str(error)))

    def _now(self) -> datetime:
        return self._clock.wall(self._clock.now())

    async def _leave(self, code: LeaveCode) -> None:
        if self.room is not None:
            await self.room.leave()
        self.room = None
        self._tell(RobotLeft(self._task, self._now(), code))
        self._settle()

    def _settled(self) -> None:
        self._pending -= 1
        self._settle()

    def _settle(self) -> None:
        if self._code is None or self.room is not None or self._pending or self.finished.done():
            return
        event = TaskFinished(self._task, self._now(), self._code, self.stored, self.lost)
        self._tell(event)
        self.finished.set_result(event)
