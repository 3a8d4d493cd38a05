"""Rooms on a WHEP server, with real connections."""

import asyncio
from dataclasses import replace

import pytest
from starlette.responses import JSONResponse, Response

from slicer.errors import RoomError
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Fact,
    RoomEntered,
    RoomLost,
    TrackPublished,
    TrackUnpublished,
)
from slicer.slicing.outputs import AudioCut, PictureCut, TrackRefused
from slicer.slicing.video import ANSWER
from tests.harness.rooms.visitor import Visitor
from tests.harness.rooms.whep_server import WhepServer
from tests.rooms.whep.conftest import QUICK, visitor

ARRIVAL: list[Fact] = [
    AnchorJoined("ada"),
    TrackPublished("ada", Kind.AUDIO),
    TrackPublished("ada", Kind.VIDEO),
]


async def test_audio_and_pictures_of_a_fixed_list(server: WhepServer, robot: Visitor) -> None:
    await robot.enter(server.url("anchors=ada,bob"))
    await robot.until(lambda: {AudioCut, PictureCut} <= {type(one) for one in robot.told})
    assert robot.facts() == [RoomEntered(), *ARRIVAL]
    assert robot.connector.connections == 1
    assert robot.room is not None
    await robot.room.leave()
    await robot.room.leave()
    assert [session.partition("-")[0] for session in server.deleted] == ["ada"]
    assert robot.connector.connections == 0
    assert robot.connector.counters["lists_failed"] == 0


async def test_of_two_tasks_in_a_room_one_asks(server: WhepServer, robot: Visitor) -> None:
    """Each would ask at once. This server has an encoder for each of them, so that the other one
    asks later, as nothing comes of the first request here."""
    other = Visitor(robot.connector, "other")
    for one, options in ((robot, "anchors=ada"), (other, "list=/list.json")):
        one.keyframe_interval = 60.0
        await one.enter(server.url(options))
    await robot.until(lambda: robot.connector.counters["keyframe_requests"])
    await asyncio.sleep(ANSWER / 2)
    assert robot.connector.counters["keyframe_requests"] == 1
    await other.until(lambda: robot.cuts("ada") & other.cuts("ada"))


async def test_a_server_that_goes_away_and_comes_back(server: WhepServer, robot: Visitor) -> None:
    await robot.enter(server.url("list=/list.json"))
    await robot.told_of(*ARRIVAL)
    await server.stop()
    await robot.until(lambda: robot.connector.counters["lists_failed"])
    assert not any(isinstance(one, RoomLost) for one in robot.told)  # ada still plays
    await server.hang_up()
    await robot.until(lambda: any(isinstance(one, RoomLost) for one in robot.told))
    await server.start()
    await robot.until(lambda: robot.facts().count(AnchorJoined("ada")) == 2)
    kinds = [type(fact) for fact in robot.facts()]
    lost = kinds.index(RoomLost)
    assert kinds[lost - 1] is AnchorLeft
    assert kinds[lost:] == [RoomLost, RoomEntered, *(type(fact) for fact in ARRIVAL)]


@pytest.mark.parametrize("options", ["anchors=ada", "list=/list.json", "mediamtx={port}"])
async def test_other_credentials_are_needed(
    server: WhepServer, robot: Visitor, options: str
) -> None:
    server.bearer = "right"
    url = server.url(options.format(port=server.port))
    with pytest.raises(RoomError, match="401 authentication error"):
        await robot.enter(f"{url}&bearer=wrong")
    await robot.enter(f"{url}&bearer=right")
    await robot.told_of(*ARRIVAL)


async def test_the_bearer_of_the_settings(server: WhepServer) -> None:
    server.bearer = "right"
    robot = visitor(replace(QUICK, bearer="right"))
    await robot.enter(server.url("anchors=ada"))
    await robot.told_of(*ARRIVAL)
    await robot.connector.close()


async def test_nobody_answers(server: WhepServer, robot: Visitor) -> None:
    await server.stop()
    with pytest.raises(RoomError, match="cannot be asked"):
        await robot.enter(server.url("anchors=ada"))
    await server.start()


async def test_too_many_and_those_whose_name_can_be_none(server: WhepServer) -> None:
    server.anchors, server.audio_only = ["ada", "bob", "../x"], True
    robot = visitor(replace(QUICK, max_anchors=1))
    await robot.enter(server.url("list=/list.json"))
    await robot.told_of(AnchorJoined("ada"))
    refused = {one.anchor: one.reason for one in robot.told if isinstance(one, TrackRefused)}
    assert refused == {
        "bob": "the most that are played at once: 1",
        "'../x'": "its name can be none of an anchor",
    }
    assert robot.connector.counters["anchors_refused"] == 2
    await robot.connector.close()


@pytest.mark.parametrize("options", ["list=/list.json", "mediamtx={port}"])
async def test_a_polled_list_says_who_is_there(
    server: WhepServer, robot: Visitor, options: str
) -> None:
    server.audio_only, server.page = True, 1
    server.anchors = []
    await robot.enter(server.url(options.format(port=server.port)))
    assert robot.facts() == [RoomEntered()]
    server.anchors.append("bob")
    await robot.told_of(AnchorJoined("bob"), TrackPublished("bob", Kind.AUDIO))
    await robot.until(lambda: any(isinstance(one, AudioCut) for one in robot.told))
    server.anchors.remove("bob")
    await robot.told_of(AnchorLeft("bob", "it is listed no longer"))
    await robot.until(lambda: server.deleted)
    assert TrackUnpublished("bob", Kind.AUDIO, "it is listed no longer") in robot.told
    assert not any(isinstance(one, RoomLost) for one in robot.told)


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (JSONResponse({"detail": "not you"}, 403), "forbids it: the server answers 403 not you"),
        (Response("busy", 503, {"Retry-After": "1"}), "no session: the server answers 503 busy"),
        (Response("v=0", 201, {"Location": "/session/x"}), "description cannot be taken"),
        (Response("", 201), "no Location"),
        (Response("", 201, {"Location": "http://192.0.2.1/x"}), "another host"),
        (Response("", 307, {"Location": "http://192.0.2.1/x"}), "another host"),
        (Response("", 307, {"Location": ""}), "more than 3 redirects"),
        (Response("x" * 300_000, 201), "more than 262144 bytes"),
        (Response("no", 406), "the server answers 406 no"),
    ],
)
async def test_what_is_refused_is_told_once_with_its_reason(
    server: WhepServer, robot: Visitor, refusal: Response, words: str
) -> None:
    await robot.enter(server.url("list=/list.json"))
    await robot.told_of(*ARRIVAL)
    server.refusals["bob"] = refusal
    server.anchors.append("bob")
    await robot.until(lambda: any(isinstance(one, TrackRefused) for one in robot.told))
    refused = [one for one in robot.told if isinstance(one, TrackRefused)]
    assert [(one.anchor, one.kind) for one in refused] == [("bob", kind) for kind in Kind]
    assert words in refused[0].reason
    tries = len(server.asked)
    await robot.until(lambda: len(server.asked) >= tries + 2)
    assert len([one for one in robot.told if isinstance(one, TrackRefused)]) == 2
