"""One HTTP server in the loop of the test."""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from slicer.errors import BadInput
from slicer.http import Server
from slicer.http import server as module
from tests.harness.certificates import make_certificate


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
    with pytest.raises(OSError, match=f"port {server.port}: Address already in use$"):
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


async def presented(port: int) -> str:
    """The certificate that a client is shown, as PEM."""
    return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))


async def test_a_certificate_is_read_again_for_connections_to_come(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    server = Server("127.0.0.1", 0, APP, certificate, key)
    first = await presented(server.port)
    assert first.strip() == certificate.read_text().strip()

    make_certificate(tmp_path)
    second = certificate.read_text().strip()
    assert (await presented(server.port)) == first, "not before it is asked for"
    server.reload_certificate()
    assert (await presented(server.port)).strip() == second != first.strip()

    certificate.write_text("no certificate")
    with pytest.raises(BadInput, match=r"serve\.tls_cert: .*certificate\.pem.*PEM files that can"):
        server.reload_certificate()
    assert (await presented(server.port)).strip() == second, "the one of before is kept"
    await server.close()


async def test_files_that_are_no_certificate_are_refused_and_the_port_is_free(
    tmp_path: Path,
) -> None:
    server = Server("127.0.0.1", 0, APP)
    port = server.port
    server.reload_certificate()  # without TLS there is nothing to read
    await server.close()
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("none")
    with pytest.raises(BadInput, match=r"serve\.tls_cert: .*PEM files that can be read"):
        Server("127.0.0.1", port, APP, tmp_path / "cert.pem", tmp_path / "key.pem")
    again = Server("127.0.0.1", port, APP)
    await again.close()


async def test_a_request_that_takes_too_long_is_cut_off_when_the_server_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "DRAIN", 0.05)
    began, cut_off = asyncio.Event(), asyncio.Event()

    async def slow(_: Request) -> Response:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.set()
        return PlainTextResponse("never")

    server = Server("127.0.0.1", 0, Starlette(routes=[Route("/", slow)]))
    async with httpx.AsyncClient(trust_env=False) as client:
        asking = asyncio.create_task(client.get(f"http://127.0.0.1:{server.port}/"))
        await began.wait()
        async with asyncio.timeout(20):
            await server.close()
        assert cut_off.is_set()
        assert (await asking).status_code == 500


async def test_who_goes_in_the_midst_of_a_body_breaks_nothing() -> None:
    ended = asyncio.Event()

    async def whole(request: Request) -> Response:
        try:
            await request.body()
        finally:
            ended.set()
        return PlainTextResponse("never")

    server = Server("127.0.0.1", 0, Starlette(routes=[Route("/", whole, methods=["POST"])]))
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()
    await asyncio.sleep(0)
    writer.close()
    async with asyncio.timeout(20):
        await ended.wait()
    assert not server.counters
    await server.close()


async def at_once(_: Request) -> Response:
    return PlainTextResponse("done")


async def after_the_body(request: Request) -> Response:
    return PlainTextResponse(await request.body())


async def in_parts(_: Request) -> Response:
    async def parts() -> AsyncIterator[str]:
        while True:
            yield "part"
            await asyncio.sleep(0.01)

    return StreamingResponse(parts())


@pytest.mark.parametrize("endpoint", [at_once, after_the_body, in_parts])
@pytest.mark.parametrize("method", ["POST", "HEAD"])
@pytest.mark.parametrize("pause", [0.0, 0.1])
async def test_a_malformed_body_is_no_traceback(
    endpoint: Callable[[Request], Awaitable[Response]],
    method: str,
    pause: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Who floods us with them fills no disk. It comes with the head, or after the answer has
    begun."""
    server = Server("127.0.0.1", 0, Starlette(routes=[Route("/", endpoint, methods=[method])]))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"{method} / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head.encode())
    await asyncio.sleep(pause)
    writer.write(b"zz\r\n")
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):
            answer = await reader.read()
            assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 200 "))
    writer.close()
    await server.close()
    assert caplog.text == ""
