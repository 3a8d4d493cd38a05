"""An engine that slices one room into a real SeaweedFS, and the slices read back from there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import urlsplit

from slicer import (
    Engine,
    Event,
    ImageFormat,
    Kind,
    Settings,
    SliceInfo,
    SliceParams,
    SliceSettled,
    SliceStored,
    TaskFinished,
    TaskSpec,
)
from slicer.rooms.whip.room import WhipConnector
from slicer.slicing.outputs import TrackKey
from tests.harness.storage.seaweed import WRITER, Seaweed

ROOM = "whip://127.0.0.1:0/lobby"
BUCKET = "studio"
PATIENCE = 45.0
"""Seconds until a test gives up waiting: long, for the machine may be busy."""

_Told = TypeVar("_Told")


@dataclass(frozen=True)
class Landed:
    """A slice as the store gives it back, and what the engine told of it."""

    told: SliceInfo
    data: bytes
    content_type: str


class Studio:
    """One room and the tasks that slice it; every event is kept in `events`."""

    def __init__(self, engine: Engine, seaweed: Seaweed) -> None:
        self.engine = engine
        self.events: list[Event] = []
        self._seaweed = seaweed
        self._news = asyncio.Event()

    async def slice(
        self, params: SliceParams, *, robot: str = "slicer", images: ImageFormat = ImageFormat.PNG
    ) -> str:
        """Send a robot into the room; the task."""
        to = self._seaweed.url(self._seaweed.make_bucket(BUCKET))
        spec = TaskSpec(ROOM, to, params, images, robot, credentials=WRITER)
        return await self.engine.create(spec)

    def url(self, anchor: str) -> str:
        """Where this anchor publishes by WHIP, once a robot is in the room."""
        rooms = self.engine.connector("whip")
        assert isinstance(rooms, WhipConnector)
        return f"{rooms.endpoint(urlsplit(ROOM))}/{anchor}"

    def told(self, kind: type[_Told]) -> list[_Told]:
        """All events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def stored(self, task: str, anchor: str, kind: Kind) -> list[SliceInfo]:
        """What is stored of a track by now, in the order of its media, each with the time that is
        known of it by now: a report that comes after the slice was named may have corrected it."""
        settled = {event.slice.key: event.slice.began for event in self.told(SliceSettled)}
        found = [
            replace(event.slice, began=settled.get(event.slice.key, event.slice.began))
            for event in self.told(SliceStored)
            if event.slice.track == TrackKey(task, anchor, kind)
        ]
        return sorted(found, key=lambda slice: slice.began)

    async def until(self, done: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Return when *done* is true, looked at after every event. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not done():
                self._news.clear()
                await self._news.wait()

    async def finish(self, task: str) -> TaskFinished:
        """Have the robot leave; all it cut is stored or lost when this returns."""
        self.engine.delete(task)
        return await self.engine.finished(task)

    async def landed(self, task: str, anchor: str, kind: Kind) -> list[Landed]:
        """The slices of a track in the order of their media, fetched from the store."""
        return [
            Landed(told, *await asyncio.to_thread(self._seaweed.read, BUCKET, told.key))
            for told in self.stored(task, anchor, kind)
        ]

    def keys(self, task: str) -> list[str]:
        """Every key the store lists for a task."""
        return sorted(self._seaweed.keys(BUCKET, task))

    async def listen(self) -> None:
        """Keep the events until the engine closes."""
        async for event in self.engine.events():
            self.events.append(event)
            self._news.set()


@contextlib.asynccontextmanager
async def studio(seaweed: Seaweed, settings: Settings | None = None) -> AsyncIterator[Studio]:
    """An engine of its own and its room."""
    async with Engine(settings) as engine:
        made = Studio(engine, seaweed)
        listening = asyncio.ensure_future(made.listen())
        yield made
    await listening
