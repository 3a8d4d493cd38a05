"""A WHEP server that plays a tone and pictures of noise, by aiortc: POST, PATCH and DELETE, a list,
and the paths of MediaMTX's API. What it refuses, and how, a test sets by anchor.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.harness.rooms.whip_client import Flicker, Peer, Tone

SDP = {"Content-Type": "application/sdp"}


@dataclass
class WhepServer:
    """*anchors*: who publishes. *refusals*: what an anchor's POST is answered. *bearer*: what every
    request has to bring. *counter*: answer offers with 406 and an offer of its own. *redirect*:
    where an anchor's POST is sent, once. *page*: how many paths the API tells at once. *deaf*:
    answer no connectivity check. *broken*: what the list answers instead of itself."""

    port: int = 0
    anchors: list[str] = field(default_factory=list)
    refusals: dict[str, Response] = field(default_factory=dict)
    redirect: dict[str, str] = field(default_factory=dict)
    bearer: str = ""
    counter: bool = False
    broken: Response | None = None
    page: int = 100
    audio_only: bool = False
    deaf: bool = False
    sessions: dict[str, Peer] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    _serving: asyncio.Task[None] | None = None
    _server: uvicorn.Server | None = None

    def url(self, options: str, scheme: str = "whep") -> str:
        return f"{scheme}://127.0.0.1:{self.port}/lobby?{options}"

    async def start(self) -> None:
        routes = [
            Route("/list.json", self._list),
            Route("/v3/paths/list", self._paths),
            Route("/{room}/{anchor}/whep", self._endpoint, methods=["POST", "OPTIONS"]),
            Route("/again/{anchor}", self._endpoint, methods=["POST"]),
            Route("/session/{session}", self._session, methods=["PATCH", "DELETE"]),
        ]
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))

    async def stop(self) -> None:
        """Answer nothing any more; what plays goes on."""
        assert self._server is not None
        assert self._serving is not None
        self._server.should_exit = True
        await self._serving

    async def hang_up(self) -> None:
        """End everything that plays."""
        sessions, self.sessions = list(self.sessions.values()), {}
        for peer in sessions:
            await peer.close()

    def _refused(self, request: Request) -> Response | None:
        self.asked.append(f"{request.method} {request.url.path}")
        if self.bearer and request.headers.get("authorization") != f"Bearer {self.bearer}":
            return JSONResponse({"status": "error", "error": "authentication error"}, 401)
        return None

    async def _list(self, request: Request) -> Response:
        return self._refused(request) or self.broken or JSONResponse(self.anchors)

    async def _paths(self, request: Request) -> Response:
        page = int(request.query_params["page"])
        names = ["other/zoe", *(f"lobby/{anchor}" for anchor in self.anchors)]
        items = [{"name": name, "ready": True} for name in names]
        items.append({"name": "lobby/nobody", "ready": False})
        shown = items[page * self.page : (page + 1) * self.page]
        pages = -(-len(items) // self.page)
        told = {"itemCount": len(items), "pageCount": pages, "items": shown}
        return self._refused(request) or self.broken or JSONResponse(told)

    async def _endpoint(self, request: Request) -> Response:
        anchor = request.path_params["anchor"]
        if refused := self._refused(request) or self.refusals.get(anchor):
            return refused
        if request.method == "OPTIONS":
            return Response(status_code=204)
        if where := self.redirect.pop(anchor, ""):
            return Response(status_code=307, headers={"Location": where})
        if anchor not in self.anchors:
            return JSONResponse({"status": "error", "error": "no stream is available"}, 404)
        offer, peer = (await request.body()).decode(), Peer()
        session = f"{anchor}-{len(self.asked)}"
        self.sessions[session] = peer
        headers = {**SDP, "Location": f"/session/{session}"}
        tracks = [Tone()] if self.audio_only else [Tone(), Flicker()]
        if self.counter:
            return Response(await peer.offer(tracks), 406, headers)
        answer = await peer.answer(offer, tracks)
        if self.deaf:
            peer.ignore_checks()
        return Response(answer, 201, headers)

    async def _session(self, request: Request) -> Response:
        session = request.path_params["session"]
        if refused := self._refused(request):
            return refused
        if request.method == "PATCH":
            await self.sessions[session].accept((await request.body()).decode())
            return Response(status_code=204)
        self.deleted.append(session)
        peer = self.sessions.pop(session, None)
        if peer is not None:
            await peer.close()
        return Response(status_code=200)


@contextlib.asynccontextmanager
async def whep_server(*anchors: str) -> AsyncIterator[WhepServer]:
    """A server on a free port of 127.0.0.1, where these anchors publish."""
    server = WhepServer(anchors=list(anchors))
    await server.start()
    try:
        yield server
    finally:
        await server.hang_up()
        await server.stop()
