"""A fleet of processes on a real NATS server: one worker is frozen, one killed, one drained.

Everything is real: `slicer serve` and two `slicer worker`, a WHIP publisher that comes again where
the room is now, the store, the receiver of callbacks.
"""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest_asyncio
from cryptography.fernet import Fernet

from slicer.fleet.bus import Bus
from slicer.fleet.settings import FleetSettings
from slicer.fleet.table import Table
from tests.harness.fleet.calling import call
from tests.harness.fleet.nats_server import nats_servers
from tests.harness.fleet.worker_process import Process, worker
from tests.harness.rooms.server_process import listens
from tests.harness.rooms.whip_muxer import muxer
from tests.harness.service.api import seed
from tests.harness.service.customer import (
    APP,
    CALLBACK_KEY,
    SECRETS,
    bucket,
    configuration,
    usersig,
)
from tests.harness.service.serve import serve
from tests.harness.service.webhook_receiver import Received, Receiver, receiver
from tests.harness.storage.seaweed import Seaweed, free_ports

SAMPLE = Path(__file__).parents[2] / "samples" / "anchor-amber.mp4"
BUCKET = "fleet"
PATIENCE = 60.0
AUDIO, PICTURE = 1, 2


@dataclass(frozen=True)
class Story:
    """What came of it. *frozen*, *killed*: when (ms); *said*: what the drained worker printed."""

    task: str
    customer: Receiver
    frozen: int
    killed: int
    said: str

    def told(self) -> list[Received]:
        return [one for one in self.customer.received if one.task == self.task]

    def files(self, kind: int) -> list[dict[str, Any]]:
        """The payloads of stored files of a kind, by time."""
        payloads = [one.told["EventInfo"]["Payload"] for one in self.told() if one.event == 1004]
        return sorted(
            (one for one in payloads if one["MediaType"] == kind), key=lambda f: f["StartTimeMs"]
        )


def has_picture_since(customer: Receiver, since: int) -> bool:
    payloads = [one.told["EventInfo"]["Payload"] for one in customer.received if one.event == 1004]
    return any(one["MediaType"] == PICTURE and one["StartTimeMs"] > since for one in payloads)


def order() -> dict[str, object]:
    params = {"SliceType": 3, "MaxIdleTime": 30, "SliceAudio": 15, "SliceVideo": 5}
    return seed("CreateCloudSliceTask") | {
        "RoomId": "1",
        "UserId": "inspect",
        "UserSig": usersig("inspect"),
        "SliceParams": params,
        "SliceStorageParams": {"CloudSliceStorage": bucket(BUCKET)},
    }


async def publish(port: int) -> None:
    """Publish into the room of a worker whenever it has one, until this is cancelled. The publisher
    is killed in the end: FFmpeg hangs where its peer is gone."""
    while True:
        if not await listens(port):
            await asyncio.sleep(0.1)
            continue
        with contextlib.suppress(RuntimeError, ProcessLookupError):
            url = f"http://127.0.0.1:{port}/whip/1/ada"
            async with muxer(url, SAMPLE, usersig("ada")) as pid:
                try:
                    while await listens(port):
                        await asyncio.sleep(0.2)
                finally:
                    os.kill(pid, signal.SIGKILL)


