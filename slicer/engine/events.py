"""What an engine tells: frozen events, and a bounded stream of them for each listener."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import LeaveCode, State

# A listener that is this far behind loses the oldest events, and is told how many.
EVENT_BUFFER = 10_000


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task went into this state. RUNNING: the robot is in the room."""

    task: str
    at: datetime
    state: State


@dataclass(frozen=True, slots=True)
class TrackStarted:
    """An anchor's media of this kind is being cut from now on."""

    task: str
    at: datetime
    anchor: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class TrackEnded:
    """An anchor's media of this kind is no longer cut."""

    task: str
    at: datetime
    anchor: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class AnchorWaits:
    """The task is full; this anchor is wanted, and waits until another one leaves."""

    task: str
    at: datetime
    anchor: str


@dataclass(frozen=True, slots=True)
class SliceSpooled:
    """A slice is on the disk: from now on a crash of this process cannot lose it."""

    task: str
    at: datetime
    slice: SliceInfo


@dataclass(frozen=True, slots=True)
class SliceStored:
    """The store has acknowledged a slice.

    *destination*: the store that has it, as people may see it; the task's own, or its backup. At
    least once for each slice: again where a crash came between this and the end of its record.
    """

    task: str
    at: datetime
    slice: SliceInfo
    etag: str
    destination: str = ""


@dataclass(frozen=True, slots=True)
class SliceLost:
    """A slice will not be stored: why, in words. Its size is 0 where its file was never made."""

    task: str
    at: datetime
    slice: SliceInfo
    reason: str


@dataclass(frozen=True, slots=True)
class TaskTrouble:
    """Something goes wrong and is tried again: the store refuses, a bound is reached."""

    task: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """The robot has left, and every slice is stored or lost. The last event of a task.

    *kept*: slices that the engine left in the spool when it closed, for the next start; one that is
    stored and that nobody confirmed is among them.
    """

    task: str
    at: datetime
    code: LeaveCode
    stored: int
    lost: int
    kept: int = 0


@dataclass(frozen=True, slots=True)
class RobotLeft:
    """The robot is out of the room, and nothing more is cut; slices may still be on their way."""

    task: str
    at: datetime
    code: LeaveCode


@dataclass(frozen=True, slots=True)
class EventsMissed:
    """This listener was too slow: so many events before the next one are gone."""

    count: int


TaskEvent = (
    TaskState
    | TrackStarted
    | TrackEnded
    | AnchorWaits
    | SliceSpooled
    | SliceStored
    | SliceLost
    | TaskTrouble
    | RobotLeft
    | TaskFinished
)
Event = TaskEvent | EventsMissed


class EventStream:
    """One listener's events, from when it was opened; an async iterator and context manager.

    It ends when the engine closes, and a stream of one task after that task's last event.
    """

    def __init__(self, task: str | None) -> None:
        self._task = task
        self._events: asyncio.Queue[TaskEvent | None] = asyncio.Queue()
        self._missed = 0
        self.closed = False

    def tell(self, event: TaskEvent) -> None:
        """Never blocks; the oldest event makes room where the buffer is full."""
        if self._task is not None and event.task != self._task:
            return
        if self._events.qsize() >= EVENT_BUFFER:
            self._events.get_nowait()
            self._missed += 1
        self._events.put_nowait(event)
        if self._task is not None and isinstance(event, TaskFinished):
            self.close()

    def close(self) -> None:
        """End the iteration after what is still in the buffer. May be called twice."""
        if not self.closed:
            self.closed = True
            self._events.put_nowait(None)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if self._missed:
            missed, self._missed = self._missed, 0
            return EventsMissed(missed)
        event = await self._events.get()
        if event is None:
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()
