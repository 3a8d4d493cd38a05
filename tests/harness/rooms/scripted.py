"""A room that tells what a test has it tell: `scripted://NAME`; what is let go gives a last cut."""

import asyncio
from collections import Counter
from typing import ClassVar
from urllib.parse import SplitResult

from slicer.clock import Clock
from slicer.errors import RoomError
from slicer.rooms import Context, Listener
from slicer.rtp.parameters import OPUS
from slicer.slicing.facts import Fact, RoomEntered
from slicer.slicing.outputs import AudioCut, AudioPacket, Subscribe, TrackKey

CONNECTOR = "tests.harness.rooms.scripted:ScriptedConnector"
SILENCE = bytes([0xF8, 0xFF, 0xFE])


class ScriptedConnector:
    """Every room of the process by its name, for the test to find. One of *gates* is waited for
    before a room of its name opens (NAME), or is entered (NAME/enter)."""

    rooms: ClassVar[dict[str, "ScriptedRoom"]] = {}
    gates: ClassVar[dict[str, asyncio.Event]] = {}

    def __init__(self, context: Context) -> None:
        self._clock = context.clock
        self.connections = 0
        self.counters: Counter[str] = Counter()

    def check(self, url: SplitResult) -> None: ...

    async def open(self, url: SplitResult, robot: str, listen: Listener) -> "ScriptedRoom":
        name = url.netloc
        room = ScriptedRoom(self._clock, listen, name != "closed", self.gates.get(f"{name}/enter"))
        self.rooms[name] = room
        if gate := self.gates.get(name):
            await gate.wait()
        return room

    async def close(self) -> None: ...


class ScriptedRoom:
    """*lets_in*: tells RoomEntered while it is entered, once *gate* is open; *refuses*: raises
    instead. *left*: nobody is in it any more."""

    def __init__(
        self, clock: Clock, listen: Listener, lets_in: bool, gate: asyncio.Event | None = None
    ) -> None:
        self._clock, self._listen, self._lets_in, self._gate = clock, listen, lets_in, gate
        self._tracks: set[TrackKey] = set()
        self.left = False
        self.refuses = False

    async def enter(self) -> None:
        if self._gate is not None:
            await self._gate.wait()
        if self.refuses:
            raise RoomError("the room is full")
        self.left = False
        if self._lets_in:
            self.tell(RoomEntered())

    def tell(self, *facts: Fact) -> None:
        for fact in facts:
            self._listen(fact)

    def cut(self, track: TrackKey) -> None:
        """20 ms of silence."""
        packet = AudioPacket(0, 960, SILENCE)
        self._listen(AudioCut(track, OPUS, 0, 960, (packet,), self._clock.now()))

    def subscribe(self, subscribe: Subscribe) -> None:
        self._tracks.add(subscribe.track)

    def unsubscribe(self, track: TrackKey) -> None:
        if track in self._tracks:
            self._tracks.remove(track)
            self.cut(track)

    async def leave(self) -> None:
        self.left = True
