"""Messages over a WebSocket: order, ends and nonsense, each a RoomError with its reason."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from slicer.errors import RoomError
from slicer.rooms.janus.websocket import MAX_MESSAGE, SUBPROTOCOL, WebSocket

Talk = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def talking_to(talk: Talk) -> AsyncIterator[WebSocket]:
    protocols = [SUBPROTOCOL]
    async with serve(talk, "127.0.0.1", 0, subprotocols=protocols) as server:  # type: ignore[arg-type]
        port = next(iter(server.sockets)).getsockname()[1]
        socket = await WebSocket.open(f"ws://127.0.0.1:{port}/")
        try:
            yield socket
        finally:
            await socket.close()


async def echo(connection: ServerConnection) -> None:
    async for data in connection:
        await connection.send(data)


async def test_messages_go_and_come(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with talking_to(echo) as socket:
        await socket.send({"apisecret": "hush"})
        await socket.send({"n": 2})
        assert await socket.receive() == {"apisecret": "hush"}
        assert await socket.receive() == {"n": 2}
    ours = [one for one in caplog.records if one.name.startswith("slicer")]
    assert not [one for one in ours if "hush" in one.getMessage()]


@pytest.mark.parametrize(
    ("data", "says"),
    [("hello", "no JSON"), (b"\xff\xfe", "no JSON"), ("1" * (MAX_MESSAGE + 1), "ended.*1009")],
)
async def test_nonsense(data: str | bytes, says: str) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send(data)
        await connection.wait_closed()

    async with talking_to(talk) as socket:
        with pytest.raises(RoomError, match=says):
            await socket.receive()


async def test_an_end() -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.close(1001, "so long")

    async with talking_to(leave) as socket:
        with pytest.raises(RoomError, match=r"1001.*so long"):
            await socket.receive()
        with pytest.raises(RoomError, match="the WebSocket ended"):
            await socket.send({})


async def test_nobody_there() -> None:
    with pytest.raises(RoomError, match=r"refused|failed"):
        await WebSocket.open("ws://127.0.0.1:1/")


async def test_what_is_no_websocket() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(RoomError, match="404"):
            await WebSocket.open(f"ws://127.0.0.1:{port}/")


async def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets.asyncio.client", None)
    with pytest.raises(RoomError, match=r"pip install 'rtc-slicer\[janus\]'"):
        await WebSocket.open("ws://127.0.0.1:1/")
