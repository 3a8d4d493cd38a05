"""A robot in a room of Janus: coming, going, and coming back."""

import asyncio
import logging

import pytest

from slicer.errors import BadInput, RoomError
from slicer.rooms import backoff
from slicer.rooms.janus import room as module
from slicer.rooms.janus import session
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Fact,
    RoomEntered,
    RoomLost,
    Stopped,
    TrackPublished,
    TrackUnpublished,
)
from slicer.slicing.outputs import AudioCut, EndReason, TrackOutput
from tests.harness.rooms.videoroom import PRIVATE_ID, VideoRoom, on_websocket
from tests.rooms.janus.conftest import Robot


async def test_who_is_there_is_told_and_cut(robot: Robot) -> None:
    robot.room.publish("ada", "audio", "video")
    await robot.enter()
    assert robot.told == [
        RoomEntered(),
        AnchorJoined("ada"),
        TrackPublished("ada", Kind.AUDIO),
        TrackPublished("ada", Kind.VIDEO),
    ]
    await robot.connected()
    assert robot.connector.connections == 1
    (join,) = robot.room.asked("join")[1:]
    wanted = [{"feed": "ada", "mid": "0"}, {"feed": "ada", "mid": "1"}]
    assert (join["private_id"], join["streams"]) == (PRIVATE_ID, wanted)
    await robot.send(10.0)
    robot.room.unpublish("ada")
    await robot.until(lambda: AnchorLeft("ada", "unpublished") in robot.told)
    assert len(robot.cuts(AudioCut)) == 1
    assert robot.connector.connections == 0
    await robot.connector.close()
    assert robot.room.handles == []


async def test_ids_that_are_numbers(robot: Robot) -> None:
    robot.room.room = 7
    robot.room.publish(5, "audio")
    await robot.enter()
    await robot.connected("5")
    assert [one.get("id") for one in robot.room.asked("join")] == [None, None]
    assert AnchorJoined("5") in robot.told


async def test_a_room_named_like_a_number_where_ids_are_texts(robot: Robot) -> None:
    robot.room.room = "7"
    await robot.enter()
    assert [(one["room"], one.get("id")) for one in robot.room.asked("join")] == [
        (7, None),
        ("7", "robot"),
    ]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("pin=wrong", "wrong pin"),
        ("api_secret=wrong", "Unauthorized request"),
        ("transport=http", "cannot be reached"),
    ],
)
async def test_what_does_not_let_us_in(robot: Robot, query: str, says: str) -> None:
    with pytest.raises(RoomError, match=says):
        await robot.enter(query)
    assert robot.told == []


async def test_a_room_that_is_not_there(robot: Robot) -> None:
    robot.room.room = "other"
    there = robot.room.room
    robot.room.room = "r"
    with pytest.raises(RoomError, match=r"No such room \(other\) \(error 426\)"):
        await _enter_as(robot, there)


async def _enter_as(robot: Robot, name: str) -> None:
    other = Robot(VideoRoom(), robot.port)
    other.room.room = name
    try:
        await other.enter()
    finally:
        await other.connector.close()


