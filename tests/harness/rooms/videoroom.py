"""A VideoRoom of the tests' own, in this process: answers as the real one gave them, with its error
codes, over a WebSocket and over HTTP; media by an `Sfu` for each subscription.

The real Janus is in tests/real. Here is what it cannot be made to do: to be silent, to speak
nonsense, to offer what no browser would.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from slicer.http import Server as HttpServer
from tests.harness.rooms.descriptions import Track
from tests.harness.rooms.sfu import Sfu

SECRET, PIN, PRIVATE_ID = "s3cret", "1234", 77
CODECS = {"audio": "opus", "video": "vp8"}
Emit = Callable[[dict[str, Any]], None]


@dataclass
class FakeHandle:
    """One handle. *feed*: of a subscriber; *feed_mids*: what comes by each MID; *sent*: whether it
    flows."""

    session: "FakeSession"
    id: int
    participant: Any = None
    feed: str = ""
    sfu: Sfu | None = None
    tracks: list[Track] = field(default_factory=list)
    feed_mids: dict[str, str] = field(default_factory=dict)
    sent: dict[str, bool] = field(default_factory=dict)

    def tell(self, data: dict[str, Any], **more: Any) -> None:
        """An event of the plugin."""
        plugin = {"plugin": "janus.plugin.videoroom", "data": data}
        self.session.emit({"janus": "event", "sender": self.id, "plugindata": plugin, **more})


@dataclass
class FakeSession:
    """One session. *emit*: its events."""

    id: int
    emit: Emit
    handles: dict[int, FakeHandle] = field(default_factory=dict)


class VideoRoom:
    """One room, "r" or, with numbers for ids, 7. *silent*: requests that get no answer at all;
    *nonsense*: request → what is answered in place of the answer; *offers*: in place of its own;
    *deaf*: no answer of ours is taken, so that ICE never connects."""

    def __init__(self, numbers: bool = False) -> None:
        self.room: str | int = 7 if numbers else "r"
        self.requests: list[dict[str, Any]] = []
        self.publishers: dict[Any, list[dict[str, Any]]] = {}
        self.sessions: dict[int, FakeSession] = {}
        self.silent: set[str] = set()
        self.deaf = False
        self.nonsense: dict[str, Any] = {}
        self.offers: list[str] = []
        self.sfus: list[Sfu] = []
        self._ids = itertools.count(1001)

    @property
    def handles(self) -> list[FakeHandle]:
        return [one for session in self.sessions.values() for one in session.handles.values()]

    def subscriber(self, feed: str) -> FakeHandle:
        """The newest subscription to a feed."""
        return [one for one in self.handles if one.feed == feed][-1]

    def asked(self, request: str) -> list[dict[str, Any]]:
        """The bodies of these requests, in order."""
        return [
            one["body"] for one in self.requests if one.get("body", {}).get("request") == request
        ]

    def tell(self, **data: Any) -> None:
        """Tell everybody in the room."""
        for handle in self.handles:
            if handle.participant is not None:
                handle.tell({"videoroom": "event", "room": self.room, **data})

    def publish(
        self,
        feed: Any,
        *kinds: str,
        codecs: dict[str, str] = CODECS,
        descriptions: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        """Somebody publishes, or changes what is published. *descriptions*: of some m-lines."""
        self.publishers[feed] = [
            {"type": kind, "mindex": n, "mid": str(n), "codec": codecs[kind]}
            | ({"description": descriptions[n]} if n in descriptions else {})
            for n, kind in enumerate(kinds)
        ]
        self.tell(publishers=[self._listed(feed)])

    def unpublish(self, feed: Any) -> None:
        """As Janus does: it says so twice."""
        del self.publishers[feed]
        for name in ("unpublished", "unpublished", "leaving"):
            self.tell(**{name: feed})

    def drop(self) -> None:
        """Janus is gone, with all that it knew."""
        self.sessions.clear()

    def take(self, message: dict[str, Any], emit: Emit) -> None:
        """One request; its answers are emitted."""
        self.requests.append(message)
        body = message.get("body", {})
        name = body.get("request", message["janus"])
        head = {"transaction": message["transaction"]}
        if name in self.silent:
            return
        if name in self.nonsense:
            emit({**head, **self.nonsense[name]})
        elif message.get("apisecret") != SECRET:
            emit(
                {"janus": "error", **head, "error": {"code": 403, "reason": "Unauthorized request"}}
            )
        elif name == "create":
            session = FakeSession(next(self._ids), emit)
            self.sessions[session.id] = session
            emit({"janus": "success", **head, "data": {"id": session.id}})
        elif (found := self.sessions.get(message.get("session_id", 0))) is None:
            emit({"janus": "error", **head, "error": {"code": 458, "reason": "No such session"}})
        else:
            self._in_session(found, name, message, head)

    def _in_session(
        self, session: FakeSession, name: str, message: dict[str, Any], head: dict[str, Any]
    ) -> None:
        if name == "attach":
            handle = FakeHandle(session, next(self._ids))
            session.handles[handle.id] = handle
            session.emit({"janus": "success", **head, "data": {"id": handle.id}})
        elif name in {"detach", "destroy"}:
            session.handles.pop(message.get("handle_id", 0), None)
            if name == "destroy":
                del self.sessions[session.id]
            session.emit({"janus": "success", **head})
        elif name == "keepalive":
            session.emit({"janus": "ack", **head})
        else:
            # As the real one does at times: the event before its ack.
            asyncio.get_running_loop().create_task(self._plugin(session, message, head))

    async def _plugin(
        self, session: FakeSession, message: dict[str, Any], head: dict[str, Any]
    ) -> None:
        handle, body = session.handles[message["handle_id"]], message["body"]
        error = self._refusal(body)
        if error is not None:
            code, reason = error
            handle.tell({"videoroom": "event", "error_code": code, "error": reason}, **head)
        elif body.get("ptype") == "publisher":
            handle.participant = body.get("id", 424242)
            known = [self._listed(feed) for feed in self.publishers]
            data = {"videoroom": "joined", "room": self.room, "id": handle.participant}
            handle.tell({**data, "private_id": PRIVATE_ID, "publishers": known}, **head)
        else:
            await self._subscriber(handle, body, message.get("jsep"), head)
        session.emit({"janus": "ack", **head})

    def _refusal(self, body: dict[str, Any]) -> tuple[int, str] | None:
        if body["request"] != "join":
            return None
        if type(body["room"]) is not type(self.room):
            return 430, "Invalid element type (room should be another)"
        if body["room"] != self.room:
            return 426, f"No such room ({body['room']})"
        if body.get("pin") != PIN:
            return (433, "Unauthorized (wrong pin)") if "pin" in body else (429, "Missing pin")
        if "id" in body and body["id"] in self._present():
            return 436, f"User ID {body['id']} already exists"
        if any(one["feed"] not in self.publishers for one in body.get("streams", ())):
            return 428, "No such feed"
        return None

    def _present(self) -> set[Any]:
        return {one.participant for one in self.handles} | set(self.publishers)

    async def _subscriber(
        self, handle: FakeHandle, body: dict[str, Any], jsep: Any, head: dict[str, Any]
    ) -> None:
        name = body["request"]
        if name == "start":
            assert handle.sfu is not None
            if not self.deaf:
                await handle.sfu.accept(jsep["sdp"])
            handle.tell({"videoroom": "event", "started": "ok"}, **head)
        elif name == "configure":
            handle.sent |= {one["mid"]: one["send"] for one in body["streams"] if "send" in one}
            handle.tell({"videoroom": "event", "configured": "ok"}, **head)
        else:
            if name == "join":
                handle.feed, handle.sfu = str(body["streams"][0]["feed"]), Sfu()
                self.sfus.append(handle.sfu)
            mids = {one.get("sub_mid") for one in body["streams"]} - {None}
            kept = [one for one in handle.tracks if one.mid in mids]
            await self._offer(handle, "attached" if name == "join" else "updated", body, kept, head)

    async def _offer(
        self,
        handle: FakeHandle,
        name: str,
        body: dict[str, Any],
        stopped: list[Track],
        head: dict[str, Any],
    ) -> None:
        """An offer of all m-lines; each new stream gets one more."""
        assert handle.sfu is not None
        handle.tracks = [
            Track(one.kind, one.mid, "inactive" if one in stopped else one.direction)
            for one in handle.tracks
        ]
        for one in body["streams"]:
            if "feed" in one:
                published = {s["mid"]: s["type"] for s in self.publishers[one["feed"]]}
                handle.feed_mids[str(len(handle.tracks))] = one["mid"]
                handle.tracks.append(Track(published[one["mid"]], str(len(handle.tracks))))
        active = [one.direction == "sendonly" for one in handle.tracks]
        streams = [
            {
                "mid": one.mid,
                "type": one.kind,
                "active": there,
                "feed_mid": handle.feed_mids[one.mid],
            }
            for one, there in zip(handle.tracks, active, strict=True)
        ]
        sdp = self.offers.pop(0) if self.offers else await handle.sfu.offer(handle.tracks)
        jsep = {"type": "offer", "sdp": sdp}
        handle.tell({"videoroom": name, "room": self.room, "streams": streams}, jsep=jsep, **head)

    def _listed(self, feed: Any) -> dict[str, Any]:
        return {"id": feed, "display": str(feed), "streams": self.publishers[feed]}


@asynccontextmanager
async def on_websocket(room: VideoRoom, port: int = 0) -> AsyncIterator[Server]:
    """The room behind a WebSocket on loopback."""

    async def talk(connection: ServerConnection) -> None:
        waiting: set[asyncio.Task[None]] = set()

        def emit(message: dict[str, Any]) -> None:
            waiting.add(asyncio.ensure_future(send(json.dumps(message))))

        async def send(text: str) -> None:
            with suppress(ConnectionClosed):
                await connection.send(text)

        async for data in connection:
            room.take(json.loads(data), emit)

    async with serve(talk, "127.0.0.1", port, subprotocols=["janus-protocol"]) as server:  # type: ignore[list-item]
        yield server


class HttpFront:
    """The room behind Janus' REST interface. *queue*: events that wait for a poll."""

    def __init__(self, room: VideoRoom) -> None:
        self._room = room
        self.queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        routes = [
            Route("/janus/info", self._info),
            Route("/janus", self._post, methods=["POST"]),
            Route("/janus/{session:int}", self._poll, methods=["GET"]),
            Route("/janus/{session:int}", self._post, methods=["POST"]),
            Route("/janus/{session:int}/{handle:int}", self._post, methods=["POST"]),
        ]
        self.server = HttpServer("127.0.0.1", 0, Starlette(routes=routes))

    async def _info(self, request: Request) -> JSONResponse:
        return JSONResponse({"janus": "server_info"})

    async def _post(self, request: Request) -> JSONResponse:
        message = await request.json()
        message |= {f"{name}_id": value for name, value in request.path_params.items()}
        answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[message["transaction"]] = answered
        self._room.take(message, self._emit)
        return JSONResponse(await answered)

    def _emit(self, said: dict[str, Any]) -> None:
        """An answer to a request that waits, or an event for the next poll."""
        name = "" if said["janus"] == "event" else said.get("transaction", "")
        if name in self._waiting:
            self._waiting.pop(name).set_result(said)
        else:
            self.queue.put_nowait(said)

    async def _poll(self, request: Request) -> JSONResponse:
        if request.query_params.get("apisecret") != SECRET:
            return JSONResponse({}, 403)
        events = [await self.queue.get()]
        while not self.queue.empty():
            events.append(self.queue.get_nowait())
        return JSONResponse(events)
