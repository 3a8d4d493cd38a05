"""A copy of the API in a fleet: orders, limits, answers of workers, other applications."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from slicer.clock import LoopClock
from slicer.errors import BadInput, BusUnavailable, LimitReached, RoomError, TaskEnded, TaskNotExist
from slicer.service import fleet_orders
from slicer.service.encryption import Encryption
from slicer.service.fleet_orders import FleetOrders, error_from_json, status_from_json
from slicer.service.fleet_registry import FleetRegistry
from slicer.service.fleet_serving import Working
from slicer.service.leave_code import LeaveCode
from slicer.service.order import Product
from slicer.service.registry import Record
from slicer.service.worker import error_to_json
from slicer.slicing.outputs import State
from slicer.slicing.subscription import Subscription
from tests.harness.fleet.in_process import KEYS, Fleet, until
from tests.harness.service.orders import live_order, moderation_order

MODERATION = Product.MODERATION
pytestmark = pytest.mark.usefixtures("supplier")


async def test_what_a_worker_refuses_is_raised_where_it_was_ordered(fleet: Fleet) -> None:
    orders = await fleet.copy()
    with pytest.raises(LimitReached, match="no worker takes a task: none is there"):
        await orders.create(fleet.app, moderation_order())
    await fleet.worker("w0")
    with pytest.raises(RoomError):
        await orders.create(fleet.app, moderation_order("x1"))
    await until(lambda: not list(orders.registry.unfinished()))


async def test_orders_are_owned_and_end(fleet: Fleet) -> None:
    await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    with pytest.raises(TaskNotExist):
        await orders.describe(fleet.app, Product.SLICE, task)
    with pytest.raises(LimitReached, match="max_streams: 1 of 1 streams are taken"):
        await orders.create(replace(fleet.app, max_streams=1), moderation_order("more"))
    await orders.modify(fleet.app, MODERATION, task, Subscription())
    await orders.delete(fleet.app, MODERATION, task)
    with pytest.raises(TaskEnded):
        await orders.modify(fleet.app, MODERATION, task, Subscription())
    samples = {(one.name, one.labels): one.value for one in await orders.metrics()}
    assert samples["fleet_workers", (("state", "alive"),)] == 1
    assert samples["fleet_tasks_unplaced", ()] == 0


async def test_a_robot_that_comes_again_replaces_itself(fleet: Fleet) -> None:
    await fleet.worker("w0")
    await fleet.worker("w1")
    orders = await fleet.copy()
    first = await orders.create(fleet.app, moderation_order())
    second = await orders.create(fleet.app, moderation_order())
    await until(lambda: fleet.events(first)[-1:] == [1105])
    record = orders.registry.get(first)
    assert record is not None
    assert record.code is LeaveCode.REPLACED
    assert [one.task for one in orders.registry.unfinished()] == [second]


async def test_a_robot_replaces_itself_also_where_the_clocks_of_copies_differ(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fleet.worker("w0")
    await fleet.worker("w1")
    copies = [await fleet.copy("api")]

    class Ahead(LoopClock):
        def wall(self, now: float) -> datetime:
            return super().wall(now + 60.0)

    monkeypatch.setattr("slicer.service.fleet_serving.LoopClock", Ahead)
    copies.append(await fleet.copy("ahead"))
    robot = moderation_order()
    tasks = [
        await copies[number].create(fleet.app, replace(robot, user_id="one"))
        for number in (1, 0, 1)
    ]
    await until(
        lambda: [code_of(copies[0], task) for task in tasks] == [LeaveCode.REPLACED] * 2 + [None]
    )
    await until(lambda: [one.task for one in copies[0].registry.unfinished()] == tasks[2:])
    for copy in copies:
        assert (await copy.describe(fleet.app, MODERATION, tasks[2])).state is State.RUNNING


async def test_live_streams_are_told_apart_by_their_urls(fleet: Fleet) -> None:
    app = replace(fleet.app, streams=("*",))
    await fleet.mute()
    orders = await fleet.copy()
    tasks = [
        await orders.create(app, live_order(f"rtmp://live.example.com/{name}"))
        for name in ("a", "b", "a")
    ]
    await until(lambda: code_of(orders, tasks[0]) is LeaveCode.REPLACED)
    assert [code_of(orders, task) for task in tasks[1:]] == [None, None]


async def test_a_create_that_is_given_up_leaves_no_robot(fleet: Fleet) -> None:
    await fleet.mute(answers=False)
    orders = await fleet.copy()
    creating = asyncio.ensure_future(orders.create(fleet.app, moderation_order()))
    await until(lambda: bool(list(orders.registry.unfinished())))
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    await until(lambda: not list(orders.registry.unfinished()))


async def test_what_a_robot_replaces_leaves_later_where_the_bus_is_away(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_orders, "AGAIN", 0.05)
    await fleet.mute()
    orders = await fleet.copy()
    first = await orders.create(fleet.app, moderation_order())
    leave, tries = orders.registry.leave, list[str]()

    async def fail_once(task: str, code: LeaveCode) -> None:
        tries.append(task)
        if len(tries) == 1:
            raise BusUnavailable("away")
        await leave(task, code)

    monkeypatch.setattr(orders.registry, "leave", fail_once)
    second = await orders.create(fleet.app, moderation_order())
    await until(lambda: code_of(orders, first) is LeaveCode.REPLACED)
    assert (tries, code_of(orders, second)) == ([first, first], None)


async def test_streams_are_counted_while_they_are_created_and_without_those_replaced(
    fleet: Fleet,
) -> None:
    await fleet.mute()
    orders = await fleet.copy()
    app = replace(fleet.app, max_streams=1)
    found = await asyncio.gather(
        *(orders.create(app, moderation_order(f"room-{number}")) for number in range(3)),
        return_exceptions=True,
    )
    (task,) = (one for one in found if isinstance(one, str))
    assert sum(isinstance(one, LimitReached) for one in found) == 2
    record = orders.registry.get(task)
    assert record is not None
    again = await orders.create(app, record.order)
    await until(lambda: code_of(orders, task) is LeaveCode.REPLACED)
    with pytest.raises(LimitReached, match="max_streams: 1 of 1 streams are taken"):
        await orders.create(app, moderation_order("more"))
    assert code_of(orders, again) is None


def code_of(orders: FleetOrders, task: str) -> LeaveCode | None:
    record = orders.registry.get(task)
    assert record is not None
    return record.code


async def test_a_task_whose_worker_does_not_answer_is_on_its_way(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_orders, "ANSWER", 0.2)
    monkeypatch.setattr(fleet_orders, "LOOK", 0.2)
    end_it = await fleet.mute("elsewhere", answers=False)
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    status = await orders.describe(fleet.app, MODERATION, task)
    assert status.state is State.RECONNECTING
    here = await fleet.worker("w0")
    end_it()
    await until(lambda: orders.registry.worker_of(task) == "w0")
    await until(lambda: here.service.unfinished() == [task])


async def robots(here: Working) -> float:
    """How many a worker has in rooms, or on their way."""
    return sum(one.value for one in await here.metrics() if one.name == "tasks")


async def test_a_task_whose_creation_is_given_up_is_left_by_its_worker(fleet: Fleet) -> None:
    here = await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    await orders.registry.discard(task)
    async with asyncio.timeout(20):
        while await robots(here):
            await asyncio.sleep(0.01)
    assert 1102 not in fleet.events(task)


async def test_while_the_bus_is_away_nobody_knows_how_a_task_is(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_orders, "LOOK", 0.2)
    await fleet.mute()
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    status = await orders.describe(fleet.app, MODERATION, task)
    assert status.state is State.RECONNECTING, "its worker does not answer"
    await fleet.servers.kill(0)
    await until(lambda: orders.busy == "the bus: no server is there")
    with pytest.raises(BusUnavailable, match="no server is there"):
        await orders.describe(fleet.app, MODERATION, task)
    await fleet.servers.start(0)


async def test_other_applications_are_taken(fleet: Fleet) -> None:
    orders = await fleet.copy()
    other = replace(fleet.app, sdk_app_id=7)
    orders.reload(replace(fleet.settings("api"), apps=(fleet.app, other)))
    registry = FleetRegistry(orders.table, Encryption([KEYS]))
    await registry.add(Record("t", 7, moderation_order(), 1.0, 2.0))
    with pytest.raises(BadInput, match="no application 7"):
        orders.reload(fleet.settings("api"))
    moved = replace(other, rooms=(("*", "whip://127.0.0.1:0/moved-{room}"),))
    with pytest.raises(BadInput, match="other rooms of application 7"):
        orders.reload(replace(fleet.settings("api"), apps=(fleet.app, moved)))


async def test_what_ended_long_ago_is_forgotten(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_orders, "KEEP", 0.05)
    await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    await orders.registry.end(task, 1.0)
    await until(lambda: orders.registry.get(task) is None)


@pytest.mark.parametrize(
    "error", [BadInput("room", "x", "y"), LimitReached("full"), RoomError("no")]
)
def test_errors_of_workers_come_over_the_bus(error: Any) -> None:
    found = error_from_json(error_to_json(error))
    assert type(found) is type(error)


def test_a_status_that_makes_no_sense() -> None:
    with pytest.raises(KeyError):
        status_from_json("t", {"tracks": []}, Subscription())
