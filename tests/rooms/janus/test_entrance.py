"""The way in: what is left open where it fails, and which ids are tried."""

import re
from urllib.parse import urlsplit

import pytest

from slicer.errors import RoomError
from slicer.rooms.janus.address import JanusAddress
from slicer.rooms.janus.entrance import enter
from slicer.rooms.janus.messages import Message
from slicer.rooms.janus.session import Session
from tests.rooms.janus.conftest import SETTINGS, Robot


def address(robot: Robot, room: str) -> JanusAddress:
    return JanusAddress.parse(urlsplit(f"janus://127.0.0.1:{robot.port}/{room}"), SETTINGS)


async def test_joined_is_told_before_it_returns(robot: Robot) -> None:
    told: list[tuple[Session, Message]] = []
    ended: list[str] = []
    session = await enter(address(robot, "r"), "me", lambda *both: told.append(both), ended.append)
    assert [(one, said["plugindata"]["data"]["id"]) for one, said in told] == [(session, "me")]
    (join,) = robot.room.asked("join")
    assert (join["display"], join["id"], join["pin"]) == ("me", "me", SETTINGS.pin)
    await session.close()
    assert ended == []


async def test_whose_id_is_taken_comes_by_another_one_under_his_name(robot: Robot) -> None:
    there = address(robot, "r")
    first = await enter(there, "me", lambda *both: None, lambda why: None)
    second = await enter(there, "me", lambda *both: None, lambda why: None)
    ids = [one["id"] for one in robot.room.asked("join")]
    assert ids[:2] == ["me", "me"], "the first one is still there"
    assert re.fullmatch("me~[0-9a-f]{8}", ids[2])
    assert {one["display"] for one in robot.room.asked("join")} == {"me"}
    for session in (first, second):
        await session.close()


async def test_nothing_is_left_open_where_it_fails(robot: Robot) -> None:
    with pytest.raises(RoomError, match="No such room"):
        await enter(address(robot, "other"), "me", lambda *both: None, lambda why: None)
    assert robot.room.sessions == {}


async def test_an_id_of_neither_kind(robot: Robot) -> None:
    wrong = {"videoroom": "event", "error_code": 430, "error": "Invalid element type"}
    robot.room.nonsense = {"join": {"janus": "event", "plugindata": {"data": wrong}}}
    with pytest.raises(RoomError, match="Invalid element type"):
        await enter(address(robot, "7"), "me", lambda *both: None, lambda why: None)
    assert [one["room"] for one in robot.room.asked("join")] == [7, "7"]
