"""The service as a process that a test can kill: `… tests.harness.service.service CONFIG TASKS`.

Where its registry is empty it creates TASKS tasks, ten robots to a room at most, and blocks one
anchor in the first; otherwise it takes up what there is. It prints the ids once all of them run.
A line on its standard input deletes them all; it ends once all have ended.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from slicer.service.order import Bucket, Order, Product
from slicer.service.service import Service
from slicer.service.serving import serving
from slicer.service.settings import ServiceSettings
from slicer.slicing.outputs import State
from slicer.slicing.spec import AudioSpec, ImageFormat, SliceParams, VideoSpec
from slicer.slicing.subscription import Subscription
from slicer.storage import Credentials
from tests.harness.service.customer import CALLBACK_KEY, CALLBACK_NAME

ROOMS = 2
BUCKET = "restart"
BLOCKED = Subscription.of(block_video=["anchor-1"])


def order(number: int, credentials: Credentials) -> Order:
    """The order of one robot."""
    params = SliceParams(AudioSpec(2), VideoSpec(3), max_idle=600)
    bucket = Bucket(1, "us-east-1", BUCKET, credentials, (f"robot-{number}",))
    room, robot = str(1 + number % ROOMS), f"robot-{number}"
    return Order(Product.SLICE, room, 1, robot, params, ImageFormat.JPEG, bucket, 72)


async def create(service: Service, settings: ServiceSettings, count: int) -> list[str]:
    (app,) = settings.apps
    credentials = Credentials(os.environ["STORE_ACCESS"], os.environ["STORE_SECRET"])
    tasks = [await service.create(app, order(number, credentials)) for number in range(count)]
    await service.modify(app, Product.SLICE, tasks[0], BLOCKED)
    return tasks


async def until_running(service: Service, settings: ServiceSettings, tasks: list[str]) -> None:
    (app,) = settings.apps
    for task in tasks:
        while (await service.describe(app, Product.SLICE, task)).state is not State.RUNNING:
            await asyncio.sleep(0.05)


async def main(config: Path, count: int) -> None:
    settings = ServiceSettings.load(config, os.environ)
    async with serving(settings) as service:
        tasks = service.unfinished() or await create(service, settings, count)
        await until_running(service, settings, tasks)
        print(json.dumps(tasks), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for task in tasks:
            await service.delete(settings.apps[0], Product.SLICE, task)
        while service.unfinished():
            await asyncio.sleep(0.05)
        await asyncio.to_thread(sys.stdin.readline)


@dataclass
class Process:
    """The service while it runs. *tasks*: those it said run."""

    process: asyncio.subprocess.Process
    tasks: list[str]

    async def say(self) -> None:
        """Give it a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        await self.process.stdin.drain()

    async def kill(self) -> None:
        """End it as a loss of power would, as far as a process can."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@contextlib.asynccontextmanager
async def service(
    config: Path, count: int, log: Path, credentials: Credentials
) -> AsyncIterator[Process]:
    """Run it until the context ends, by kill -9 if it is still there."""
    keys = {
        "STORE_ACCESS": credentials.access_key,
        "STORE_SECRET": credentials.secret_key,
        CALLBACK_NAME: CALLBACK_KEY,
    }
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.harness.service.service", str(config), str(count),
            cwd=Path(__file__).parents[3], env=os.environ | keys,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=output,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        said = await asyncio.wait_for(process.stdout.readline(), 30)
        assert said, log.read_text(errors="replace")[-3000:]
        yield Process(process, json.loads(said))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("slicer").setLevel(logging.DEBUG)
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
