"""Which tasks are in which rooms of ours, by records as they come."""

from dataclasses import replace

import pytest

from slicer.errors import BadInput
from slicer.rooms.whip.address import RoomAddress
from slicer.service.leave_code import LeaveCode
from slicer.service.own_rooms import OwnRooms, check_own_rooms
from slicer.service.registry import Record
from tests.harness.fleet.in_process import Fleet
from tests.harness.service.orders import live_order, moderation_order


def at(room: str) -> RoomAddress:
    return RoomAddress("127.0.0.1", 0, room)


async def test_tasks_are_found_by_their_room_until_they_end(fleet: Fleet) -> None:
    orders = await fleet.copy()
    table, registry = orders.table, orders.registry
    registry._place = lambda record: f"w-{record.task}"
    await registry.add(Record("before", 200806, moderation_order("a"), 1.0, 2.0))
    rooms = OwnRooms(table, registry, [fleet.app])
    for task, order in (
        ("t", moderation_order("a")),
        ("sfu", moderation_order("x1")),
        ("live", replace(live_order(), room_id="a")),
    ):
        await registry.add(Record(task, 200806, order, 1.0, 2.0))
    await registry.add(Record("stranger", 7, moderation_order("a"), 1.0, 2.0))
    assert rooms.apps(at("a")) == {200806}
    assert rooms.workers(at("a")) == {"w-before", "w-t"}
    assert (rooms.room("t"), rooms.room("sfu"), rooms.room("live")) == (at("a"), None, None)
    assert not rooms.workers(at("x1"))
    assert not rooms.apps(at("x1"))
    await registry.leave("t", LeaveCode.STOPPED)
    assert rooms.room("t") == at("a"), "it is leaving, and still there"
    await registry.end("t", 3.0)
    await registry.end("before", 3.0)
    assert rooms.workers(at("a")) == set()
    assert rooms._tasks == {}
    rooms.replace([replace(fleet.app, sdk_app_id=7)])
    assert rooms.apps(at("a")) == {7}


async def test_tasks_of_one_room_are_together_and_its_name_is_not_told(fleet: Fleet) -> None:
    orders = await fleet.copy()
    rooms = OwnRooms(orders.table, orders.registry, [fleet.app])

    def together(room: str) -> str:
        return rooms.together(Record("t", 200806, moderation_order(room), 1.0, 2.0))

    assert together("secret-room") == together("secret-room") != together("other")
    assert "secret" not in together("secret-room")
    assert together("x1") == "", "a room of an SFU"


async def test_rooms_at_two_ports_are_refused(fleet: Fleet) -> None:
    rooms = tuple(("*", f"whip://127.0.0.1:{port}/{{room}}") for port in (81, 81, 82))
    settings = replace(fleet.settings("api"), apps=(replace(fleet.app, rooms=rooms),))
    with pytest.raises(BadInput, match=r"apps\[0\]\.rooms\[2\]\.url: got '127\.0\.0\.1:82'"):
        check_own_rooms(settings)
    check_own_rooms(replace(settings, apps=(replace(fleet.app, rooms=rooms[:2]),)))
