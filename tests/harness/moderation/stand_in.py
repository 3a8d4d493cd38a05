"""A supplier's HTTP server on loopback: what comes is kept, and answered as a test says."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from slicer.http.server import Server


@dataclass(frozen=True)
class Asked:
    """A request as it came: header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"
    query: str = ""

    @property
    def fields(self) -> dict[str, Any]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


Answering = Callable[[Asked], Response]
Parts = Mapping[str, dict[str, Any] | None]
"""What an answer about several pictures says of some of them, by how the supplier calls them; None:
nothing."""


@dataclass
class StandIn:
    url: str = ""
    asked: list[Asked] = field(default_factory=list)


@contextlib.asynccontextmanager
async def stand_in(answering: Answering) -> AsyncIterator[StandIn]:
    """Serve until the end of the block."""
    made = StandIn()

    async def serve(request: Request) -> Response:
        asked = Asked(
            request.url.path,
            dict(request.headers),
            await request.body(),
            request.method,
            request.url.query,
        )
        made.asked.append(asked)
        return answering(asked)

    server = Server(
        "127.0.0.1",
        0,
        Starlette(routes=[Route("/{path:path}", serve, methods=["GET", "POST", "PUT"])]),
    )
    made.url = f"http://127.0.0.1:{server.port}"
    try:
        yield made
    finally:
        await server.close()


def answer(body: object, status: int = 200, retry_after: str = "") -> Response:
    """An answer in JSON; *retry_after* where it is not empty."""
    named = {"Retry-After": retry_after} if retry_after else {}
    return Response(json.dumps(body), status, named, "application/json")
