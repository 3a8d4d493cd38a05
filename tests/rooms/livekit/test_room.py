"""Rooms on LiveKit servers: entering, being sent away, and coming back."""

from dataclasses import replace

import pytest
from livekit.protocol import models, rtc

from slicer.errors import BadInput, RoomError
from slicer.rooms import parse_room
from slicer.rooms.livekit.address import LiveKitAddress
from slicer.rooms.livekit.room import servers_after
from slicer.rooms.livekit.session import End
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorJoined, Fact, RoomEntered, RoomLost, Stopped, TrackPublished
from slicer.slicing.outputs import EndReason
from tests.harness.rooms.livekit_stand_in import KEY, SECRET, StandIn, audio, info, stand_in
from tests.harness.rooms.visitor import Visitor
from tests.rooms.livekit.conftest import QUICK, visitor

ARRIVAL: list[Fact] = [
    RoomEntered(),
    AnchorJoined("ada"),
    TrackPublished("ada", Kind.AUDIO),
    TrackPublished("ada", Kind.VIDEO),
]


async def test_audio_and_pictures(server: StandIn, robot: Visitor) -> None:
    await robot.enter(server.url())
    await robot.until(lambda: robot.cuts("ada") == set(Kind))
    assert robot.facts() == ARRIVAL
    assert robot.connector.connections == 1
    (claims,) = server.claims
    assert claims["sub"] == "robot"
    assert claims["video"] == {
        "room": "lobby", "roomJoin": True, "hidden": True,
        "canPublish": False, "canPublishData": False, "canSubscribe": True,
    }  # fmt: skip
    assert not server.joins[0].connection_settings.auto_subscribe
    assert robot.room is not None
    await robot.room.leave()
    await robot.room.leave()
    await robot.until(lambda: server.requests[-1].WhichOneof("message") == "leave")
    assert robot.connector.connections == 0


async def test_the_key_of_the_settings(server: StandIn) -> None:
    robot = visitor(replace(QUICK, key=KEY, secret=SECRET))
    await robot.enter(server.url(""))
    await robot.told_of(*ARRIVAL)
    await robot.connector.close()


async def test_without_a_key_or_a_token_nothing_is_started(robot: Visitor) -> None:
    with pytest.raises(BadInput, match=r"livekit\.key"):
        robot.connector.check(parse_room("livekit://h/r"))


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ("token=nonsense", 0, "token is not accepted: it answers 401 invalid token"),
        (
            f"key={KEY}&secret={SECRET[::-1]}",
            0,
            "token is not accepted: it answers 401 invalid token",
        ),
        (f"key={KEY}&secret={SECRET}", 403, "does not allow it: it answers 403"),
        (f"key={KEY}&secret={SECRET}", 404, "no such room: it answers 404"),
        (f"key={KEY}&secret={SECRET}", 429, "is full: it answers 429"),
        (f"key={KEY}&secret={SECRET}", 500, "the server refuses: it answers 500"),
    ],
)
async def test_what_is_refused(
    server: StandIn, robot: Visitor, options: str, status: int, words: str
) -> None:
    server.status = status
    with pytest.raises(RoomError, match=words):
        await robot.enter(server.url(options))
    assert robot.told == []


async def test_a_server_that_is_not_there(server: StandIn, robot: Visitor) -> None:
    await server.stop()
    with pytest.raises(RoomError, match="cannot be asked"):
        await robot.enter(server.url())


@pytest.mark.parametrize(
    ("reason", "end"),
    [
        (models.DisconnectReason.DUPLICATE_IDENTITY, EndReason.REPLACED),
        (models.DisconnectReason.PARTICIPANT_REMOVED, EndReason.KICKED),
        (models.DisconnectReason.ROOM_DELETED, EndReason.ROOM_GONE),
    ],
)
async def test_the_end(
    server: StandIn, robot: Visitor, reason: models.DisconnectReason, end: EndReason
) -> None:
    await robot.enter(server.url())
    await robot.told_of(*ARRIVAL)
    await server.leave(reason)
    await robot.told_of(Stopped(end))
    assert len(server.joins) == 1


async def test_a_server_that_shuts_down_and_comes_back(server: StandIn, robot: Visitor) -> None:
    await robot.enter(server.url())
    await robot.until(lambda: robot.cuts("ada") == set(Kind))
    server.status = 503
    action = rtc.LeaveRequest.Action.RECONNECT
    await server.leave(models.DisconnectReason.SERVER_SHUTDOWN, action=action)
    lost = RoomLost("the server says: server shutdown")
    await robot.told_of(lost)
    await robot.until(lambda: robot.connector.counters["entries_failed"])
    server.status = 0
    await robot.until(lambda: len(robot.facts()) == 9)
    assert robot.facts() == [*ARRIVAL, lost, *ARRIVAL]


async def test_a_server_that_sends_us_to_another_one(server: StandIn, robot: Visitor) -> None:
    await robot.enter(server.url())
    await robot.told_of(*ARRIVAL)
    async with stand_in(info("bob", audio("TR_b1"))) as other:
        region = rtc.RegionInfo(region="north", url=f"ws://127.0.0.1:{other.port}")
        there = rtc.RegionSettings(regions=[region])
        action = rtc.LeaveRequest.Action.RECONNECT
        await server.leave(models.DisconnectReason.MIGRATION, action=action, regions=there)
        await robot.told_of(AnchorJoined("bob"))
        assert (len(server.joins), len(other.joins)) == (1, 1)
        await robot.connector.close()


async def test_media_that_ends(server: StandIn, robot: Visitor) -> None:
    await robot.enter(server.url())
    await robot.until(lambda: robot.cuts("ada") == set(Kind))
    await server.hang_up()
    await robot.until(lambda: robot.facts().count(RoomEntered()) == 2)
    assert RoomLost("DTLS closed by the peer") in robot.told
    assert robot.facts()[-4:] == ARRIVAL


def test_where_the_server_sends_us() -> None:
    plain = LiveKitAddress.parse(parse_room("livekit://a:7880/r?token=t"))
    secure = LiveKitAddress.parse(parse_room("livekits://a/r?token=t"))
    end = End("", servers=("https://b", "ws://c:1", "nonsense"))
    assert servers_after(plain, end) == ["wss://b", "ws://c:1", "ws://a:7880"]
    assert servers_after(secure, end) == ["wss://b", "wss://a"]
