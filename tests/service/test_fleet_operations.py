"""What an operator sees of a fleet at a copy of the API."""

import asyncio

import pytest

from slicer.clock import LoopClock
from slicer.service import fleet_operations
from slicer.service.encryption import Encryption
from slicer.service.fleet_orders import FleetOrders
from slicer.service.fleet_registry import FleetRegistry
from slicer.service.registry import Record
from tests.harness.fleet.in_process import KEYS, Fleet, until
from tests.harness.service.orders import moderation_order

pytestmark = pytest.mark.usefixtures("supplier")


async def test_workers_and_their_tasks(fleet: Fleet) -> None:
    await fleet.worker("w0")
    await fleet.worker("w1")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order("a"))
    has = orders.registry.worker_of(task)
    await until(lambda: orders.planner.orders_waiting(has) == 0)
    found = await orders.operations.fleet()
    assert [(one.name, one.state) for one in found.workers] == [
        ("w0", "working"),
        ("w1", "working"),
    ]
    assert {one.name: one.tasks for one in found.workers} == {"w0": 0, "w1": 0} | {has: 1}
    assert all(one.capacity > 1 and one.version for one in found.workers)
    assert (found.bus, found.tasks, found.unowned, found.longest) == (True, 1, 0, 0.0)
    (view,) = orders.operations.tasks()
    assert (view.task, view.room, view.worker, view.unowned) == (task, "a", has, None)


class Later(LoopClock):
    """A loop's clock that may jump."""

    by = 0.0

    def __init__(self) -> None:
        super().__init__()
        now = self.now
        self.now = lambda: now() + self.by


async def unowned(fleet: Fleet) -> FleetOrders:
    """A copy that knows two tasks which nobody has."""
    orders = await fleet.copy()
    registry = FleetRegistry(orders.table, Encryption([KEYS]))  # it gives tasks to nobody
    for name in ("t", "u"):
        await registry.add(Record(name, 200806, moderation_order(name), 1.0, 2.0))
    return orders


async def test_tasks_that_nobody_has_are_shown_with_their_time(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slicer.service.fleet_serving.LoopClock", Later)
    monkeypatch.setattr(Later, "by", 0.0)
    orders = await unowned(fleet)
    found = await orders.operations.fleet()
    assert (found.workers, found.tasks, found.unowned) == ([], 2, 2)
    assert [(one.worker, one.unowned) for one in orders.operations.tasks()] == [("", 0), ("", 0)]
    Later.by = 70.0
    assert (await orders.operations.fleet()).longest >= 70.0
    samples = {one.name: one.value for one in await orders.metrics()}
    assert samples["fleet_task_unowned_seconds"] >= 70.0
    assert samples["fleet_orders_waiting"] == 0
    monkeypatch.setattr(fleet_operations, "MAX_TASKS", 1)
    assert len(orders.operations.tasks()) == 1


async def test_what_belongs_to_workers_is_empty_and_nothing_can_be_done_to_it(
    fleet: Fleet,
) -> None:
    orders = await fleet.copy()
    shown = orders.operations
    health, waiting = await shown.health(), await shown.waiting()
    assert (health.stores, health.suppliers, health.spool) == ([], [], None)
    assert health.callbacks == {"delivered": 0, "failed": 0, "given_up": 0, "waiting": 0}
    assert (waiting.slices, waiting.callbacks) == ([], [])
    shown.watch(None)
    shown.events().close()
    assert (shown.try_slices_again(), await shown.try_callbacks_again()) == (0, 0)
    assert not shown.drop_slice("x", "y")
    assert not await shown.drop_callback("x", "y")


async def test_while_the_bus_is_away_what_is_not_known_is_not_told(fleet: Fleet) -> None:
    orders = await fleet.copy()
    assert (await orders.operations.fleet()).callbacks == 0
    await fleet.servers.kill(0)
    async with asyncio.timeout(10):
        while not orders.busy:
            await asyncio.sleep(0.01)
    found = await orders.operations.fleet()
    assert (found.bus, found.callbacks) == (False, None)
    assert (await orders.operations.health()).callbacks["waiting"] == 0
    await fleet.servers.start(0)
