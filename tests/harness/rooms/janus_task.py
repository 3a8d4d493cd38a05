"""A task in a room of Janus, all that it has told, and publishers as processes of their own."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from slicer import (
    AudioSpec,
    Engine,
    Event,
    Kind,
    Role,
    Settings,
    SliceParams,
    SliceStored,
    TaskSpec,
    VideoSpec,
)
from tests.harness.rooms.janus import API_SECRET, PIN
from tests.harness.rooms.publishing_process import publishing

ROOM = "scout"
BOTH = SliceParams(AudioSpec(1, 0.0), VideoSpec(2, 0.0), max_idle=60)
"""Audio of a second, a picture every two."""


class Watched:
    """A task, and all that it has told."""

    def __init__(self, engine: Engine, task: str) -> None:
        self.engine, self.task = engine, task
        self.told: list[Event] = []

    def of(self, kind: type[Event], anchor: str = "") -> list[Event]:
        found = [one for one in self.told if isinstance(one, kind)]
        return [one for one in found if not anchor or getattr(one, "anchor", "") == anchor]

    def stored(self, anchor: str, kind: Kind, role: Role = Role.MAIN) -> list[SliceStored]:
        found = [one for one in self.told if isinstance(one, SliceStored)]
        return [one for one in found if one.slice.track[1:] == (anchor, kind, role)]

    async def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.02)


def url(
    query: str = f"api_secret={API_SECRET}&pin={PIN}", room: str = ROOM, scheme: str = "janus"
) -> str:
    return f"{scheme}://127.0.0.1/{room}?{query}"


@asynccontextmanager
async def watching(
    folder: Path,
    room: str | None = None,
    params: SliceParams = BOTH,
    settings: Settings | None = None,
    user: str = "robot",
) -> AsyncIterator[Watched]:
    """A task in the room of this URL; its slices are below `out` in this folder."""
    async with Engine(settings) as engine, engine.events() as events:
        to = (folder / "out").as_uri()
        spec = TaskSpec(room or url(), to, params, user=user)
        watched = Watched(engine, await engine.create(spec))

        async def write_down() -> None:
            async for event in events:
                watched.told.append(event)

        writing = asyncio.create_task(write_down())
        try:
            yield watched
        finally:
            await engine.close()
            await writing


@asynccontextmanager
async def publisher(
    name: str, codec: str = "vp8", room: str = ROOM, tracks: Sequence[str] = ("audio", "video")
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A publisher in a process of its own, once it is connected."""
    program = ("-m", "tests.harness.rooms.janus_publisher", room, name, codec, *tracks)
    async with publishing(sys.executable, *program, started="published") as process:
        yield process


def both(watched: Watched, name: str, count: int = 1) -> bool:
    """Whether so many slices of each kind are stored."""
    return all(len(watched.stored(name, kind)) >= count for kind in Kind)
