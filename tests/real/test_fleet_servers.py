"""A NATS server whose disk is full, one that comes and goes, and a bucket that somebody made.

Workers go on, a copy of the API takes no order and says why, and once the server keeps what it is
given again, everything is told once.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import nats
import pytest

from slicer.engine.task_status import TaskStatus
from slicer.errors import BusUnavailable
from slicer.service.fleet_orders import FleetOrders
from slicer.service.order import Product
from slicer.slicing.outputs import State
from slicer.slicing.subscription import Subscription
from tests.harness.fleet.in_process import APP, Fleet, until
from tests.harness.fleet.nats_server import nats_servers
from tests.harness.fleet.small_disk import small_disk
from tests.harness.moderation.scripted import ScriptedSupplier, install
from tests.harness.service.orders import moderation_order
from tests.harness.service.webhook_receiver import receiver

MODERATION = Product.MODERATION
CONFIG = "jetstream { max_file_store: 8GB }\n"
STORM = 8
"""Times that the server goes."""


async def until_refused(fleet: Fleet, orders: FleetOrders) -> None:
    async with asyncio.timeout(60):
        for number in range(10_000):
            try:
                await orders.create(fleet.app, moderation_order(f"room-{number}"))
            except BusUnavailable:
                return


async def status_of(fleet: Fleet, orders: FleetOrders, task: str) -> TaskStatus:
    return await orders.describe(fleet.app, MODERATION, task)


@contextlib.asynccontextmanager
async def a_fleet(folder: Path, config: Path | None = None) -> AsyncIterator[Fleet]:
    async with contextlib.AsyncExitStack() as stack:
        running = nats_servers(folder / "nats", config=config)
        servers = await stack.enter_async_context(running)
        customer = await stack.enter_async_context(receiver("key"))
        app = replace(APP, callback_url=customer.url)
        yield Fleet(servers, customer, app, folder, stack)


async def test_a_server_without_room_stops_no_task_and_all_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, ScriptedSupplier())
    config = tmp_path / "nats.conf"
    config.write_text(CONFIG)
    with small_disk(tmp_path / "nats", 64) as disk:
        async with a_fleet(tmp_path, config) as fleet:
            here = await fleet.worker("w0")
            orders = await fleet.copy()
            task = await orders.create(fleet.app, moderation_order())
            disk.fill()
            await until_refused(fleet, orders)
            await until(lambda: bool(orders.busy), 60)
            assert orders.busy.startswith("the bus: ")
            assert task in here.service.unfinished()
            disk.free()
            await fleet.servers.kill(0)
            await fleet.servers.start(0)
            await until(lambda: not orders.busy and not here.busy, 60)
            for one in orders.registry.unfinished():
                await orders.delete(fleet.app, MODERATION, one.task)
            await until(lambda: fleet.events(task) == [1101, 1102, 1105], 60)
            another = await orders.create(fleet.app, moderation_order("another"))
            assert (await status_of(fleet, orders, another)).state is State.RUNNING


async def test_while_a_server_comes_and_goes_tasks_go_on_and_all_is_told_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, ScriptedSupplier())
    async with a_fleet(tmp_path) as fleet:
        here = await fleet.worker("w0")
        other = await fleet.worker("w1")
        orders = await fleet.copy()
        task = await orders.create(fleet.app, moderation_order())
        holder = here if here.service.unfinished() else other
        for number in range(STORM):
            await holder.service.tell_trouble(task, f"trouble {number}")
            await fleet.servers.kill(0)
            await holder.service.tell_trouble(task, f"more of {number}")
            await fleet.servers.start(0)
            await until(lambda: holder.bus.connected)
        await until(lambda: not orders.busy and not holder.busy, 60)
        assert holder.service.unfinished() == [task]
        async with asyncio.timeout(60):
            while (await status_of(fleet, orders, task)).state is not State.RUNNING:
                await asyncio.sleep(0.05)
        await orders.delete(fleet.app, MODERATION, task)
        await until(lambda: fleet.events(task)[-1:] == [1105], 120)
        # The server may have forgotten what was sent: then it comes again, under the same id.
        told = [one.told["EventInfo"]["Payload"].get("Message") for one in fleet.customer.received]
        first = [text for text in dict.fromkeys(told) if text is not None]
        assert first == [f"{w} {n}" for n in range(STORM) for w in ("trouble", "more of")]


async def test_a_bucket_that_somebody_made_and_that_keeps_old_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, ScriptedSupplier())
    async with a_fleet(tmp_path) as fleet:
        client = await nats.connect(fleet.servers.urls[0])
        bucket = await client.jetstream().create_key_value(bucket="slicer_tasks", history=8)
        orders = await fleet.copy()
        first = await fleet.worker("w0")
        task = await orders.create(fleet.app, moderation_order())
        for name in ("ada", "bob", "cy"):
            lists = Subscription.of(block_audio=[name])
            await orders.modify(fleet.app, MODERATION, task, lists)
        assert len(await bucket.history(task)) >= 4
        second = await fleet.worker("w1")  # which reads all of them
        await first.worker.hand_over(task)
        await until(lambda: orders.registry.worker_of(task) != "")
        await until(lambda: task in first.service.unfinished() + second.service.unfinished())
        await client.close()
        async with asyncio.timeout(20):
            while (found := await status_of(fleet, orders, task)).state is not State.RUNNING:
                await asyncio.sleep(0.05)
        assert found.subscription == Subscription.of(block_audio=["cy"])
        await orders.delete(fleet.app, MODERATION, task)
        await until(lambda: fleet.events(task) == [1101, 1102, 1105])
