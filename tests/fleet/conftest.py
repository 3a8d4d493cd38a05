"""A NATS server for the tests of a file, and the settings that lead to it."""

import itertools
from collections.abc import AsyncIterator

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client

from slicer.fleet.bus import Bus
from slicer.fleet.settings import FleetSettings
from slicer.fleet.signer import Signer
from tests.harness.fleet.nats_server import Servers, nats_servers

numbers = itertools.count()


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
