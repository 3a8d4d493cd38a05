"""Limits that hold for two copies of the API together, by a real NATS server."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from nats.js.api import StreamConfig, StreamInfo
from nats.js.errors import ServiceUnavailableError

from slicer.errors import BusUnavailable, LimitReached
from slicer.fleet import limits as module
from slicer.fleet.bus import Bus
from slicer.fleet.limits import RATE, FirstUse, SharedLimits
from slicer.fleet.settings import FleetSettings
from tests.harness.fleet.nats_server import Servers

APP, SIGNATURE = 200806, "a1" * 32


@pytest_asyncio.fixture
async def copies(bus: Bus, settings: FleetSettings) -> AsyncIterator[list[SharedLimits]]:
    other = await Bus.connect(settings, "other")
    found = [SharedLimits(one) for one in (bus, other)]
    for one in found:
        await one.open(1)
    yield found
    await other.close()


async def test_a_rate_is_the_applications_whichever_copy_is_asked(
    copies: list[SharedLimits],
) -> None:
    async def ask(number: int, app: int = APP, action: str = "Create") -> bool:
        return await copies[number % 2].take(app, action)

    found = await asyncio.gather(*(ask(number) for number in range(100)))
    assert found.count(True) == RATE
    assert await ask(0, app=7), "another application"
    assert await ask(0, action="Describe"), "another action"


async def test_a_signature_that_one_copy_has_seen_is_known_to_the_other(
    copies: list[SharedLimits], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = copies
    assert await one.first_use(APP, SIGNATURE, "Create", "7") is None
    assert await other.first_use(APP, SIGNATURE, "Create", "7") == FirstUse("Create", True)
    assert await other.first_use(APP, SIGNATURE, "Delete", "8") == FirstUse("Create", False)
    assert await other.first_use(APP, SIGNATURE, "Create", "") == FirstUse("Create", False)
    assert await other.first_use(APP, "b2" * 32, "Create", "7") is None, "another signature"
    assert await other.first_use(7, SIGNATURE, "Create", "7") is None, "another application"
    monkeypatch.setattr(module, "TOGETHER", 0.0)
    assert await one.first_use(APP, SIGNATURE, "Create", "9") == FirstUse("Create", True)


async def test_of_many_who_bring_a_signature_at_once_one_is_first(
    copies: list[SharedLimits],
) -> None:
    found = await asyncio.gather(
        *(copies[number % 2].first_use(APP, SIGNATURE, "Create", "7") for number in range(20))
    )
    assert found.count(None) == 1
    assert found.count(FirstUse("Create", True)) == 19


async def test_a_full_memory_refuses(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SIGNATURES", 500)
    limits = SharedLimits(bus)
    await limits.open(1)
    assert await limits.first_use(APP, f"{0:064x}", "Create", "") is None
    results = await asyncio.gather(
        *(limits.first_use(APP, f"{number:064x}", "Create", "") for number in range(1, 20)),
        return_exceptions=True,
    )
    refused = [one for one in results if isinstance(one, LimitReached)]
    assert 0 < len(refused) < 19
    assert str(refused[0]).startswith("signatures: too many")
    assert await limits.first_use(APP, f"{0:064x}", "Create", "1") == FirstUse("Create", False)


async def test_signatures_survive_a_server_that_is_started_again(
    copies: list[SharedLimits], servers: Servers, bus: Bus
) -> None:
    one, other = copies
    assert await one.first_use(APP, SIGNATURE, "Create", "7") is None
    await servers.kill(0)
    async with asyncio.timeout(10):
        while bus.connected:
            await asyncio.sleep(0.01)
    with pytest.raises(BusUnavailable, match="no server is there"):
        await one.take(APP, "Create")
    with pytest.raises(BusUnavailable, match="no server is there"):
        await one.first_use(APP, SIGNATURE, "Create", "7")
    await servers.start(0)
    async with asyncio.timeout(20):
        while True:
            try:
                found = await other.first_use(APP, SIGNATURE, "Create", "7")
            except BusUnavailable:
                await asyncio.sleep(0.05)
            else:
                break
    assert found == FirstUse("Create", True)


async def test_streams_that_are_gone_let_nothing_in(copies: list[SharedLimits], bus: Bus) -> None:
    for stream in ("calls", "signatures"):
        await bus.js.delete_stream(f"{bus.bucket}_{stream}")
    with pytest.raises(BusUnavailable):
        await copies[0].take(APP, "Create")
    with pytest.raises(BusUnavailable):
        await copies[0].first_use(APP, SIGNATURE, "Create", "7")


async def test_servers_that_have_no_leader_yet_are_waited_for(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slicer.fleet.bus.UNREADY", 0.01)
    answers = [ServiceUnavailableError(code=503, description="no leader")] * 2
    add_stream = bus.js.add_stream

    async def asked(config: StreamConfig) -> StreamInfo:
        if answers:
            raise answers.pop()
        return await add_stream(config)

    monkeypatch.setattr(bus.js, "add_stream", asked)
    limits = SharedLimits(bus)
    await limits.open(1)
    assert await limits.take(APP, "Create")
    answers += [ServiceUnavailableError(code=503, description="no leader")]
    monkeypatch.setattr(module, "SYNC", 0.0)
    with pytest.raises(BusUnavailable, match="the bus: no leader"):
        await limits.open(1)
