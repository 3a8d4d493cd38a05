"""A copy of the API is killed in the midst of a create, at several points that the bus shows; the
customer's SDK tries again at another copy: one robot, one task."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.harness.fleet.nats_server import listening
from tests.harness.fleet.processes import PATIENCE, Processes, order, processes
from tests.harness.service.customer import APP
from tests.harness.service.serve import Served
from tests.harness.storage.seaweed import Seaweed

pytestmark = pytest.mark.asyncio(loop_scope="module")
CREATE = "CreateCloudSliceTask"
LEFT, FINISHED = 1002, 1005
NOT_HEARD = "no worker takes a task: none is there"
POINTS = {
    "let in": f"slicer.calls.{APP}.{CREATE}",
    "signature known": f"slicer.signatures.{APP}.*",
    "record written": "$KV.slicer_tasks.*",
    "worker asked": "slicer.ask.*",
    "worker answered": "_INBOX.>",
}
"""What is on the bus as a create comes there."""


@dataclass
class Stage:
    """A fleet with a worker, a copy that stays and what its customer knows."""

    fleet: Processes
    stays: Served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(seaweed: Seaweed, tmp_path_factory: Any) -> AsyncIterator[Stage]:
    async with processes(tmp_path_factory.mktemp("kills"), seaweed, "fleetkills") as fleet:
        await fleet.worker("w0")
        stays = await fleet.api("stays")
        await fleet.create(stays, "warm")
        yield Stage(fleet, stays)


async def kill_at(point: str, victim: Served, urls: tuple[str, ...]) -> Client:
    """Have a copy killed by SIGKILL as soon as the bus shows that its create has come there."""
    client = await nats.connect(list(urls))
    asked, answered, killed = set[str](), set[str](), asyncio.Event()

    async def on_ask(message: Msg) -> None:
        asked.add(message.reply)
        await on_message(message)

    async def on_message(message: Msg) -> None:
        answered.add(message.subject)
        come = point != "worker answered" or asked & answered  # the two come in any order
        # Once: a second kill would look for the dead process, and asyncio would not learn its code.
        if come and not killed.is_set():
            killed.set()
            victim.process.kill()

    if point == "worker answered":
        await client.subscribe("slicer.ask.*", cb=on_ask)
    await client.subscribe(POINTS[point], cb=on_message)
    await listening(client)
    return client


async def called(fleet: Processes, copy: Served, body: tuple[str, str]) -> dict[str, Any]:
    """What a copy answers, or why it does not."""
    (answer,) = await fleet.sdk(copy).call(body)
    return dict(answer)


@pytest.mark.parametrize("point", POINTS)
async def test_one_robot_whenever_its_copy_dies(point: str, stage: Stage) -> None:
    fleet, room = stage.fleet, point.replace(" ", "-")
    body = (CREATE, order(fleet.bucket, room))
    victim = await fleet.api(f"victim-{room}")
    await fleet.create(victim, "warm")  # it has heard of the worker
    known = set(await fleet.records())
    watcher = await kill_at(point, victim, fleet.servers.urls)
    try:
        async with asyncio.timeout(PATIENCE):
            while NOT_HEARD in (first := await called(fleet, victim, body)).get("message", ""):
                continue  # a machine that is so busy is no fault of the copy
            assert await victim.process.wait() == -9
    finally:
        await watcher.close()
    task = await fleet.create(stage.stays, room)
    assert first.get("TaskId") != task

    async def alone() -> bool:
        records = await fleet.records()
        runs = {
            one
            for one in records.keys() - known
            if records[one].code is None and records[one].ended is None
        }
        return runs == {task} and records[task].worker == "w0"

    async with asyncio.timeout(PATIENCE):
        while not await alone():
            await asyncio.sleep(0.05)
    # Whoever came before it has left the room, and the customer was told so, or never knew of it.
    others = set(await fleet.records()) - known - {task}

    def told(one: str) -> list[int]:
        return [each.event for each in fleet.customer.received if each.task == one]

    def ended(one: str) -> bool:
        return told(one)[-1:] == [FINISHED]

    for other in others:
        record = (await fleet.records())[other]
        if record.sealed:
            await fleet.customer.until(partial(ended, other), PATIENCE)
            assert LEFT in told(other)
    await fleet.customer.until(lambda: 1001 in told(task), PATIENCE)
    assert LEFT not in told(task)
