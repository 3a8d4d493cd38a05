"""Stands before our room's WHIP endpoint, and changes the offers on their way to it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PASSED = ("content-type", "authorization", "if-match", "etag", "location")


@contextlib.asynccontextmanager
async def offer_front(target: str, change: Callable[[str], str]) -> AsyncIterator[str]:
    """The URL to publish to instead of *target*, until the context ends. Sessions are *target*'s
    own: their URLs go back as they are, made absolute."""
    async with httpx.AsyncClient(trust_env=False) as client:

        async def post(request: Request) -> Response:
            headers = {name: request.headers[name] for name in PASSED if name in request.headers}
            offer = change((await request.body()).decode())
            answer = await client.post(target, content=offer, headers=headers)
            told = {name: answer.headers[name] for name in PASSED if name in answer.headers}
            if "location" in told:
                told["location"] = str(answer.url.join(told["location"]))
            return Response(answer.content, answer.status_code, told)

        app = Starlette(routes=[Route("/whip", post, methods=["POST"])])
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/whip"
        finally:
            server.should_exit = True
            await serving


def asks_for_keyframes(offer: str) -> str:
    """Says of every video codec that its sender takes requests for keyframes."""
    lines = offer.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("m=video"))
    types = lines[at].split()[3:]
    lines[at + 1 : at + 1] = [f"a=rtcp-fb:{one} nack pli" for one in types]
    # The attribute goes behind a connection line, if any (RFC 8866 5).
    if lines[at + 1 + len(types)].startswith("c="):
        lines.insert(at + 1, lines.pop(at + 1 + len(types)))
    return "\r\n".join(lines) + "\r\n"
