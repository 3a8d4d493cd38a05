"""WHIP in front of a room of Janus, so that what publishes by WHIP publishes there: Chromium's
page, libwebrtc. It carries descriptions alone; media goes between the publisher and Janus.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from slicer.http import Server
from tests.harness.rooms.janus import PIN, Client

KEEPALIVE = 5


class JanusWhip:
    """One room; an anchor publishes at `url(NAME, CODEC)`."""

    def __init__(self, room: str) -> None:
        self._room = room
        self._clients: dict[str, Client] = {}
        routes = [
            Route("/{name}/{codec}", self._publish, methods=["POST"]),
            Route("/{name}", self._end, methods=["DELETE"]),
        ]
        # The page is of another origin.
        cors = Middleware(
            CORSMiddleware,
            allow_origins=["*"],
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["Location"],
        )
        self.server = Server("127.0.0.1", 0, Starlette(routes=routes, middleware=[cors]))

    def url(self, name: str, codec: str = "vp8") -> str:
        return f"http://127.0.0.1:{self.server.port}/{name}/{codec}"

    async def keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEPALIVE)
            for client in list(self._clients.values()):
                await client.keepalive()

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()

    async def _publish(self, request: Request) -> Response:
        name, codec = request.path_params["name"], request.path_params["codec"]
        client = self._clients[name] = await Client.open()
        join = {"ptype": "publisher", "room": self._room, "id": name, "pin": PIN}
        await client.message(request="join", **join)
        jsep = {"type": "offer", "sdp": (await request.body()).decode()}
        said = await client.message(jsep, request="publish", audiocodec="opus", videocodec=codec)
        headers = {"Content-Type": "application/sdp", "Location": f"/{name}"}
        return Response(said["jsep"]["sdp"], 201, headers)

    async def _end(self, request: Request) -> Response:
        await self._clients.pop(request.path_params["name"]).close()
        return Response(status_code=200)


@asynccontextmanager
async def janus_whip(room: str) -> AsyncIterator[JanusWhip]:
    """A front until the context ends."""
    front = JanusWhip(room)
    alive = asyncio.create_task(front.keep_alive())
    try:
        yield front
    finally:
        alive.cancel()
        await front.close()
        await front.server.close()
