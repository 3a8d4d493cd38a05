"""A NATS server for the tests of a file, and the settings that lead to it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from slicer.fleet.bus import Bus
from slicer.fleet.settings import FleetSettings
from slicer.fleet.signer import Signer
from tests.harness.fleet.nats_server import Servers, nats_servers

numbers = itertools.count()


class Deliveries:
    """What comes to those who read a stream from now on: a test may hold it back, or lose some."""

    def __init__(self, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.to_lose = 0
        self._subscribe = bus.js.subscribe
        monkeypatch.setattr(bus.js, "subscribe", self._subscribed)

    async def _subscribed(
        self, subject: str, *, cb: Callable[[Msg], Awaitable[None]], **options: Any
    ) -> JetStreamContext.PushSubscription:
        async def pass_on(message: Msg) -> None:
            await self.flowing.wait()
            if self.to_lose:
                self.to_lose -= 1
            else:
                await cb(message)

        return await self._subscribe(subject, cb=pass_on, **options)


@pytest_asyncio.fixture
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    async with nats_servers(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture
def settings(servers: Servers) -> FleetSettings:
    return FleetSettings(servers.urls, bucket=f"test{next(numbers)}", replicas=1)


@pytest_asyncio.fixture
async def bus(settings: FleetSettings) -> AsyncIterator[Bus]:
    opened = await Bus.connect(settings, "test", Signer([b"key"]))
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def stranger(servers: Servers) -> AsyncIterator[Client]:
    """Who may publish and read whatever there is, and has no keys."""
    client = await nats.connect(list(servers.urls))
    yield client
    await client.close()
