"""A VideoRoom on loopback, and a robot that takes every track it is told of, as a task does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest_asyncio

from slicer.clock import LoopClock
from slicer.rooms import Context, connector
from slicer.rooms.janus.room import JanusConnector, JanusRoom
from slicer.rooms.janus.settings import JanusSettings
from slicer.rtp.parameters import Kind, Role
from slicer.slicing.facts import Fact, TrackPublished, TrackUnpublished
from slicer.slicing.outputs import (
    AudioCut,
    Cut,
    PictureCut,
    Settled,
    Subscribe,
    TrackKey,
    TrackOutput,
)
from slicer.slicing.spec import AudioSpec, VideoSpec
from tests.harness.rooms.videoroom import PIN, SECRET, VideoRoom, on_websocket

SETTINGS = JanusSettings(api_secret=SECRET, pin=PIN)


class Robot:
    """Watches a room of Janus, takes every track, and writes everything down."""

    def __init__(self, room: VideoRoom, port: int) -> None:
        self.room, self.port = room, port
        self.told: list[Fact | TrackOutput] = []
        self.connector: JanusConnector
        self.there: JanusRoom
        self.video = VideoSpec(5)

    async def enter(self, query: str = "", settings: JanusSettings = SETTINGS) -> None:
        made = connector("janus", Context(LoopClock(), janus=settings))
        assert isinstance(made, JanusConnector)
        self.connector = made
        url = urlsplit(f"janus://127.0.0.1:{self.port}/{self.room.room}?{query}")
        self.there = await made.open(url, "robot", self.listen)
        await self.there.enter()

    def listen(self, told: Fact | TrackOutput) -> None:
        self.told.append(told)
        if isinstance(told, TrackPublished):
            self.there.subscribe(self.wish(told.anchor, told.kind, told.role))
        if isinstance(told, TrackUnpublished):
            self.there.unsubscribe(self.wish(told.anchor, told.kind, told.role).track)

    def wish(self, anchor: str, kind: Kind, role: Role = Role.MAIN) -> Subscribe:
        spec = AudioSpec(1) if kind is Kind.AUDIO else self.video
        return Subscribe(TrackKey("task", anchor, kind, role), spec)

    def facts(self) -> list[Fact]:
        return [one for one in self.told if not isinstance(one, Cut | Settled)]  # type: ignore[misc]

    def cuts(self, kind: type[AudioCut | PictureCut]) -> list[AudioCut | PictureCut]:
        return [one for one in self.told if isinstance(one, kind)]

    async def until(self, condition: Callable[[], object], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)

    async def connected(self, feed: str = "ada") -> None:
        """Until a publisher's media can come."""
        await self.until(lambda: any(one.feed == feed and one.sfu for one in self.room.handles))
        sfu = self.room.subscriber(feed).sfu
        assert sfu is not None
        await sfu.connected()

    async def send(self, seconds: float, feed: str = "ada", count: int = 10) -> None:
        """Audio and keyframes of a publisher, from a media time on, 20 ms each."""
        handle = self.room.subscriber(feed)
        assert handle.sfu is not None
        for number in range(count):
            for track in handle.tracks:
                if track.direction == "sendonly":
                    ssrc = 100 + int(track.mid)
                    await handle.sfu.send(track, number, ssrc, seconds + number / 50)
            await asyncio.sleep(0.002)


@pytest_asyncio.fixture
async def robot() -> AsyncIterator[Robot]:
    """Before it enters; the room is "r" and empty."""
    room = VideoRoom()
    async with on_websocket(room) as server:
        made = Robot(room, next(iter(server.sockets)).getsockname()[1])
        yield made
        if hasattr(made, "connector"):
            await made.connector.close()
        for sfu in room.sfus:
            await sfu.close()
