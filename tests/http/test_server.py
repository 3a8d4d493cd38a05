"""One HTTP server in the loop of the test."""

import asyncio
import os
import signal
import socket
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from slicer.http import Server


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/", hello)])


async def test_it_answers_as_soon_as_it_is_made() -> None:
    server = Server("127.0.0.1", 0, APP)
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(f"http://127.0.0.1:{server.port}/")
    assert response.text == "hello"
    assert "server" not in response.headers
    (date,) = response.headers.get_list("date")
    assert abs(parsedate_to_datetime(date).timestamp() - time.time()) < 5
    await server.close()


async def test_nothing_wakes_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, timers = asyncio.get_running_loop(), list[float]()
    server = Server("127.0.0.1", 0, APP)
    await asyncio.sleep(0.05)
    call_at = loop.call_at

    def noted(when: float, *rest: Any, **context: Any) -> asyncio.TimerHandle:
        timers.append(when)
        return call_at(when, *rest, **context)

    monkeypatch.setattr(loop, "call_at", noted)
    await asyncio.sleep(0.4)
    await server.close()
    assert len(timers) <= 3  # our own sleep, and what closing takes


async def test_it_closes_before_it_has_begun() -> None:
    async with asyncio.timeout(20):
        await Server("127.0.0.1", 0, APP).close()


async def test_an_answer_does_not_wait_for_an_acknowledgement() -> None:
    """With Nagle's algorithm an answer on a kept connection takes 40 ms."""
    server = Server("127.0.0.1", 0, APP)
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(f"http://127.0.0.1:{server.port}/")
        (accepted,) = accepted_by(server.port)
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await server.close()


def accepted_by(port: int) -> list[socket.socket]:
    """Duplicates of this process's sockets that were accepted at *port*."""
    found = []
    for path in [one for one in Path("/proc/self/fd").iterdir() if one.is_socket()]:
        one = socket.socket(fileno=os.dup(int(path.name)))
        listens = one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if one.family == socket.AF_INET and one.getsockname()[1] == port and not listens:
            found.append(one)
        else:
            one.close()
    return found


@pytest.mark.parametrize("host", ["h\u00fcst..x", "\0", "x" * 64 + ".example"])
async def test_what_can_be_no_host(host: str) -> None:
    with pytest.raises(OSError, match="cannot listen on"):
        Server(host, 0, APP)


async def test_an_address_in_use() -> None:
    server = Server("127.0.0.1", 0, APP)
    with pytest.raises(OSError, match=f"port {server.port}: Address already in use"):
        Server("127.0.0.1", server.port, APP)
    await server.close()


async def test_an_address_of_somebody_else() -> None:
    with pytest.raises(OSError, match=r"cannot listen on 198\.51\.100\.7 port 0"):
        Server("198.51.100.7", 0, APP)


async def test_the_port_is_free_after_close_and_signals_are_untouched() -> None:
    before = signal.getsignal(signal.SIGTERM)
    server = Server("127.0.0.1", 0, APP)
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(f"http://127.0.0.1:{server.port}/")
        assert signal.getsignal(signal.SIGTERM) is before
    port = server.port
    await server.close()
    await server.close()
    again = Server("127.0.0.1", port, APP)
    assert again.port == port
    await again.close()
