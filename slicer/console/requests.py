"""The requests of the page: who may ask, and what each is answered. All but `live` and the files
are JSON both ways."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from slicer.clock import Clock
from slicer.console import views
from slicer.console.assets import asset
from slicer.console.guard import COOKIE, CSRF_HEADER, from_other_site, from_our_page
from slicer.console.live import Live
from slicer.console.observer import Observer
from slicer.console.ranges import ranged
from slicer.console.sessions import SESSION_SECONDS, Refusals, Session, Sessions, may_change
from slicer.console.stored import read
from slicer.http import source_of
from slicer.service.audit import AuditEntry, AuditKind
from slicer.service.fleet_operations import FleetOperations
from slicer.service.operations import Operations

MAX_BODY = 4_096
"""Bytes of a request's body."""
MAX_SLICES = 2_000
"""Slices of one task's time line."""
DROPPED = "dropped by an operator"

logger = logging.getLogger(__name__)

Operated = Operations | FleetOperations
"""What is shown: one process with its tasks, or a fleet, whose tasks are at workers."""
Answer = Callable[[Request, Session], Awaitable[Response]]


class Requests:
    """The routes of the page's requests."""

    def __init__(
        self,
        operations: Operated,
        observer: Observer,
        live: Live,
        sessions: Sessions,
        clock: Clock,
    ) -> None:
        self._operations, self._observer, self._live = operations, observer, live
        self._sessions, self._audit, self._clock = sessions, operations.audit, clock
        self._refusals = Refusals()

    @property
    def routes(self) -> list[BaseRoute]:
        """All of them, below /console."""
        return [
            Route("/", self._page),
            Route("/static/{name}", self._static),
            Route("/api/login", self._log_in, methods=["POST"]),
            Route("/api/logout", self._changing(self._log_out), methods=["POST"]),
            Route("/api/session", self._session),
            Route("/api/live", self._reading(self._stream)),
            Route("/api/tasks/{task}", self._reading(self._task)),
            Route("/api/health", self._reading(self._health)),
            Route("/api/waiting", self._reading(self._waiting)),
            Route("/api/fleet", self._reading(self._fleet)),
            Route("/api/audit", self._reading(self._audited)),
            Route("/api/again", self._changing(self._again), methods=["POST"]),
            Route("/api/drop", self._changing(self._drop), methods=["POST"]),
            Route("/media/{identity}", self._reading(self._media)),
        ]

    def _reading(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        """Ask for a session first."""

        async def handle(request: Request) -> Response:
            session = self._session_of(request)
            if from_other_site(request):
                return _refused(403, "asked for by another site")
            if session is None:
                return _refused(401, "not logged in")
            self._observer.media.looked(self._clock.now())
            return await answer(request, session)

        return handle

    def _changing(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        """Ask for a session, and that its own page sends this."""

        async def handle(request: Request) -> Response:
            session = self._session_of(request)
            if not from_our_page(request):
                return _refused(403, "not sent by this page")
            if session is None:
                return _refused(401, "not logged in")
            if not may_change(session, request.headers.get(CSRF_HEADER, "")):
                return _refused(403, "the page is of another session; load it again")
            return await answer(request, session)

        return handle

    async def _page(self, request: Request) -> Response:
        return asset(request, "index.html")

    async def _static(self, request: Request) -> Response:
        return asset(request, request.path_params["name"])

    async def _log_in(self, request: Request) -> Response:
        if not from_our_page(request):
            return _refused(403, "not sent by this page")
        body = await _body(request)
        token, name = body.get("token"), body.get("name", "")
        if not isinstance(token, str) or not isinstance(name, str):
            return _refused(400, "token: a text")
        source = _source(request)
        wait = self._sessions.wait(source, self._clock.now())
        cookie = self._sessions.log_in(token, name, source, self._clock.now())
        if cookie is None:
            return await self._refuse(source, wait)
        session = self._sessions.find(cookie, self._clock.now())
        assert session is not None
        logger.info("- console: %s has logged in", session.who)
        await self._note(session.who, "login")
        response = self._session_view(session)
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=round(SESSION_SECONDS),
            path="/console",
            secure=_is_tls(request),
            httponly=True,
            samesite="strict",
        )
        return response

    async def _refuse(self, source: str, wait: float) -> Response:
        """A wrong token; *wait*: seconds for which its sender has sent too many."""
        if (untold := self._refusals.add(self._clock.now())) is not None:
            reason = "too many wrong tokens" if wait else "wrong token"
            reason += f"; {untold} more were refused before it" if untold else ""
            logger.warning("! console: %s from %s", reason, source)
            await self._note(f"somebody ({source})", "login refused", reason, AuditKind.REFUSED)
        if not wait:
            return _refused(401, "wrong token")
        seconds = round(wait) + 1
        reason = f"wrong token, and too many of them; try again in {seconds} s"
        return _refused(429, reason, {"Retry-After": str(seconds)})

    async def _log_out(self, request: Request, session: Session) -> Response:
        self._sessions.log_out(request.cookies.get(COOKIE, ""))
        await self._note(session.who, "logout")
        response = JSONResponse({}, headers={"Clear-Site-Data": '"cache"'})
        response.delete_cookie(
            COOKIE, path="/console", secure=_is_tls(request), httponly=True, samesite="strict"
        )
        return response

    async def _session(self, request: Request) -> Response:
        """Who is logged in. Nobody is no error: it is what the page asks first."""
        session = None if from_other_site(request) else self._session_of(request)
        return self._session_view(session)

    async def _stream(self, request: Request, _: Session) -> Response:
        if self._live.full:
            return _refused(503, "too many pages are open", {"Retry-After": "10"})
        connection = request.scope.get("state", {}).get("connection")
        renew = connection.renew if connection is not None else _nothing

        def on() -> bool:
            self._observer.media.looked(self._clock.now())
            return self._session_of(request) is not None

        headers = {"X-Accel-Buffering": "no"}  # nginx would keep events until its buffer is full
        stream = self._live.stream(renew, on)
        return StreamingResponse(stream, headers=headers, media_type="text/event-stream")

    async def _task(self, request: Request, _: Session) -> Response:
        task = request.path_params["task"]
        view = next((one for one in self._operations.tasks() if one.task == task), None)
        entries = self._observer.history.of_task(task, MAX_SLICES)
        if view is None and not entries:
            return _refused(404, "no such task, or nothing is known of it any more")
        about = None if view is None else views.of_task(view)
        return JSONResponse({"task": about, "slices": views.of_entries(entries)})

    async def _health(self, _: Request, __: Session) -> Response:
        return JSONResponse(views.of_health(await self._operations.health()))

    async def _waiting(self, _: Request, __: Session) -> Response:
        return JSONResponse(views.of_waiting(await self._operations.waiting()))

    async def _fleet(self, _: Request, __: Session) -> Response:
        if not isinstance(self._operations, FleetOperations):
            return _refused(404, "this process is no copy of a fleet's API")
        return JSONResponse(views.of_fleet(await self._operations.fleet()))

    async def _audited(self, _: Request, __: Session) -> Response:
        return JSONResponse(views.of_audit(await self._audit.entries()))

    async def _again(self, request: Request, session: Session) -> Response:
        what = (await _body(request)).get("what")
        if what == "slices":
            count = self._operations.try_slices_again()
        elif what == "callbacks":
            count = await self._operations.try_callbacks_again()
        else:
            return _refused(400, "what: slices or callbacks")
        await self._note(session.who, f"try {what} again", f"{count} waiting")
        return JSONResponse({"count": count})

    async def _drop(self, request: Request, session: Session) -> Response:
        body = await _body(request)
        what, identity = body.get("what"), body.get("id")
        if what not in {"slice", "callback"} or not isinstance(identity, str):
            return _refused(400, "what: slice or callback; id: a text")
        # Before it is done: what cannot be noted is not done.
        await self._note(session.who, f"drop {what}", identity)
        if what == "slice":
            done = self._operations.drop_slice(identity, f"{DROPPED}: {session.who}")
        else:
            done = await self._operations.drop_callback(identity, f"{DROPPED}: {session.who}")
        if not done:
            return _refused(409, f"this {what} does not wait any more, or is under way")
        logger.warning("! console: %s has dropped %s %s", session.who, what, identity)
        return JSONResponse({})

    async def _media(self, request: Request, _: Session) -> Response:
        identity = request.path_params["identity"]
        media, entry = self._observer.media.get(identity), self._observer.history.find(identity)
        if media is None and entry is not None:
            media = await asyncio.to_thread(read, entry)
        if media is None:
            return _refused(404, "not kept here any more")
        headers = {"Cache-Control": "private, max-age=300", "Vary": "Cookie"}
        wanted = request.headers.get("range")
        return ranged(media.data, wanted, media.content_type, headers)

    def _session_view(self, session: Session | None) -> JSONResponse:
        """*fleet*: whether the pages of a fleet are shown, or those of one process."""
        fleet = isinstance(self._operations, FleetOperations)
        name, csrf = (session.name, session.csrf) if session else ("", "")
        return JSONResponse({"name": name, "csrf": csrf, "fleet": fleet})

    def _session_of(self, request: Request) -> Session | None:
        return self._sessions.find(request.cookies.get(COOKIE, ""), self._clock.now())

    async def _note(
        self, who: str, what: str, detail: str = "", kind: AuditKind = AuditKind.OPERATOR
    ) -> None:
        at = self._clock.wall(self._clock.now()).timestamp()
        await self._audit.add(AuditEntry(at, who, what, detail, kind))


def _refused(status: int, reason: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"reason": reason}, status, headers)


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a request; empty where it is none, or larger than MAX_BODY."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            return {}
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _source(request: Request) -> str:
    """The address that tries are counted by: of a proxy in front, the proxy's."""
    return source_of(request.client.host) if request.client else "?"


def _is_tls(request: Request) -> bool:
    """Whether the browser speaks TLS, to us or to the proxy in front; a proxy that lies about it
    only makes the cookie more careful."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))


def _nothing() -> None:
    pass
