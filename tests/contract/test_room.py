"""Rooms through the whole engine: one that is lost, refuses or opens slowly, told by a script; and
every kind of room of others, with real media."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

import slicer
from slicer import (
    AudioSpec,
    EndReason,
    Engine,
    Kind,
    Role,
    SliceParams,
    State,
    TaskSpec,
    TaskState,
    TrackEnded,
    VideoSpec,
)
from slicer.rooms import CONNECTORS
from slicer.slicing import facts
from slicer.slicing.facts import (
    AnchorJoined,
    Fact,
    RoomEntered,
    RoomLost,
    Stopped,
    TrackPublished,
)
from slicer.slicing.outputs import TrackKey, TrackRefused
from tests.harness.media.content import Content, Painter
from tests.harness.rooms import livekit_stand_in
from tests.harness.rooms.livekit_stand_in import audio, info
from tests.harness.rooms.rtp_sender import Sender, free_ports
from tests.harness.rooms.scripted import CONNECTOR, ScriptedConnector
from tests.harness.rooms.streams import of_folder, served, write_file
from tests.harness.rooms.videoroom import PIN, SECRET, VideoRoom, on_websocket
from tests.harness.rooms.whep_server import whep_server


@contextlib.asynccontextmanager
async def livekit() -> AsyncIterator[str]:
    async with livekit_stand_in.stand_in(info("ada", audio("TR_a1"))) as server:
        yield server.url()


@contextlib.asynccontextmanager
async def whep() -> AsyncIterator[str]:
    async with whep_server("ada") as server:
        yield server.url("anchors=ada")


@contextlib.asynccontextmanager
async def janus() -> AsyncIterator[str]:
    room = VideoRoom()
    room.publish("ada", "audio")
    async with on_websocket(room) as server:
        talking = asyncio.create_task(talk(room))
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"janus://127.0.0.1:{port}/r?api_secret={SECRET}&pin={PIN}"
        talking.cancel()
        for sfu in room.sfus:
            await sfu.close()


async def talk(room: VideoRoom) -> None:
    """The audio of the one publisher that somebody subscribes to."""
    while not room.sfus:
        await asyncio.sleep(0.01)
    (sfu,) = room.sfus
    await sfu.connected()
    for number in itertools.count():
        await sfu.send(sfu.tracks[0], number % 200, 100, number / 50)
        await asyncio.sleep(0.02)


ROOMS_OF_OTHERS = {"livekit": livekit, "whep": whep, "janus": janus}
"""By their scheme: a room where ada sends audio, and its URL."""


@pytest.mark.parametrize("scheme", ROOMS_OF_OTHERS)
async def test_a_room_of_others_is_sliced(tmp_path: Path, scheme: str) -> None:
    async with ROOMS_OF_OTHERS[scheme]() as url, Engine() as engine, engine.events() as events:
        spec = TaskSpec(url, (tmp_path / "out").as_uri(), SliceParams(AudioSpec(1), None))
        task = await engine.create(spec)
        assert engine.describe(task).state is State.RUNNING
        async with asyncio.timeout(20):
            while engine.describe(task).stored < 2:
                await asyncio.sleep(0.05)
        assert engine.describe(task).tracks == (("ada", Kind.AUDIO, Role.MAIN),)
        engine.delete(task)
        finished = await engine.finished(task)
        await engine.close()
        told = [event async for event in events]
    assert (finished.reason, finished.lost) == (EndReason.STOPPED, 0)
    assert len(list((tmp_path / "out").rglob("*.ogg"))) == finished.stored
    states = [one.state for one in told if isinstance(one, TaskState)]
    assert states == [State.RUNNING, State.ENDED]
    assert not any("secret" in repr(one) or SECRET in repr(one) for one in told)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONNECTORS, "scripted", CONNECTOR)


def in_scripted_room(tmp_path: Path, name: str, max_idle: int | None = None) -> TaskSpec:
    params = SliceParams(AudioSpec(2), None, max_idle=max_idle)
    return TaskSpec(f"scripted://{name}", (tmp_path / "out").as_uri(), params)


ADA = (AnchorJoined("ada"), TrackPublished("ada", Kind.AUDIO))


async def test_a_task_comes_back_with_its_room(tmp_path: Path, scripted: None) -> None:
    async with Engine() as engine, engine.events() as events:
        task = await engine.create(in_scripted_room(tmp_path, "open"))
        room = ScriptedConnector.rooms["open"]
        room.tell(*ADA, RoomLost("ICE consent lost"))
        assert engine.describe(task).state is State.RECONNECTING
        assert engine.describe(task).anchors == ()
        room.tell(RoomEntered(), *ADA)
        assert engine.describe(task).state is State.RUNNING
        assert engine.describe(task).tracks == (("ada", Kind.AUDIO, Role.MAIN),)
        assert engine.streams(task) == 1
        room.cut(TrackKey(task, "ada", Kind.AUDIO))
        engine.delete(task)
        finished = await engine.finished(task)
        await engine.close()
        told = [event async for event in events]
    assert (finished.reason, finished.stored, finished.lost) == (EndReason.STOPPED, 3, 0)
    states = [(one.state, one.reason) for one in told if isinstance(one, TaskState)]
    assert states == [
        (State.RUNNING, ""),
        (State.RECONNECTING, "ICE consent lost"),
        (State.RUNNING, ""),
        (State.ENDED, ""),
    ]
    ends = [one.reason for one in told if isinstance(one, TrackEnded)]
    assert ends == ["the room was lost: ICE consent lost", "the task ended: stopped"]
    assert len(list((tmp_path / "out").rglob("*.ogg"))) == 3
    assert room.left


@pytest.mark.parametrize(
    ("name", "told", "reason"),
    [
        ("closed", (), EndReason.ROOM_UNREACHABLE),
        ("closed", (RoomLost("refused"),), EndReason.ROOM_UNREACHABLE),
        ("open", (RoomLost("broke"),), EndReason.ROOM_UNREACHABLE),
        ("open", (RoomLost("broke"), RoomEntered()), EndReason.IDLE),
        ("closed", (RoomLost("refused"), RoomEntered()), EndReason.IDLE),
        ("closed", (Stopped(EndReason.KICKED),), EndReason.KICKED),
        ("open", (Stopped(EndReason.ROOM_GONE),), EndReason.ROOM_GONE),
        ("open", (RoomLost("broke"), Stopped(EndReason.ROOM_GONE)), EndReason.ROOM_GONE),
    ],
)
async def test_every_way_out_of_a_room_that_is_lost_or_shut(
    tmp_path: Path, scripted: None, name: str, told: tuple[Fact, ...], reason: EndReason
) -> None:
    async with Engine() as engine:
        task = await engine.create(in_scripted_room(tmp_path, name, max_idle=1))
        finished = asyncio.ensure_future(engine.finished(task))
        ScriptedConnector.rooms[name].tell(*told)
        assert (await finished).reason is reason


async def test_what_is_decided_against_an_anchor_is_told_with_its_reason(
    tmp_path: Path, scripted: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "slicer")
    async with Engine() as engine, engine.events() as events:
        task = await engine.create(in_scripted_room(tmp_path, "open"))
        room = ScriptedConnector.rooms["open"]
        refused = TrackRefused("ada", Kind.VIDEO, "H.265 is not supported")
        room.tell(*ADA, refused, facts.AnchorLeft("ada", "nothing received for 15 s"))
        await engine.close()
        told = [event async for event in events]
    assert [(one.anchor, one.reason) for one in told if isinstance(one, slicer.TrackRefused)] == [
        ("ada", "H.265 is not supported")
    ]
    assert [(one.anchor, one.reason) for one in told if isinstance(one, slicer.AnchorLeft)] == [
        ("ada", "nothing received for 15 s")
    ]
    assert f"! task {task}: video of ada is refused: H.265 is not supported" in caplog.messages
    assert f"- task {task}: ada left: nothing received for 15 s" in caplog.messages


@pytest.mark.parametrize("gate", ["slow", "slow/enter"])
@pytest.mark.parametrize("way", ["delete", "replace", "close"])
async def test_a_task_that_ends_while_its_room_opens_does_not_stay_there(
    tmp_path: Path, scripted: None, monkeypatch: pytest.MonkeyPatch, gate: str, way: str
) -> None:
    opened = asyncio.Event()
    monkeypatch.setattr(ScriptedConnector, "rooms", {})
    monkeypatch.setitem(ScriptedConnector.gates, gate, opened)
    spec = replace(in_scripted_room(tmp_path, "slow"), task="t")
    async with Engine() as engine:
        created = asyncio.ensure_future(engine.create(spec))
        while "slow" not in ScriptedConnector.rooms:
            await asyncio.sleep(0.01)
        room = ScriptedConnector.rooms.pop("slow")
        second = closed = None
        if way == "delete":
            engine.delete("t")
        elif way == "replace":
            second = asyncio.ensure_future(engine.create(replace(spec, task="")))
        else:
            closed = asyncio.ensure_future(engine.close())
        await asyncio.sleep(0.05)
        opened.set()
        assert await created == "t"
        for other in (second, closed):
            await (other or asyncio.sleep(0))
        assert (await engine.finished("t")).stored == 0
        assert room.left


async def test_a_room_that_refuses_leaves_no_task_that_ends_later(
    tmp_path: Path, scripted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = asyncio.Event()
    monkeypatch.setitem(ScriptedConnector.gates, "full/enter", opened)
    async with Engine() as engine, engine.events() as events:
        spec = in_scripted_room(tmp_path, "full", max_idle=1)
        created = asyncio.ensure_future(engine.create(spec))
        async with asyncio.timeout(20):
            while "full" not in ScriptedConnector.rooms:
                await asyncio.sleep(0.01)
        ScriptedConnector.rooms["full"].refuses = True
        opened.set()
        with pytest.raises(slicer.RoomError, match="full"):
            await created
        await asyncio.sleep(1.2)
        await engine.close()
        assert [event async for event in events] == []


async def test_a_stream_goes_through_the_whole_engine(tmp_path: Path) -> None:
    content = Content(Painter(width=160, height=96, fps=10), seconds=2)
    write_file(tmp_path / "a.flv", content)
    with served(of_folder(tmp_path)) as site:
        url = f"flv://127.0.0.1:{site.port}/a.flv#anchor=ada"
        params = SliceParams(AudioSpec(1), VideoSpec(1), max_idle=5)
        async with Engine() as engine:
            task = await engine.create(TaskSpec(url, (tmp_path / "out").as_uri(), params))
            finished = await engine.finished(task)
    assert (finished.reason, finished.lost) == (EndReason.ROOM_GONE, 0)
    kinds = sorted(path.suffix for path in (tmp_path / "out").rglob("*.*"))
    assert kinds in ([".ogg"] * 2 + [".png"] * 2, [".ogg"] * 3 + [".png"] * 2)


async def test_plain_rtp_goes_through_the_whole_engine(tmp_path: Path) -> None:
    (port,) = free_ports()
    sender = Sender()
    params = SliceParams(AudioSpec(1), None, max_idle=5)
    async with Engine() as engine:
        url = f"rtp://127.0.0.1:{port}?audio=96:opus&rtcp=mux&anchor=ada"
        task = await engine.create(TaskSpec(url, (tmp_path / "out").as_uri(), params))
        for first in range(0, 120, 20):
            sender.talk(port, first, 20)
            await asyncio.sleep(0.02)
        async with asyncio.timeout(10):
            while engine.streams(task) < 1 or not list((tmp_path / "out").rglob("*.ogg")):
                await asyncio.sleep(0.01)
        engine.delete(task)
        finished = await engine.finished(task)
    sender.close()
    assert (finished.stored, finished.lost) == (3, 0)
