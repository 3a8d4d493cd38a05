"""Events of an engine: frozen dataclasses, and a bounded stream of them for each listener."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Self

from slicer.media.slice import SliceInfo
from slicer.moderation import Verdict
from slicer.rtp.parameters import Kind, Role
from slicer.slicing.outputs import EndReason, State

# A listener that is this far behind loses the oldest events, and is told how many.
EVENT_BUFFER = 10_000


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task went into this state. RUNNING: the robot is in the room. *reason*, in words, of
    RECONNECTING: how the room was lost."""

    task: str
    at: datetime
    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TrackStarted:
    """An anchor's media of this kind is being cut from now on."""

    task: str
    at: datetime
    anchor: str
    kind: Kind
    role: Role = Role.MAIN


@dataclass(frozen=True, slots=True)
class TrackEnded:
    """An anchor's media of this kind is no longer cut: why, in words."""

    task: str
    at: datetime
    anchor: str
    kind: Kind
    reason: str = ""
    role: Role = Role.MAIN


@dataclass(frozen=True, slots=True)
class TrackRefused:
    """An anchor offers media of this kind that cannot be cut: why, in words."""

    task: str
    at: datetime
    anchor: str
    kind: Kind
    reason: str
    role: Role = Role.MAIN


@dataclass(frozen=True, slots=True)
class PicturesMissing:
    """An anchor's video comes, and no picture can be had of it for now: why, in words. Told once
    until there is a picture again."""

    task: str
    at: datetime
    anchor: str
    reason: str
    role: Role = Role.MAIN


@dataclass(frozen=True, slots=True)
class AnchorTrouble:
    """Something of an anchor's media is given up: what, in words, and how many lately; at most once
    a minute for each reason."""

    task: str
    at: datetime
    anchor: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class AnchorLeft:
    """An anchor is no longer in the room: why, in words, where the room knows."""

    task: str
    at: datetime
    anchor: str
    reason: str


@dataclass(frozen=True, slots=True)
class AnchorDropped:
    """The room names more anchors than a task believes; this was the first one too many."""

    task: str
    at: datetime
    anchor: str
    reason: str


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
class SliceSettled:
    """A sender's report has corrected when a slice began, after it was named; its key stays.

    *slice*: with the corrected `began`, otherwise as it was cut, so its size is 0; *told*: the
    `began` of before. *late*: `SliceStored`, `SliceJudged`, `SliceUnjudged` or `SliceLost` had told
    that; where not, they tell the corrected one.
    """

    task: str
    at: datetime
    slice: SliceInfo
    told: datetime
    late: bool


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
    url: str = field(default="", repr=False)
    """By which anyone may read it for a while, where the store's URL asks for that (`link`)."""
    sha256: str = ""
    """Of its bytes, in hexadecimal, where `outbox.checksums` asks for it."""


@dataclass(frozen=True, slots=True)
class SliceJudged:
    """A supplier's verdict of a slice. *kept*: it is stored now; otherwise it is done with.

    At least once for each slice: again where a crash came before the verdict was confirmed.
    """

    task: str
    at: datetime
    slice: SliceInfo
    verdict: Verdict
    kept: bool


@dataclass(frozen=True, slots=True)
class SliceUnjudged:
    """Nobody has judged a slice, and nobody will: why, in words. *kept*: as in SliceJudged;
    *by_choice*: the settings have it left out."""

    task: str
    at: datetime
    slice: SliceInfo
    reason: str
    kept: bool
    by_choice: bool = False


@dataclass(frozen=True, slots=True)
class SliceLost:
    """A slice will not be stored: why, in words. Its size is 0 where its file was never made."""

    task: str
    at: datetime
    slice: SliceInfo
    reason: str


@dataclass(frozen=True, slots=True)
class TaskTrouble:
    """Something goes wrong and is tried again: the store refuses, a bound is reached. *store*: its
    label, "the spool" for this machine's disk; empty where it is neither."""

    task: str
    at: datetime
    reason: str
    store: str = ""


@dataclass(frozen=True, slots=True)
class StoreRecovered:
    """The store, or the spool, that a `TaskTrouble` told of takes slices again. *destination*: its
    label."""

    task: str
    at: datetime
    destination: str


@dataclass(frozen=True, slots=True)
class SupplierTrouble:
    """The task's supplier of verdicts fails or refuses the account; slices wait for it."""

    task: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class SupplierRecovered:
    """The supplier that a `SupplierTrouble` told of judges again. *supplier*: its label."""

    task: str
    at: datetime
    supplier: str