@contextlib.asynccontextmanager
async def publisher(port: int) -> AsyncIterator[None]:
    """In the room of the worker with this port, as soon as it has one."""
    running = asyncio.ensure_future(publish(port))
    yield
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(seaweed: Seaweed, tmp_path_factory: Any) -> AsyncIterator[Story]:
    folder: Path = tmp_path_factory.mktemp("fleet")
    seaweed.make_bucket(BUCKET)
    ports = dict(zip(("w0", "w1", "api"), free_ports(3), strict=True))
    secrets = SECRETS | {"SLICER_STATE_KEY": Fernet.generate_key().decode()}
    async with contextlib.AsyncExitStack() as stack:
        customer = await stack.enter_async_context(receiver(CALLBACK_KEY))
        servers = await stack.enter_async_context(nats_servers(folder / "nats"))
        more = f"[fleet]\nservers = {json.dumps(servers.urls)}\nreplicas = 1\n"

        def config(name: str) -> str:
            where = folder / name
            return configuration(ports[name], customer.url, where, seaweed.endpoint, more)

        workers: dict[str, Process] = {}
        for name in ("w0", "w1"):
            one = worker(name, config(name), folder / name, secrets)
            workers[name] = await stack.enter_async_context(one)
        (folder / "api").mkdir()
        served = await stack.enter_async_context(
            serve(config("api"), folder / "api", "--insecure", secrets=secrets)
        )
        task = await created(served.port)
        has = await holder(servers.urls, task)
        (other,) = workers.keys() - {has}

        async def sliced(name: str, since: int) -> None:
            async with publisher(ports[name]):
                await customer.until(lambda: has_picture_since(customer, since), PATIENCE)

        await sliced(has, 0)
        workers[has].freeze()
        frozen = round(time.time() * 1000)
        await sliced(other, frozen)
        workers[has].thaw()
        await logged(folder / has / "worker.log", "is not this worker's any more")
        workers[other].kill()
        killed = round(time.time() * 1000)
        await sliced(has, killed)
        # The first one is drained once the other one is there again.
        await stack.enter_async_context(worker(other, config(other), folder / other, secrets))
        said = await workers[has].end()
        await sliced(other, round(time.time() * 1000))
        about = {"SdkAppId": APP, "TaskId": task}
        assert "Error" not in await call(served.port, "DeleteCloudSliceTask", about)
        await customer.until(lambda: 1005 in [one.event for one in customer.received], PATIENCE)
        yield Story(task, customer, frozen, killed, said)


async def logged(log: Path, text: str) -> None:
    """Wait until a log says so."""
    async with asyncio.timeout(PATIENCE):
        while text not in log.read_text():
            await asyncio.sleep(0.05)


async def created(port: int) -> str:
    """A task, as soon as the copy of the API has heard of a worker."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await call(port, "CreateCloudSliceTask", order())
            if "Error" not in answer:
                return str(answer["TaskId"])
            assert "no worker takes a task: none is there" in answer["Error"]["Message"]
            await asyncio.sleep(0.05)


async def holder(urls: tuple[str, ...], task: str) -> str:
    """The worker that has the task, by its record."""
    bus = await Bus.connect(FleetSettings(urls), "test")
    table = Table(bus)
    await table.open(1)
    await table.close()
    await bus.close()
    return table.records[task].worker


def test_every_message_comes_once_and_in_order(story: Story) -> None:
    assert all(one.signed for one in story.told())
    names = [one.headers["x-slicer-message"] for one in story.told()]
    assert len(set(names)) == len(names)
    events = [one.event for one in story.told() if one.event != 1006]
    assert events[:2] == [1001, 1003]
    assert events[-1] == 1005
    assert [events.count(once) for once in (1001, 1002, 1003, 1005)] == [1, 1, 1, 1]


def test_the_loss_of_a_worker_is_told(story: Story) -> None:
    payloads = [one.told["EventInfo"]["Payload"] for one in story.told() if one.event == 1006]
    texts = [one["Message"] for one in payloads if one["Message"].startswith("worker ")]
    assert len(texts) == 2
    assert all("is lost, and what it was cutting" in text for text in texts)


def test_no_two_slices_hold_the_same_time(story: Story) -> None:
    pictures = [one["StartTimeMs"] for one in story.files(PICTURE)]
    assert pictures[0] < story.frozen < story.killed < pictures[-1]
    slices = story.files(AUDIO)
    assert len(slices) >= 2, "what two workers cut of the end of a task"
    for one, after in pairwise(slices):
        assert after["StartTimeMs"] >= one["EndTimeMs"] - 5


def test_the_drained_worker_handed_its_task_over(story: Story) -> None:
    assert "ending: tasks are handed over" in story.said
    assert "left" not in story.said