@pytest.mark.parametrize("request_name", ["create", "attach", "join"])
async def test_a_silent_server(
    robot: Robot, request_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENTER_TIMEOUT", 0.2)
    monkeypatch.setattr(session, "GOODBYE_TIMEOUT", 0.1)
    robot.room.silent = {request_name, "destroy"}
    with pytest.raises(RoomError, match=r"did not let us in within 0\.2 s"):
        await robot.enter()


@pytest.mark.parametrize(
    ("request_name", "nonsense"),
    [
        ("create", {"janus": "success", "data": "hello"}),
        ("create", {"hello": "world"}),
        ("attach", {"janus": 5}),
        ("join", {"janus": "event", "plugindata": 5}),
    ],
)
async def test_a_server_that_speaks_nonsense(
    robot: Robot, request_name: str, nonsense: dict[str, object]
) -> None:
    robot.room.nonsense = {request_name: nonsense}
    with pytest.raises(RoomError, match="cannot be read"):
        await robot.enter()


async def test_janus_gone_and_back(robot: Robot, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    robot.room.publish("ada", "audio")
    await robot.enter()
    await robot.connected()
    await robot.send(10.0)
    robot.room.nonsense = {"join": {"janus": "error", "error": {"code": 99, "reason": "booting"}}}
    for one in list(robot.room.sessions.values()):
        one.emit({"janus": "timeout", "session_id": one.id})
    robot.room.drop()
    await robot.until(lambda: RoomLost("Janus gave the session up") in robot.told)
    assert robot.connector.connections == 0
    await robot.until(lambda: "booting" in caplog.text)
    assert robot.facts().count(RoomEntered()) == 1
    robot.room.nonsense = {}
    await robot.until(lambda: robot.facts().count(RoomEntered()) == 2)
    await robot.connected()
    assert robot.facts()[-2:] == [AnchorJoined("ada"), TrackPublished("ada", Kind.AUDIO)]


async def test_the_last_cuts_are_there_while_the_loss_is_told(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = robot.listen

    def let_go(told: Fact | TrackOutput) -> None:
        listen(told)
        if isinstance(told, RoomLost):
            robot.there.unsubscribe(robot.wish("ada", Kind.AUDIO).track)

    monkeypatch.setattr(robot, "listen", let_go)
    robot.room.publish("ada", "audio")
    await robot.enter()
    await robot.connected()
    await robot.send(10.0)
    robot.room.handles[0].session.emit({"janus": "timeout"})
    await robot.until(lambda: robot.cuts(AudioCut))


async def test_a_handle_that_is_taken_away(robot: Robot) -> None:
    await robot.enter()
    (handle,) = robot.room.handles
    handle.session.emit({"janus": "detached", "sender": handle.id})
    await robot.until(lambda: RoomLost("Janus ended the robot's handle") in robot.told)
    await robot.until(lambda: robot.facts().count(RoomEntered()) == 2)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"videoroom": "event", "leaving": "ok", "reason": "kicked"}, EndReason.KICKED),
        ({"videoroom": "destroyed", "room": "r"}, EndReason.ROOM_GONE),
    ],
)
async def test_the_end_of_a_stay(robot: Robot, data: dict[str, str], reason: EndReason) -> None:
    robot.room.publish("ada", "audio")
    await robot.enter()
    await robot.connected()
    robot.room.handles[0].tell(data)
    await robot.until(lambda: Stopped(reason) in robot.told)
    await robot.until(lambda: robot.room.handles == [])
    assert robot.facts()[-1] == Stopped(reason)
    robot.there.subscribe(robot.wish("ada", Kind.AUDIO))
    robot.there.unsubscribe(robot.wish("ada", Kind.AUDIO).track)
    await robot.there.leave()


async def test_leaving_while_it_comes_back(robot: Robot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST", 100.0)
    await robot.enter()
    robot.room.handles[0].session.emit({"janus": "timeout"})
    await robot.until(lambda: isinstance(robot.told[-1], RoomLost))
    async with asyncio.timeout(5):
        await robot.there.leave()
        await robot.there.leave()
    assert isinstance(robot.told[-1], RoomLost)


async def test_troubles_are_told(robot: Robot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK", 0.05)
    robot.room.publish("ada", "audio")
    await robot.enter()
    await robot.connected()
    await asyncio.sleep(0.12)
    assert robot.connector.counters is not None
    assert robot.facts()[-1] == TrackPublished("ada", Kind.AUDIO)


async def test_addresses(robot: Robot) -> None:
    made = robot
    await made.enter()
    from slicer.rooms import parse_room

    made.connector.check(parse_room("janus://h/r"))
    with pytest.raises(BadInput):
        made.connector.check(parse_room("janus://h/"))
    other = Robot(VideoRoom(), 1)
    async with on_websocket(VideoRoom()):
        with pytest.raises(RoomError, match="cannot be reached"):
            await other.enter()


async def test_unpublishing_is_told_before_leaving(robot: Robot) -> None:
    robot.room.publish("ada", "audio")
    await robot.enter()
    robot.room.unpublish("ada")
    await robot.until(lambda: isinstance(robot.told[-1], AnchorLeft))
    assert TrackUnpublished("ada", Kind.AUDIO, "unpublished") in robot.told
