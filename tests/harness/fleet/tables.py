"""The records of a fleet, as one of its processes reads them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from slicer.fleet.bus import Bus
from slicer.fleet.settings import FleetSettings
from slicer.fleet.table import Table
from tests.harness.fleet.nats_server import Servers


@asynccontextmanager
async def reading(servers: Servers) -> AsyncIterator[Table]:
    """A table over a bus of its own."""
    bus = await Bus.connect(FleetSettings(servers.urls), "test")
    table = Table(bus)
    try:
        await table.open(1)
        yield table
    finally:
        await table.close()
        await bus.close()
