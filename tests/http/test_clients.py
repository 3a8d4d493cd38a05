"""Clients of one connection: used again, bounded, closed when they are long idle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from slicer.http.clients import KEEP_ALIVE, ONE, Clients
from tests.harness.service.webhook_receiver import receiver


@asynccontextmanager
async def opened(max_idle: int) -> AsyncIterator[tuple[Clients, list[httpx.AsyncClient]]]:
    made: list[httpx.AsyncClient] = []

    def make() -> httpx.AsyncClient:
        made.append(httpx.AsyncClient(limits=ONE, trust_env=False))
        return made[-1]

    clients = Clients(make, max_idle)
    yield clients, made
    await clients.close()
    await clients.close()
    assert all(client.is_closed for client in made)


async def use(clients: Clients, count: int) -> None:
    """Take so many at once, and give them back, the first one first."""
    async with AsyncExitStack() as stack:
        for _ in range(count):
            await stack.enter_async_context(clients.one())


async def test_a_connection_is_used_again() -> None:
    async with receiver() as there, opened(8) as (clients, made):
        for _ in range(3):
            async with clients.one() as client:
                assert (await client.post(there.url)).status_code == 200
    assert (len(made), there.connections) == (1, 1)


async def test_as_many_as_requests_are_under_way() -> None:
    async with receiver() as there, opened(8) as (clients, made):

        async def post() -> None:
            async with clients.one() as client:
                await client.post(there.url)

        for _ in range(2):
            await asyncio.gather(*(post() for _ in range(5)))
    assert (len(made), there.connections, len(there.received)) == (5, 5, 10)


async def test_idle_ones_are_bounded() -> None:
    async with opened(2) as (clients, made):
        await use(clients, 5)
        assert [client.is_closed for client in made].count(False) == 2


async def test_long_idle_ones_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(8) as (clients, made):
        loop = asyncio.get_running_loop()
        await use(clients, 3)
        now = loop.time() + KEEP_ALIVE + 1
        monkeypatch.setattr(loop, "time", lambda: now)
        await use(clients, 1)
        assert [client.is_closed for client in made].count(False) == 2
        await use(clients, 1)
        await use(clients, 1)
        assert [client.is_closed for client in made].count(False) == 1
        monkeypatch.undo()


async def test_one_that_is_used_is_closed_after_its_request() -> None:
    async with opened(8) as (clients, made):
        async with clients.one():
            await clients.close()
            assert not made[0].is_closed
        assert made[0].is_closed