@dataclass(frozen=True, slots=True)
class FactsDiscarded:
    """The room told so much at once that *count* facts were discarded: anchors may be missing."""

    task: str
    at: datetime
    count: int


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """The robot has left, and every slice is stored, judged and not to be kept, or lost. The last
    event of a task.

    *kept*: slices that the engine left in the spool when it closed, for the next start; one that is
    stored and that nobody confirmed is among them. *judged*: slices with a verdict; *unjudged*:
    those that should have one, and have none.
    """

    task: str
    at: datetime
    reason: EndReason
    stored: int
    lost: int
    kept: int = 0
    judged: int = 0
    unjudged: int = 0


@dataclass(frozen=True, slots=True)
class RobotLeft:
    """The robot is out of the room, and nothing more is cut; slices may still be on their way."""

    task: str
    at: datetime
    reason: EndReason


@dataclass(frozen=True, slots=True)
class EventsMissed:
    """This listener was too slow: *count* events before the next one are gone.

    *task*: the stream's; empty where it is a stream of all tasks. *at*: when the last of them was.
    """

    task: str
    at: datetime
    count: int


TaskEvent = (
    TaskState
    | TrackStarted
    | TrackEnded
    | TrackRefused
    | PicturesMissing
    | AnchorTrouble
    | AnchorLeft
    | AnchorDropped
    | AnchorWaits
    | FactsDiscarded
    | SliceSpooled
    | SliceSettled
    | SliceStored
    | SliceJudged
    | SliceUnjudged
    | SliceLost
    | TaskTrouble
    | StoreRecovered
    | SupplierTrouble
    | SupplierRecovered
    | RobotLeft
    | TaskFinished
)
Event = TaskEvent | EventsMissed


class EventStream:
    """One listener's events, from when it was opened; an async iterator and context manager.

    It ends when the engine closes, and a stream of one task after that task's last event.
    """

    def __init__(
        self, task: str | None, on_closed: "Callable[[EventStream], None] | None" = None
    ) -> None:
        self.task = task
        self.closed = False
        self.missed = 0
        """Events that were lost because the buffer was full."""
        self._on_closed = on_closed
        self._events: asyncio.Queue[TaskEvent | None] = asyncio.Queue()
        self._missed: EventsMissed | None = None

    def tell(self, event: TaskEvent) -> None:
        """Never blocks; the oldest event makes room where the buffer is full."""
        if self._events.qsize() >= EVENT_BUFFER:
            gone = self._events.get_nowait()
            assert gone is not None, "nothing is told to a stream that was closed"
            self.missed += 1
            count = 1 if self._missed is None else self._missed.count + 1
            self._missed = EventsMissed(self.task or "", gone.at, count)
        self._events.put_nowait(event)
        if self.task is not None and isinstance(event, TaskFinished):
            self.close()

    def close(self) -> None:
        """End the iteration after what is still in the buffer. May be called twice."""
        if not self.closed:
            self.closed = True
            self._events.put_nowait(None)
            if self._on_closed is not None:
                self._on_closed(self)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if self._missed is not None:
            missed, self._missed = self._missed, None
            return missed
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


class EventStreams:
    """All open streams. An event costs what those who hear it cost, however many tasks there are:
    streams of one task are found by it."""

    def __init__(self) -> None:
        self._of_all: dict[EventStream, None] = {}
        self._of_one: dict[str, dict[EventStream, None]] = {}
        self._missed = 0

    def open(self, task: str | None) -> EventStream:
        """A stream of one task's events, or of all."""
        stream = EventStream(task, self._forget)
        here = self._of_all if task is None else self._of_one.setdefault(task, {})
        here[stream] = None
        return stream

    def tell(self, event: TaskEvent) -> None:
        """Tell everyone who listens to this task."""
        for stream in self._of_all:
            stream.tell(event)
        # The last event of a task closes its streams, which takes them out of here.
        for stream in tuple(self._of_one.get(event.task, ())):
            stream.tell(event)

    def close(self) -> None:
        """End every stream."""
        for stream in self._all():
            stream.close()

    @property
    def open_now(self) -> int:
        """Streams that are open."""
        return len(self._all())

    @property
    def missed(self) -> int:
        """Events that listeners were too slow for, over all streams that ever were."""
        return self._missed + sum(stream.missed for stream in self._all())

    def _all(self) -> list[EventStream]:
        return [*self._of_all, *(one for streams in self._of_one.values() for one in streams)]

    def _forget(self, stream: EventStream) -> None:
        self._missed += stream.missed
        if stream.task is None:
            del self._of_all[stream]
            return
        there = self._of_one[stream.task]
        del there[stream]
        if not there:
            del self._of_one[stream.task]
