"""A WHIP endpoint that is not ours, of aiortc's RTCPeerConnection: publishers are tested on it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import aioice.ice
import av
import numpy as np
import numpy.typing as npt
import uvicorn
from aiortc import MediaStreamError, MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.harness.media.picture import Rgb, read_frame_number


@dataclass
class Session:
    """What a publisher sent: pictures as (frame number or None, width, height), audio in order."""

    connection: RTCPeerConnection
    bearer: str
    pictures: list[tuple[int | None, int, int]] = field(default_factory=list)
    last_picture: Rgb | None = None
    audio: list[npt.NDArray[np.int16]] = field(default_factory=list)
    patches: int = 0
    deleted: bool = False

    def numbers(self) -> list[int]:
        """The frame numbers that could be read."""
        return [number for number, _, _ in self.pictures if number is not None]

    def heard(self) -> npt.NDArray[np.int16]:
        """All the audio so far, mono 48 kHz."""
        return np.concatenate(self.audio) if self.audio else np.empty(0, np.int16)


class Endpoint:
    """POST an offer, PATCH candidates, DELETE; any bearer is taken and remembered."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.url = ""
        self._listeners: set[asyncio.Task[None]] = set()

    def app(self) -> Starlette:
        routes = [
            Route("/whip", self._post, methods=["POST"]),
            Route("/session/{index:int}", self._patch, methods=["PATCH"]),
            Route("/session/{index:int}", self._delete, methods=["DELETE"]),
        ]
        cors = Middleware(
            CORSMiddleware,
            allow_origins=["*"],
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["Location"],
        )
        return Starlette(routes=routes, middleware=[cors])

    async def close(self) -> None:
        for session in self.sessions:
            await session.connection.close()
        for listener in self._listeners:
            listener.cancel()
        await asyncio.gather(*self._listeners, return_exceptions=True)

    async def _post(self, request: Request) -> Response:
        connection = RTCPeerConnection()
        session = Session(connection, request.headers.get("authorization", ""))

        def listen(track: MediaStreamTrack) -> None:
            self._listeners.add(asyncio.create_task(_listen(track, session)))

        connection.on("track", listen)
        offer = (await request.body()).decode()
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        self.sessions.append(session)
        location = f"/session/{len(self.sessions) - 1}"
        return Response(
            connection.localDescription.sdp,
            201,
            {"Location": location},
            media_type="application/sdp",
        )

    async def _patch(self, request: Request) -> Response:
        session = self.sessions[request.path_params["index"]]
        mid = ""
        for line in (await request.body()).decode().splitlines():
            if line.startswith("a=mid:"):
                mid = line.removeprefix("a=mid:")
            # aioice does not resolve names here, and takes only UDP.
            if line.startswith("a=candidate:") and " udp " in line.lower():
                candidate = candidate_from_sdp(line.removeprefix("a=candidate:"))
                candidate.sdpMid = mid
                await session.connection.addIceCandidate(candidate)
        session.patches += 1
        return Response(status_code=204)

    async def _delete(self, request: Request) -> Response:
        session = self.sessions[request.path_params["index"]]
        session.deleted = True
        await session.connection.close()
        return Response(status_code=200)


async def _listen(track: MediaStreamTrack, session: Session) -> None:
    with contextlib.suppress(MediaStreamError):
        while True:
            frame = await track.recv()
            if isinstance(frame, av.AudioFrame):
                samples = np.asarray(frame.to_ndarray(), np.int16)
                session.audio.append(samples.reshape(-1, 2)[:, 0])
                continue
            assert isinstance(frame, av.VideoFrame)
            picture = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            session.last_picture = picture
            session.pictures.append((read_frame_number(picture), frame.width, frame.height))


@contextlib.asynccontextmanager
async def whip_endpoint() -> AsyncIterator[Endpoint]:
    """An endpoint on a free port of 127.0.0.1, closed with all its connections afterwards."""
    host_addresses = aioice.ice.get_host_addresses
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    endpoint = Endpoint()
    listener = socket.create_server(("127.0.0.1", 0))
    endpoint.url = f"http://127.0.0.1:{listener.getsockname()[1]}/whip"
    server = uvicorn.Server(uvicorn.Config(endpoint.app(), log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield endpoint
    finally:
        aioice.ice.get_host_addresses = host_addresses
        await endpoint.close()
        server.should_exit = True
        await serving


async def until(true: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until the callable *true* says so. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)
