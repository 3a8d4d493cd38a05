"""A task without its engine: its outbox keeps what it is given, its room cuts what is let go."""

import asyncio
from collections.abc import Callable

from slicer.delivery.decoding import Decoding
from slicer.delivery.delivery import Delivery
from slicer.delivery.encoding import PRIORITIES, EncodingPool
from slicer.engine.events import TaskEvent
from slicer.engine.reports import Confirm
from slicer.engine.running import RunningTask
from slicer.engine.spec import TaskSpec
from slicer.errors import StorageError
from slicer.media.naming import Names
from slicer.rtp.parameters import OPUS, Kind
from slicer.slicing.facts import RoomEntered, TrackPublished
from slicer.slicing.outputs import AudioCut, AudioPacket, Subscribe, TrackKey
from slicer.threads import ThreadPool
from tests.harness.clock import ManualClock

TRACK = TrackKey("t", "ada", Kind.AUDIO)


class Box:
    """An outbox that keeps what it is given, or is full."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.full = False
        self.troubles: list[tuple[str, StorageError]] = []

    def note_trouble(self, task: str, error: StorageError) -> None:
        self.troubles.append((task, error))

    def takes(self, delivery: Delivery) -> bool:
        if self.full:
            delivery.refused = "the outbox is full"
        return not self.full

    def offer(self, delivery: Delivery) -> bool:
        if taken := self.takes(delivery):
            self.deliveries.append(delivery)
        return taken


class Lobby:
    """A room that cuts what is let go."""

    def __init__(self, deliver: Callable[[AudioCut], None]) -> None:
        self.deliver = deliver
        self.left = asyncio.Event()

    async def enter(self) -> None: ...

    def subscribe(self, subscribe: Subscribe) -> None: ...

    def unsubscribe(self, track: TrackKey) -> None:
        self.deliver(cut(track))

    async def leave(self) -> None:
        self.left.set()


def cut(track: TrackKey = TRACK, began: float = 1000.0) -> AudioCut:
    packet = AudioPacket(0, 960, bytes([0xF8, 0xFF, 0xFE]))
    return AudioCut(track, OPUS, 0, 960, (packet,), began)


def running(
    confirm: Confirm | None = None,
    manifest: bool = False,
    room: str = "whip://127.0.0.1:1/lobby",
) -> tuple[RunningTask, Box, Lobby, list[TaskEvent]]:
    clock, box, told = ManualClock(), Box(), list[TaskEvent]()
    spec = TaskSpec(room, "file:///tmp/x", manifest=manifest)
    names = Names((), "t", 1, "lobby")
    decoding = Decoding(EncodingPool(ThreadPool("encoding", 1, PRIORITIES)))
    task = RunningTask(
        "t",
        spec,
        names,
        box,  # type: ignore[arg-type]
        clock,
        told.append,
        decoding=decoding,
        confirm=confirm,
    )
    lobby = Lobby(task.driver.deliver)
    task.room = lobby
    task.driver.bind(lobby)
    task.driver.deliver(RoomEntered())
    task.driver.deliver(TrackPublished("ada", Kind.AUDIO))
    return task, box, lobby, told
