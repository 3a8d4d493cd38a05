"""Workers and copies of the API of a fleet in the test's own process, over a real NATS server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from slicer.delivery.spool.settings import SpoolSettings
from slicer.engine.settings import Settings
from slicer.fleet.beat import EVERY, Beat
from slicer.fleet.bus import Bus
from slicer.fleet.settings import FleetSettings
from slicer.service.applications import Application
from slicer.service.encryption import Encryption
from slicer.service.fleet_orders import FleetOrders
from slicer.service.fleet_serving import Working, ordering, signer_of, working
from slicer.service.settings import ServeSettings, ServiceSettings
from slicer.webhooks.settings import WebhookSettings
from tests.harness.fleet.nats_server import Servers, nats_servers
from tests.harness.service.webhook_receiver import Receiver, receiver

APP = Application(
    200806,
    rooms=(("x*", "janus://127.0.0.1:9/1234"), ("*", "whip://127.0.0.1:0/{room}")),
    callback_key="key",
    callback_url="http://x/",
)
KEYS = Fernet.generate_key().decode()


@dataclass
class Fleet:
    """What a test starts, and the customer who is told."""

    servers: Servers
    customer: Receiver
    app: Application
    folder: Path
    stack: contextlib.AsyncExitStack
    workers: set[str] = field(default_factory=set)
    copies: list[FleetOrders] = field(default_factory=list)
    slices: Mapping[str, str] = field(default_factory=dict)
    """Settings of a fleet's copies of slices."""

    def settings(self, name: str) -> ServiceSettings:
        return ServiceSettings(
            Settings(spool=SpoolSettings(str(self.folder / name / "spool"))),
            ServeSettings(state=str(self.folder / name / "state"), state_keys=KEYS),
            WebhookSettings(allow_private=True),
            apps=(self.app,),
            fleet=FleetSettings(self.servers.urls, name, replicas=1, **self.slices),
        )

    async def worker(self, name: str) -> Working:
        here = await self.stack.enter_async_context(working(self.settings(name)))
        self.workers.add(name)
        await self.all_know_all()
        return here

    async def copy(self, name: str = "api") -> FleetOrders:
        orders = await self.stack.enter_async_context(ordering(self.settings(name)))
        self.copies.append(orders)
        await self.all_know_all()
        return orders

    async def mute(self, name: str = "mute", *, answers: bool = True) -> Callable[[], object]:
        """A worker that is heard, takes tasks, and does nothing; it answers that all is well, if
        at all. Gives what ends it."""
        keys = signer_of(Encryption([KEYS]))
        bus = await Bus.connect(self.settings(name).fleet, name, keys)
        self.stack.push_async_callback(bus.close)

        async def say() -> None:
            while True:
                await bus.beat(Beat(name, "instance", capacity=100))
                await asyncio.sleep(EVERY)

        async def answer(_question: Mapping[str, Any]) -> Mapping[str, Any]:
            if not answers:
                await asyncio.Event().wait()
            return {}

        await bus.answer(name, "instance", answer)
        saying = asyncio.ensure_future(say())
        self.stack.callback(saying.cancel)
        self.workers.add(name)
        await self.all_know_all()
        return saying.cancel

    async def all_know_all(self) -> None:
        for copy in self.copies:
            await until(partial(knows, copy, self.workers))

    def events(self, task: str) -> list[int]:
        return [one.event for one in self.customer.received if one.task == task]


def knows(copy: FleetOrders, workers: set[str]) -> bool:
    """Whether a copy of the API has heard them all."""
    beats = [copy.planner.roster.beat(name) for name in workers]
    return all(beat is not None and beat.capacity for beat in beats)


@contextlib.asynccontextmanager
async def in_process(folder: Path) -> AsyncIterator[Fleet]:
    """A fleet without workers and copies."""
    async with nats_servers(folder / "nats") as servers, receiver("key") as customer:
        app = replace(APP, callback_url=customer.url)
        async with contextlib.AsyncExitStack() as stack:
            yield Fleet(servers, customer, app, folder, stack)


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something that nobody tells of."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
