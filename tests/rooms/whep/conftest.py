"""A WHEP server and a robot for each test of these rooms."""

from collections.abc import AsyncIterator

import pytest_asyncio

from slicer.clock import LoopClock
from slicer.rooms import Context
from slicer.rooms.whep.room import WhepConnector
from slicer.rooms.whep.settings import WhepSettings
from tests.harness.rooms.visitor import Visitor
from tests.harness.rooms.whep_server import WhepServer, whep_server

QUICK = WhepSettings(poll=0.2, timeout=2.0)


def visitor(settings: WhepSettings = QUICK) -> Visitor:
    """A robot for rooms on WHEP servers."""
    return Visitor(WhepConnector(Context(LoopClock(), whep=settings)))


@pytest_asyncio.fixture
async def server() -> AsyncIterator[WhepServer]:
    async with whep_server("ada") as server:
        yield server


@pytest_asyncio.fixture
async def robot() -> AsyncIterator[Visitor]:
    robot = visitor()
    yield robot
    await robot.connector.close()
