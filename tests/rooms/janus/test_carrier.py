"""Which way to Janus is taken: a WebSocket, or HTTP where there is none."""

from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from slicer.errors import RoomError
from slicer.rooms.janus.address import JanusAddress
from slicer.rooms.janus.carrier import open_channel
from slicer.rooms.janus.long_poll import LongPoll
from slicer.rooms.janus.settings import JanusSettings
from slicer.rooms.janus.websocket import WebSocket
from tests.harness.rooms.videoroom import HttpFront, VideoRoom, on_websocket


def address(port: int, query: str = "") -> JanusAddress:
    url = urlsplit(f"janus://127.0.0.1:{port}/r?pin=1234&{query}")
    return JanusAddress.parse(url, JanusSettings())


async def test_a_websocket_where_there_is_one() -> None:
    async with on_websocket(VideoRoom()) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        channel = await open_channel(address(port))
        assert isinstance(channel, WebSocket)
        await channel.close()


async def test_http_where_there_is_none() -> None:
    front = HttpFront(VideoRoom())
    channel = await open_channel(address(front.server.port, "path=/janus"))
    assert isinstance(channel, LongPoll)
    await channel.close()
    await front.server.close()


async def test_neither_says_what_is_wrong_with_each() -> None:
    with pytest.raises(RoomError, match=r"ws://.*:1/: .*; http://.*:1/janus: ") as refused:
        await open_channel(address(1))
    assert "1234" not in str(refused.value)
    one = replace(address(1), carriers=address(1, "transport=http").carriers)
    with pytest.raises(RoomError, match=r"reached; http://127\.0\.0\.1:1/janus: "):
        await open_channel(one)
