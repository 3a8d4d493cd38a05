"""A stand-in for LiveKit's server, and a robot, for each test of these rooms."""

from collections.abc import AsyncIterator

import pytest_asyncio

from slicer.clock import LoopClock
from slicer.rooms import Context
from slicer.rooms.livekit.room import LiveKitConnector
from slicer.rooms.livekit.settings import LiveKitSettings
from tests.harness.rooms.livekit_stand_in import StandIn, audio, info, stand_in, video
from tests.harness.rooms.visitor import Visitor

QUICK = LiveKitSettings(timeout=2.0)


def visitor(settings: LiveKitSettings = QUICK) -> Visitor:
    """A robot for rooms on LiveKit servers."""
    return Visitor(LiveKitConnector(Context(LoopClock(), livekit=settings)))


@pytest_asyncio.fixture
async def server() -> AsyncIterator[StandIn]:
    async with stand_in(info("ada", audio("TR_a1"), video("TR_v1"))) as server:
        yield server


@pytest_asyncio.fixture
async def robot() -> AsyncIterator[Visitor]:
    robot = visitor()
    yield robot
    await robot.connector.close()
