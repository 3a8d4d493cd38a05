"""The WebSocket of LiveKit's signalling, with servers of few lines."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus

import pytest
from livekit.protocol import rtc
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from slicer.errors import RoomError
from slicer.rooms.livekit.settings import LiveKitSettings
from slicer.rooms.livekit.signalling import Entry, Signalling

SETTINGS = LiveKitSettings(timeout=1.0, max_message=1000)


@contextlib.asynccontextmanager
async def server(
    data: bytes | str, admit: Callable[[ServerConnection, Request], Response | None]
) -> AsyncIterator[str]:
    async def say(socket: ServerConnection) -> None:
        await socket.send(data)

    async with serve(say, "127.0.0.1", 0, process_request=admit) as serving:
        port = next(iter(serving.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}"


async def test_an_older_server_has_only_rtc() -> None:
    asked: list[str] = []

    def admit(socket: ServerConnection, request: Request) -> Response | None:
        asked.append(request.path)
        old = request.path.startswith("/rtc?")
        return None if old else socket.respond(HTTPStatus.NOT_FOUND, "404 page not found\n")

    hello = rtc.SignalResponse(join=rtc.JoinResponse(server_version="1.5.0"))
    async with server(hello.SerializeToString(), admit) as url:
        signalling = await Signalling.open(Entry(url, "token", "PA_1"), SETTINGS)
        assert signalling.offers
        assert (await signalling.receive()).join.server_version == "1.5.0"
        with pytest.raises(RoomError, match="the signalling ended"):
            await signalling.receive()
        await signalling.ping(0.1)  # lost, and no error
        await signalling.close()
    assert asked[0].startswith("/rtc/v1?join_request=")
    assert asked[1] == "/rtc?auto_subscribe=0&protocol=2&os=linux&reconnect=1&sid=PA_1"


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"\xff\xff", "speaks no protocol of LiveKit's"), (b"x" * 2000, "the signalling ended")],
)
async def test_nonsense(data: bytes, words: str) -> None:
    async with server(data, lambda _socket, _request: None) as url:
        signalling = await Signalling.open(Entry(url, "token"), SETTINGS)
        with pytest.raises(RoomError, match=words):
            await signalling.receive()


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "token is not accepted"), (404, "no such room"), (503, "refuses: it answers 503 why")],
)
async def test_what_a_refusal_says(status: int, words: str) -> None:
    def admit(socket: ServerConnection, _request: Request) -> Response:
        return socket.respond(HTTPStatus(status), "why")

    async with server(b"", admit) as url:
        with pytest.raises(RoomError, match=words):
            await Signalling.open(Entry(url, "token"), SETTINGS)


async def test_nobody_there() -> None:
    with pytest.raises(RoomError, match="cannot be asked"):
        await Signalling.open(Entry("ws://127.0.0.1:1", "token"), SETTINGS)


async def test_to_begin_is_to_have_the_first_message() -> None:
    hello = rtc.SignalResponse(join=rtc.JoinResponse(server_version="1.9.0"))
    async with server(hello.SerializeToString(), lambda _socket, _request: None) as url:
        signalling, first = await Signalling.begin(Entry(url, "token"), SETTINGS)
        assert (signalling.offers, first.join.server_version) == (False, "1.9.0")
        await signalling.close()


async def test_a_server_that_says_nothing_is_left() -> None:
    closed = asyncio.Event()

    async def keep_silent(socket: ServerConnection) -> None:
        await socket.wait_closed()
        closed.set()

    async with serve(keep_silent, "127.0.0.1", 0) as serving:
        port = next(iter(serving.sockets)).getsockname()[1]
        entry = Entry(f"ws://127.0.0.1:{port}", "token")
        with pytest.raises(RoomError, match=r"no answer within 0\.2 s"):
            await Signalling.begin(entry, LiveKitSettings(timeout=0.2))
        await closed.wait()


async def test_a_beginning_of_nonsense_is_an_error_of_its_own() -> None:
    async with server(b"\xff\xff", lambda _socket, _request: None) as url:
        with pytest.raises(RoomError, match="speaks no protocol of LiveKit's"):
            await Signalling.begin(Entry(url, "token"), SETTINGS)
