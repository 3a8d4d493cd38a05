"""Connections that are used again, bounded, and closed when they are long idle."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from slicer.http.connections import KEEP_ALIVE, Connections
from tests.harness.service.webhook_receiver import Received, Receiver, receiver, reply

MOST = 1_000


@asynccontextmanager
async def opened(max_idle: int) -> AsyncIterator[Connections]:
    made = Connections(ssl.create_default_context(), max_idle)
    yield made
    await made.close()
    await made.close()
    assert made.idle == 0


async def post(connections: Connections, there: Receiver) -> httpx.Response:
    response, _ = await connections.send(httpx.Request("POST", there.url, content=b"{}"), MOST)
    return response


async def use(connections: Connections, there: Receiver, count: int) -> None:
    """So many at once."""
    await asyncio.gather(*(post(connections, there) for _ in range(count)))


async def test_a_connection_is_used_again() -> None:
    async with receiver() as there, opened(8) as connections:
        for _ in range(3):
            assert (await post(connections, there)).status_code == 200
        assert (connections.idle, there.connections) == (1, 1)


async def test_as_many_as_requests_are_under_way() -> None:
    async with receiver() as there, opened(8) as connections:
        for _ in range(2):
            await use(connections, there, 5)
        assert (connections.idle, there.connections, len(there.received)) == (5, 5, 10)


async def test_idle_ones_are_bounded() -> None:
    async with receiver() as there, opened(2) as connections:
        await use(connections, there, 5)
        assert (connections.idle, there.connections) == (2, 5)


async def test_long_idle_ones_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver() as there, opened(8) as connections:
        await use(connections, there, 3)
        loop = asyncio.get_running_loop()
        now = loop.time() + KEEP_ALIVE + 1
        monkeypatch.setattr(loop, "time", lambda: now)
        left = []
        for _ in range(3):
            await post(connections, there)
            left.append(connections.idle)
        monkeypatch.undo()
    assert left == [2, 1, 1]


async def test_one_that_is_used_is_closed_after_its_request() -> None:
    asked = asyncio.Event()

    def answer(_: Received) -> bytes:
        asked.set()
        return b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"  # and no content: it hangs

    async with receiver(answer=answer) as there, opened(8) as connections:
        sending = asyncio.ensure_future(post(connections, there))
        await asked.wait()
        await connections.close()
        assert not sending.done()
        sending.cancel()
        await asyncio.wait([sending])
        assert (sending.cancelled(), connections.idle) == (True, 0)


async def test_content_is_read_as_it_comes_and_to_a_bound() -> None:
    answers = [reply(200, b"packed", "Content-Encoding: gzip"), reply(200, bytes(MOST * 100))]
    async with receiver(answer=lambda _: answers.pop(0)) as there, opened(8) as connections:
        request = httpx.Request("POST", there.url, content=b"{}")
        assert (await connections.send(request, MOST))[1] == b"packed"
        assert MOST < len((await connections.send(request, MOST))[1]) < MOST * 100
        assert there.connections == 1


async def test_nothing_is_followed_kept_or_added() -> None:
    """What a client would do with an answer."""
    answers = [reply(307, b"", "Location: /elsewhere", "Set-Cookie: a=b"), reply(200)]
    async with receiver(answer=lambda _: answers.pop(0)) as there, opened(8) as connections:
        assert (await post(connections, there)).status_code == 307
        await post(connections, there)
    assert [set(one.headers) for one in there.received] == [{"host", "content-length"}] * 2


async def test_one_that_was_given_up_keeps_nobody_waiting() -> None:
    """Wherever a request was when its time was over."""
    async with receiver() as there, opened(8) as connections:
        for turns in range(40):
            await post(connections, there)
            given_up = asyncio.ensure_future(post(connections, there))
            for _ in range(turns):
                await asyncio.sleep(0)
            given_up.cancel()
            await asyncio.wait([given_up])
            async with asyncio.timeout(20):
                assert (await post(connections, there)).status_code == 200
            assert connections.idle == 1


async def test_one_that_failed_is_not_kept() -> None:
    async with receiver(answer=lambda _: b"nonsense\r\n\r\n") as there, opened(8) as connections:
        with pytest.raises(httpx.TransportError):
            await post(connections, there)
        assert connections.idle == 0
