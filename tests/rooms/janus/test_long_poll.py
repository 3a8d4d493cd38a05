"""Messages over HTTP: what is posted, what a poll brings, and how it ends."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from slicer.errors import RoomError
from slicer.rooms.janus import long_poll
from slicer.rooms.janus.long_poll import LongPoll
from tests.harness.rooms.videoroom import SECRET, HttpFront, VideoRoom

HEAD = {"apisecret": SECRET, "transaction": "t"}


@pytest_asyncio.fixture
async def front() -> AsyncIterator[HttpFront]:
    made = HttpFront(VideoRoom())
    yield made
    await made.server.close()


def url(front: HttpFront) -> str:
    return f"http://127.0.0.1:{front.server.port}/janus"


async def test_answers_and_events(front: HttpFront, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    channel = await LongPoll.open(url(front))
    await channel.send({"janus": "create", **HEAD})
    created = await channel.receive()
    assert isinstance(created, dict)
    session = created["data"]["id"]
    for number in range(3):
        front.queue.put_nowait({"janus": "event", "n": number})
    assert [await channel.receive() for _ in range(3)] == [
        {"janus": "event", "n": number} for number in range(3)
    ]
    await channel.send({"janus": "keepalive", "session_id": session, **HEAD})
    assert await channel.receive() == {"janus": "ack", "transaction": "t"}
    await channel.close()
    assert not [one for one in caplog.records if SECRET in one.getMessage()]


async def test_a_session_that_is_refused_is_not_polled(front: HttpFront) -> None:
    channel = await LongPoll.open(url(front))
    await channel.send({"janus": "create", "transaction": "t"})
    refused = await channel.receive()
    assert isinstance(refused, dict)
    assert refused["janus"] == "error"
    await channel.close()


async def test_janus_that_goes_away(front: HttpFront) -> None:
    channel = await LongPoll.open(url(front))
    await channel.send({"janus": "create", **HEAD})
    await channel.receive()
    await front.server.close()
    with pytest.raises(RoomError):
        await channel.receive()
    await channel.close()


async def answering(data: bytes) -> asyncio.Server:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()
        writer.close()

    return await asyncio.start_server(talk, "127.0.0.1", 0)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "HTTP 502"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "no Janus"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n<p", "no JSON"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (long_poll.MAX_BODY + 1), "larger than"),
        (b"", "disconnected"),
    ],
)
async def test_what_is_no_janus(data: bytes, says: str) -> None:
    async with await answering(data) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(RoomError, match=says):
            await LongPoll.open(f"http://127.0.0.1:{port}/janus")


async def test_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_poll, "POST_TIMEOUT", 0.1)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(RoomError, match=r"within 0\.1 s|Timeout"):
            await LongPoll.open(f"http://127.0.0.1:{port}/janus")
