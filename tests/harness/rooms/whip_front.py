"""A WHIP endpoint before ours that puts a relay into the media's path; for any WHIP client."""

import contextlib
from collections.abc import AsyncIterator

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from slicer.http import Server
from tests.harness.rooms.relay import Relay


@contextlib.asynccontextmanager
async def whip_front(path: Relay, url: str) -> AsyncIterator[str]:
    """The URL to publish at in place of *url*; media goes by *path*. Takes POST alone:
    sessions are *url*'s own."""

    async def post(request: Request) -> Response:
        offer = path.offer((await request.body()).decode())
        async with httpx.AsyncClient() as client:
            headers = {"Content-Type": "application/sdp"}
            answered = await client.post(url, content=offer, headers=headers)
        if "location" in answered.headers:
            headers["Location"] = str(answered.url.join(answered.headers["location"]))
        return Response(path.answer(answered.text), answered.status_code, headers)

    server = Server("127.0.0.1", 0, Starlette(routes=[Route("/", post, methods=["POST"])]))
    try:
        yield f"http://127.0.0.1:{server.port}/"
    finally:
        await server.close()
