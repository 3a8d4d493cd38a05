"""LiveKit's server with its SDK as publisher; skipped where the server is not installed."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from slicer.clock import LoopClock
from slicer.errors import RoomError
from slicer.media.slice import SliceInfo, make
from slicer.rooms import Context
from slicer.rooms.livekit import room as room_module
from slicer.rooms.livekit import signalling
from slicer.rooms.livekit.room import LiveKitConnector
from slicer.rooms.livekit.settings import LiveKitSettings, Quality
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    RoomEntered,
    RoomLost,
    Stopped,
    TrackPublished,
)
from slicer.slicing.outputs import EndReason
from slicer.webrtc.counts import counted
from tests.harness.media.slices import read_picture
from tests.harness.rooms.livekit_publisher import publishing
from tests.harness.rooms.livekit_server import KEY, LAYERED, SECRET, LiveKitServer, publisher, token
from tests.harness.rooms.livekit_sockets import sockets_of_signalling
from tests.harness.rooms.visitor import Visitor


@contextlib.asynccontextmanager
async def visiting(
    name: str = "robot", silence: float = 15.0, quality: Quality = Quality.HIGH
) -> AsyncIterator[Visitor]:
    settings = LiveKitSettings(timeout=3.0, silence=silence, quality=quality)
    robot = Visitor(LiveKitConnector(Context(LoopClock(), livekit=settings)), name)
    yield robot
    await robot.connector.close()


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[LiveKitServer]:
    server = LiveKitServer.make(tmp_path)
    async with server.run():
        yield server


@pytest.mark.parametrize("older", [False, True])
async def test_anchors_come_and_go(
    server: LiveKitServer, monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    if older:
        monkeypatch.setattr(signalling, "NEWER", "/nowhere")
    ws = f"ws://127.0.0.1:{server.http}"
    async with visiting() as robot, publisher(ws, "ada"):
        await robot.enter(server.url())
        await robot.until(lambda: robot.cuts("ada") == set(Kind))
        async with publisher(ws, "bob") as bob:
            await robot.until(lambda: robot.cuts("bob") == set(Kind))
            assert bob.remote_participants.keys() == {"ada"}  # the robot is hidden
        await robot.until(lambda: any(isinstance(one, AnchorLeft) for one in robot.facts()))
        async with publisher(ws, "cleo", video=False):
            await robot.until(lambda: robot.cuts("cleo") == {Kind.AUDIO})
        facts = robot.facts()
        assert facts[0] == RoomEntered()
        joined = [one.anchor for one in facts if isinstance(one, AnchorJoined)]
        assert joined == ["ada", "bob", "cleo"]
        published = {one for one in facts if isinstance(one, TrackPublished)}
        assert published == {
            *(TrackPublished(who, kind) for who in ("ada", "bob") for kind in Kind),
            TrackPublished("cleo", Kind.AUDIO),
        }
        assert robot.refusals() == []
        # The server sends as it answers: what comes before its answer is read is of no track.
        assert robot.connector.counters["unroutable"] < 20


async def test_two_tasks_in_a_room_ask_as_seldom_as_one_may(server: LiveKitServer) -> None:
    loop, asked = asyncio.get_running_loop(), "keyframe_requests"
    async with visiting() as robot, publisher(f"ws://127.0.0.1:{server.http}", "ada"):
        both = (robot, Visitor(robot.connector, "other"))
        for one in both:
            one.keyframe_interval = 2.0
            await one.enter(server.url())
        await robot.until(lambda: robot.connector.counters[asked] >= 2)
        began = loop.time()
        await robot.until(lambda: robot.connector.counters[asked] >= 6)
        assert loop.time() - began >= 4 * 2.0 - 0.5
        assert min(len(one.pictures()) for one in both) >= 4


async def test_a_room_where_nobody_sends_is_not_lost(server: LiveKitServer) -> None:
    settings = LiveKitSettings(timeout=3.0, silence=7.0)  # a lite server is asked every 4 to 6 s
    robot = Visitor(LiveKitConnector(Context(LoopClock(), livekit=settings)))
    await robot.enter(server.url())
    await asyncio.sleep(8.0)
    assert robot.facts() == [RoomEntered()]
    await robot.connector.close()


async def test_a_robot_that_is_removed(server: LiveKitServer) -> None:
    async with visiting() as robot:
        await robot.enter(server.url())
        await server.ask("RemoveParticipant", room="lobby", identity="robot")
        await robot.told_of(Stopped(EndReason.KICKED))


async def test_a_robot_whose_identity_joins_again(server: LiveKitServer) -> None:
    async with visiting() as robot, visiting() as newer:
        await robot.enter(server.url())
        await newer.enter(server.url())
        await robot.told_of(Stopped(EndReason.REPLACED))
        assert newer.facts() == [RoomEntered()]


async def test_a_room_that_is_deleted(server: LiveKitServer) -> None:
    async with visiting() as robot:
        await robot.enter(server.url())
        await server.ask("DeleteRoom", room="lobby")
        await robot.told_of(Stopped(EndReason.ROOM_GONE))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("token=nonsense", "the token is not accepted: it answers 401"),
        (f"token={token('robot', room='cellar', roomJoin=False)}", "it answers 401"),
        (f"key={KEY}&secret={SECRET[::-1]}", "the token is not accepted: it answers 401"),
    ],
)
async def test_a_token_that_opens_nothing(server: LiveKitServer, options: str, words: str) -> None:
    async with visiting() as robot:
        with pytest.raises(RoomError, match=words):
            await robot.enter(server.url(options))


async def test_signalling_that_breaks_is_taken_up_again(
    server: LiveKitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = sockets_of_signalling(monkeypatch)
    ws = f"ws://127.0.0.1:{server.http}"
    async with visiting() as robot, publisher(ws, "ada"):
        await robot.enter(server.url())
        await robot.until(lambda: robot.cuts("ada") == set(Kind))
        sockets[-1].transport.abort()  # as a network does that breaks
        await robot.until(lambda: robot.connector.counters["resumes"] == 1)
        async with publisher(ws, "bob"):
            await robot.until(lambda: robot.cuts("bob") == set(Kind))
        assert not any(isinstance(one, RoomLost) for one in robot.told)


async def test_the_server_is_killed_and_started_again(tmp_path: Path) -> None:
    server = LiveKitServer.make(tmp_path)
    ws = f"ws://127.0.0.1:{server.http}"
    async with visiting() as robot:
        async with server.run(), publisher(ws, "ada"):
            await robot.enter(server.url())
            await robot.until(lambda: robot.cuts("ada") == set(Kind))
        await robot.until(lambda: any(isinstance(one, RoomLost) for one in robot.told), 60)
        async with server.run(), publisher(ws, "bob"):
            await robot.until(lambda: robot.cuts("bob") == set(Kind), 60)
            assert robot.facts().count(RoomEntered()) == 2


async def test_a_publisher_that_freezes_is_told_and_cut_on_when_it_thaws(
    server: LiveKitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_module, "LOOK", 0.5)
    ws = f"ws://127.0.0.1:{server.http}"
    async with visiting(silence=7.0) as robot, publishing(ws, "ada") as ada:
        await robot.enter(server.url())
        await robot.until(lambda: robot.cuts("ada") == set(Kind))
        ada.send_signal(signal.SIGSTOP)
        await robot.until(robot.troubles, 30)
        ada.send_signal(signal.SIGCONT)
        count = len(robot.pictures())
        await robot.until(lambda: len(robot.pictures()) > count + 1)
        assert robot.troubles() == ["no media for 7 s, and nothing says that it is muted"]
        assert RoomEntered() in robot.facts()
        assert not any(isinstance(one, AnchorLeft | RoomLost) for one in robot.facts())


async def datagrams(seconds: float) -> int:
    """How many of media come meanwhile."""
    before = counted()[0].media
    await asyncio.sleep(seconds)
    return counted()[0].media - before


async def test_a_video_is_not_sent_between_pictures(server: LiveKitServer) -> None:
    ws = f"ws://127.0.0.1:{server.http}"
    async with visiting() as robot, publisher(ws, "ada"):
        robot.declined, robot.seconds = {"ada"}, 4
        await robot.enter(server.url())
        await robot.told_of(TrackPublished("ada", Kind.VIDEO))
        robot.subscribe("ada", Kind.VIDEO)
        for count in (1, 2):
            await robot.until(partial(lambda count: len(robot.pictures()) > count, count))
            async with asyncio.timeout(5.5):
                while await datagrams(1.5) > 10:  # reports; of 20 frames a second, none
                    pass
        assert robot.troubles() == []
        assert robot.refusals() == []


@pytest.mark.parametrize(
    ("max_height", "quality", "layers"),
    [(None, Quality.HIGH, 3), (200, Quality.HIGH, 2), (None, Quality.LOW, 1)],
)
async def test_of_svc_the_layers_that_are_asked_for_are_sliced(
    server: LiveKitServer, max_height: int | None, quality: Quality, layers: int
) -> None:
    """VP9 by LiveKit's SDK. The last case takes all that comes: it is the server that leaves layers
    out."""

    def shown() -> list[tuple[int, int]]:
        """Of the last pictures the height, and of how many layer frames it is; those that need the
        frames of cuts before them, as where the server held a request up, are left out."""
        told = SliceInfo("k", robot.pictures()[0].track, datetime(2026, 1, 1, tzinfo=UTC))
        alone = [cut for cut in robot.pictures() if cut.first == 0]
        return [
            (read_picture(make(cut, told).data).shape[0], superframe(cut.frames[-1]))
            for cut in alone[-3:]
        ]

    ws = f"ws://127.0.0.1:{server.http}"
    expected = LAYERED[1] >> (3 - layers), layers
    async with visiting(quality=quality) as robot, publisher(ws, "ada", layered=True):
        robot.max_height = max_height
        await robot.enter(server.url())
        await robot.until(lambda: len(robot.pictures()) > 2)
        async with asyncio.timeout(60):
            while shown() != [expected] * 3:
                await asyncio.sleep(0.5)
        assert robot.refusals() == []


def superframe(frame: bytes) -> int:
    """The layer frames of a VP9 picture, by the index at its end (annex B)."""
    return 1 + (frame[-1] & 7) if frame[-1] >> 5 == 0b110 else 1


async def test_a_server_that_is_shut_down(tmp_path: Path) -> None:
    """Asked once, it waits for everybody to leave; asked again, it ends who is there."""
    server = LiveKitServer.make(tmp_path)
    async with visiting() as robot:
        async with server.run() as pid:
            await robot.enter(server.url())
            os.kill(pid, signal.SIGTERM)
            await asyncio.sleep(0.5)
            os.kill(pid, signal.SIGTERM)
            await robot.until(lambda: any(isinstance(one, RoomLost) for one in robot.facts()))
        async with server.run():
            await robot.until(lambda: robot.facts().count(RoomEntered()) == 2, 60)


async def test_a_room_that_is_full(server: LiveKitServer) -> None:
    ws = f"ws://127.0.0.1:{server.http}"
    await server.ask("CreateRoom", name="lobby", max_participants=1)
    async with visiting() as robot, publisher(ws, "ada", video=False):
        with pytest.raises(RoomError, match="it answers"):
            await robot.enter(server.url())
