"""Somebody on a fleet's bus without its keys: what he says is not believed, what he reads is
sealed. A real NATS server, a worker and a copy of the API."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client

from slicer.fleet.beat import Beat, to_json
from slicer.service.fleet_orders import FleetOrders
from slicer.service.order import Product
from slicer.slicing.outputs import State
from slicer.webhooks.queue import Webhook
from tests.harness.fleet.in_process import Fleet, in_process, until
from tests.harness.fleet.nats_server import listening
from tests.harness.moderation.scripted import ScriptedSupplier, install
from tests.harness.service.orders import KEYS, moderation_order, slice_order

ROOMS = "https://w0.example"
EVIL = "https://evil.example"


@pytest.fixture(autouse=True)
def supplier(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ScriptedSupplier())


@pytest_asyncio.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with in_process(tmp_path) as running:
        yield running


@pytest_asyncio.fixture
async def stranger(fleet: Fleet) -> AsyncIterator[Client]:
    """Who may publish and read whatever there is."""
    client = await nats.connect(list(fleet.servers.urls))
    yield client
    await client.close()


async def refused(orders: FleetOrders) -> float:
    samples = {one.name: one.value for one in await orders.metrics()}
    return samples["fleet_messages_refused_total"]


async def test_a_forged_heartbeat_leads_no_publisher_astray(
    fleet: Fleet, stranger: Client, caplog: pytest.LogCaptureFixture
) -> None:
    ours = replace(fleet.settings("w0"), fleet=replace(fleet.settings("w0").fleet, rooms=ROOMS))
    fleet.settings = lambda name: ours if name == "w0" else Fleet.settings(fleet, name)  # type: ignore[method-assign]
    await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order("a"))
    assert orders.whip_url(task) == f"{ROOMS}/whip/a"
    heard = await stranger.subscribe("slicer.beat.w0")
    real = await heard.next_msg(20)
    forged = to_json(Beat("w0", "x", capacity=9, rooms=EVIL, console=EVIL))
    ghost = to_json(Beat("ghost", "x", capacity=900, rooms=EVIL))
    for _ in range(5):
        await stranger.publish("slicer.beat.w0", forged)
        await stranger.publish("slicer.beat.w0", forged, headers=real.headers)
        await stranger.publish("slicer.beat.ghost", ghost)
        await stranger.publish("slicer.beat.ghost", real.data, headers=real.headers)
    await stranger.flush()
    async with asyncio.timeout(10):
        while await refused(orders) < 20:
            await asyncio.sleep(0.01)
    assert orders.whip_url(task) == f"{ROOMS}/whip/a"
    assert [one.name for one in (await orders.operations.fleet()).workers] == ["w0"]
    assert "not signed by a process of this fleet" in caplog.text
    assert caplog.text.count("not signed by a process of this fleet") == 2, "once each process"


async def test_a_forged_callback_is_not_sent_in_our_name(
    fleet: Fleet, stranger: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slicer.fleet.facts.UNVERIFIED", 0.0)  # the task may be in their partition
    await fleet.worker("w0")
    orders = await fleet.copy()
    forged = Webhook("fake.1001", fleet.app.sdk_app_id, "fake", 1001, '{"TaskId":"fake"}')
    data = json.dumps({name: getattr(forged, name) for name in forged.__slots__}).encode()
    for partition in range(3):
        subject = f"slicer.facts.{fleet.app.sdk_app_id}.{partition}"
        await stranger.jetstream().publish(subject, data)
    async with asyncio.timeout(20):
        while await refused(orders) < 3:
            await asyncio.sleep(0.02)
    task = await orders.create(fleet.app, moderation_order())
    await until(lambda: fleet.events(task)[:1] == [1101])
    assert all(one.task == task for one in fleet.customer.received)
    assert (await orders.operations.fleet()).callbacks is not None


async def test_who_has_no_key_keeps_no_callback_back(fleet: Fleet, stranger: Client) -> None:
    await fleet.worker("w0")
    orders = await fleet.copy()
    await stranger.jetstream().publish("$KV.slicer_tasks.told.forged", b"3")
    task = await orders.create(fleet.app, moderation_order())
    await until(lambda: orders.table.told == {task: 1})
    await stranger.jetstream().publish(f"$KV.slicer_tasks.told.{task}", b"3")
    barrier = await orders.table.barrier("test")
    await until(lambda: orders.table.read >= barrier)
    assert orders.table.told == {task: 1}


async def test_who_has_no_key_takes_no_task_away(fleet: Fleet, stranger: Client) -> None:
    here = await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    other = await fleet.worker("w1")
    if here.service.unfinished() != [task]:
        here, other = other, here
    js, subject = stranger.jetstream(), f"$KV.slicer_tasks.{task}"
    asked = await stranger.subscribe("slicer.ask.*")
    await listening(stranger)
    assert (await orders.describe(fleet.app, Product.MODERATION, task)).state is State.RUNNING
    question = await asked.next_msg(20)
    real = await js.get_msg("KV_slicer_tasks", subject=subject)
    found = json.loads(real.data or b"")
    stolen = json.dumps(found | {"worker": other.worker.name, "epoch": 9}).encode()
    ended = json.dumps(found | {"ended": 1.0, "code": 0}).encode()
    pushed = {"Slicer-Revision": "999999"}
    for data in (stolen, ended, b""):
        await js.publish(subject, data)
        for worker in (here.worker.name, other.worker.name):
            await stranger.publish(f"slicer.do.{worker}.{task}", data, headers=pushed)
            for verb in ("move", "drain"):
                about = json.dumps({"verb": verb, "task": task}).encode()
                await stranger.publish(f"slicer.ask.{worker}", about, headers=question.headers)
        await until(lambda: orders.table.foreign == 0 and here.bus.refused > 0)
    # Each of the two has been asked twice, sent a record and shown one, three times.
    await until(lambda: min(here.bus.refused, other.bus.refused) >= 12)
    barrier = await orders.table.barrier("test")
    await until(lambda: orders.table.read >= barrier and orders.table.foreign == 0)
    late = await fleet.copy("late")
    for copy in (orders, late):
        assert copy.registry.worker_of(task) == here.worker.name
        assert (await copy.describe(fleet.app, Product.MODERATION, task)).state is State.RUNNING
    assert (here.service.unfinished(), other.service.unfinished()) == ([task], [])
    assert not here.worker.draining
    assert fleet.events(task) == [1101], "the robot was never away"
    await orders.delete(fleet.app, Product.MODERATION, task)
    await until(lambda: fleet.events(task) == [1101, 1102, 1105])


async def test_what_is_on_the_bus_says_nothing_of_an_order(fleet: Fleet, stranger: Client) -> None:
    await fleet.mute(answers=False)
    orders = await fleet.copy()
    begun = asyncio.ensure_future(orders.create(fleet.app, slice_order("a-secret-room")))
    await until(lambda: bool(list(orders.registry.unfinished())))
    js = stranger.jetstream()
    found = b""
    for stream in ("KV_slicer_tasks", "slicer_facts", "slicer_calls", "slicer_signatures"):
        info = await js.stream_info(stream)
        for number in range(1, info.state.last_seq + 1):
            found += (await js.get_msg(stream, number)).data or b""
    assert found
    for secret in (KEYS.access_key, KEYS.secret_key, "a-secret-room"):
        assert secret.encode() not in found
    begun.cancel()
    await asyncio.gather(begun, return_exceptions=True)
