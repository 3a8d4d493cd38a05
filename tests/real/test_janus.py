"""Janus itself, in a network of the tests' own: publishers that come and go, are killed, frozen and
kicked; a robot that is kicked; a room that ends; and Janus killed and started again.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from slicer import (
    AnchorLeft,
    AudioSpec,
    EndReason,
    Engine,
    Event,
    Kind,
    RoomError,
    SliceParams,
    SliceStored,
    State,
    TaskSpec,
    TaskState,
    TrackEnded,
    TrackStarted,
    VideoSpec,
)
from tests.harness.media.slices import decode_ogg, read_picture
from tests.harness.network.namespace import own_network
from tests.harness.rooms.janus import API_SECRET, EXECUTABLE, PIN, janus

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no Janus (Debian: janus)")
ROOM = "scout"


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    with own_network():
        yield


class Watched:
    """A task, and all that it has told."""

    def __init__(self, engine: Engine, task: str) -> None:
        self.engine, self.task = engine, task
        self.told: list[Event] = []

    def of(self, kind: type[Event], anchor: str = "") -> list[Event]:
        found = [one for one in self.told if isinstance(one, kind)]
        return [one for one in found if not anchor or getattr(one, "anchor", "") == anchor]

    def stored(self, anchor: str, kind: Kind) -> list[SliceStored]:
        found = [one for one in self.told if isinstance(one, SliceStored)]
        return [one for one in found if one.slice.track[1:] == (anchor, kind)]

    async def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.02)


def url(query: str = f"pin={PIN}", room: str = ROOM) -> str:
    return f"janus://127.0.0.1/{room}?api_secret={API_SECRET}&{query}"


@asynccontextmanager
async def watching(
    folder: Path, query: str = f"pin={PIN}", room: str = ROOM
) -> AsyncIterator[Watched]:
    """A task in the room that cuts every second and takes a picture every two."""
    params = SliceParams(AudioSpec(1, 0.0), VideoSpec(2, 0.0), max_idle=60)
    async with Engine() as engine, engine.events() as events:
        spec = TaskSpec(url(query, room), (folder / "out").as_uri(), params, user="robot")
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
    name: str, codec: str = "vp8", room: str = ROOM
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A publisher in a process of its own, once it is connected."""
    program = ("-m", "tests.harness.rooms.janus_publisher", room, name, codec, "audio", "video")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *program, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"published\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def both(watched: Watched, name: str, count: int = 1) -> bool:
    """Whether so many slices of each kind are stored."""
    return all(len(watched.stored(name, kind)) >= count for kind in Kind)


async def test_two_codecs_come_and_go(tmp_path: Path) -> None:
    async with janus(tmp_path / "janus") as server:
        await server.create(ROOM, videocodec="vp8,h264")
        async with publisher("ada"), watching(tmp_path) as watched:
            await watched.until(lambda: both(watched, "ada", 2))
            async with publisher("bob", "h264") as bob:
                await watched.until(lambda: both(watched, "bob", 2))
                bob.send_signal(signal.SIGKILL)
                await watched.until(lambda: watched.of(AnchorLeft, "bob"))
            await server.admin("kick", ROOM, id="ada")
            await watched.until(lambda: watched.of(AnchorLeft, "ada"))
            reasons = {
                one.anchor: one.reason for one in watched.told if isinstance(one, AnchorLeft)
            }
            assert reasons == {"ada": "kicked", "bob": "unpublished"}
            async with publisher("bob", "h264"):
                await watched.until(lambda: len(watched.of(TrackStarted, "bob")) == 4)
            await server.admin("destroy", ROOM)
            assert (await watched.engine.finished(watched.task)).reason is EndReason.ROOM_GONE
        out = tmp_path / "out"
        for name in ("ada", "bob"):
            sounds = sorted(out.rglob(f"{name}/audios/*.ogg"))
            assert len(decode_ogg(sounds[0].read_bytes(), "libopus")) > 40_000
            assert read_picture(sorted(out.rglob(f"{name}/images/*"))[0].read_bytes()).shape == (
                90,
                160,
                3,
            )


async def test_janus_is_killed_and_comes_back(tmp_path: Path) -> None:
    async with janus(tmp_path / "janus", string_ids=False) as server:
        await server.create(7)
        async with watching(tmp_path, room="7") as watched:
            async with publisher("ada", room="7"):
                await watched.until(lambda: watched.of(SliceStored))
                await server.kill()
                await watched.until(
                    lambda: watched.engine.describe(watched.task).state is State.RECONNECTING
                )
            await server.start()
            await server.create(7)
            async with publisher("ada", room="7"):
                await watched.until(
                    lambda: watched.engine.describe(watched.task).state is State.RUNNING
                )
                before = len(watched.of(SliceStored))
                await watched.until(lambda: len(watched.of(SliceStored)) > before + 1)
            states = [one.state for one in watched.told if isinstance(one, TaskState)]
            assert states == [State.RUNNING, State.RECONNECTING, State.RUNNING]


async def test_a_publisher_that_freezes_for_a_while_is_cut_on_when_it_thaws(tmp_path: Path) -> None:
    async with janus(tmp_path / "janus") as server:
        await server.create(ROOM)
        async with publisher("ada") as ada, watching(tmp_path) as watched:
            await watched.until(lambda: both(watched, "ada"))
            ada.send_signal(signal.SIGSTOP)
            await asyncio.sleep(3)  # Janus lists it, and sends us its own packets
            ada.send_signal(signal.SIGCONT)
            count = len(watched.stored("ada", Kind.AUDIO))
            await watched.until(lambda: len(watched.stored("ada", Kind.AUDIO)) > count + 1)
            assert watched.of(TrackEnded) == []


async def test_the_robot_is_kicked(tmp_path: Path) -> None:
    async with janus(tmp_path / "janus") as server:
        await server.create(ROOM)
        async with watching(tmp_path) as watched:
            await server.admin("kick", ROOM, id="robot")
            assert (await watched.engine.finished(watched.task)).reason is EndReason.KICKED


@pytest.mark.parametrize(
    ("query", "room", "says"),
    [
        (f"pin={PIN}", "nope", r"No such room \(nope\) \(error 426\)"),
        ("pin=", ROOM, r"\(pin\) \(error 429\)"),
        ("pin=wrong", ROOM, r"wrong pin\) \(error 433\)"),
    ],
)
async def test_what_janus_refuses(tmp_path: Path, query: str, room: str, says: str) -> None:
    async with janus(tmp_path / "janus") as server:
        await server.create(ROOM)
        with pytest.raises(RoomError, match=says):
            async with watching(tmp_path, query, room):
                pass


@pytest.mark.parametrize("way", ["websocket", "http"])
async def test_both_ways_to_janus(tmp_path: Path, way: str) -> None:
    async with janus(tmp_path / "janus") as server:
        await server.create(ROOM)
        async with publisher("ada"), watching(tmp_path, f"pin={PIN}&transport={way}") as watched:
            await watched.until(lambda: both(watched, "ada", 2))
            assert watched.of(TrackEnded) == []
