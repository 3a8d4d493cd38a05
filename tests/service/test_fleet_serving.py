"""A worker and a copy of the API, opened from settings and closed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from slicer.delivery.spool.settings import SpoolSettings
from slicer.errors import BadInput, TaskEnded
from slicer.fleet.facts import REMEMBERED
from slicer.service import fleet_serving
from slicer.service.fleet_serving import ordering, working
from slicer.service.mailbox import LONGEST_WAIT
from slicer.service.order import Product
from slicer.service.own_rooms import OwnRooms
from slicer.service.publishers import Publishers
from slicer.slicing.outputs import State
from slicer.slicing.subscription import Subscription
from slicer.webhooks.retry import RetryPolicy
from slicer.webhooks.sender import Sender
from tests.harness.fleet.in_process import Fleet, until
from tests.harness.service.orders import moderation_order

MODERATION = Product.MODERATION
pytestmark = pytest.mark.usefixtures("supplier")


async def test_a_task_from_its_order_to_its_end(fleet: Fleet) -> None:
    await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    status = await orders.describe(fleet.app, MODERATION, task)
    assert (status.task, status.state) == (task, State.RUNNING)
    lists = Subscription.of(block_audio=["dan"])
    await orders.modify(fleet.app, MODERATION, task, lists)
    assert (await orders.describe(fleet.app, MODERATION, task)).subscription == lists
    await orders.delete(fleet.app, MODERATION, task)
    await until(lambda: len(fleet.events(task)) == 3)
    assert fleet.events(task) == [1101, 1102, 1105]
    with pytest.raises(TaskEnded):
        await orders.describe(fleet.app, MODERATION, task)


async def test_an_application_without_a_callback_url_puts_nothing_into_the_stream(
    fleet: Fleet,
) -> None:
    fleet.app = replace(fleet.app, callback_url="")
    here = await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    await orders.delete(fleet.app, MODERATION, task)
    await until(lambda: not list(orders.registry.unfinished()))
    info = await here.bus.js.stream_info(f"{here.bus.bucket}_facts")
    assert info.state.last_seq == 0


async def test_what_the_bus_did_not_take_is_tried_again_while_it_knows_the_id(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = list[RetryPolicy]()

    class Observed(Sender):
        def __init__(self, *parts: Any) -> None:
            policies.append(parts[-1])
            super().__init__(*parts)

    monkeypatch.setattr(fleet_serving, "Sender", Observed)
    await fleet.worker("w0")
    (policy,) = policies
    due = policy.next_try(since=0.0, tries=1_000, tried=50_000.0, now=50_000.0)
    assert due is not None
    assert due - 50_000.0 <= LONGEST_WAIT < REMEMBERED / 2


async def test_what_every_process_of_a_fleet_needs(fleet: Fleet) -> None:
    settings = fleet.settings("w0")
    keyless = replace(settings, serve=replace(settings.serve, state_keys=""))
    with pytest.raises(BadInput, match="keys that all processes of the fleet have"):
        async with ordering(keyless):
            pass
    engine = replace(settings.engine, spool=SpoolSettings(""))
    with pytest.raises(BadInput, match=r"spool\.folder"):
        async with working(replace(settings, engine=engine)):
            pass


async def test_copies_need_a_bucket(fleet: Fleet) -> None:
    fleet.slices = {"copies": "file:///tmp/copies"}
    with pytest.raises(BadInput, match=r"fleet\.copies: got 'file:'; allowed: a bucket: s3://"):
        async with working(fleet.settings("w0")):
            pass


async def test_a_publisher_who_comes_during_the_start_is_led_nowhere(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()

    class Early(Publishers):
        def __init__(self, rooms: OwnRooms, address: Callable[[str], str], *rest: Any) -> None:
            asked.append(address("w1"))
            super().__init__(rooms, address, *rest)

    monkeypatch.setattr(fleet_serving, "Publishers", Early)
    await fleet.worker("w0")
    assert asked == [""]
