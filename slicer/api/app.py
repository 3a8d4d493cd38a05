"""The ASGI app: requests received within limits, answered with HTTP 200, and logged."""

import asyncio
import logging
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import inf

from starlette.applications import Starlette
from starlette.datastructures import Address
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from slicer.api.actions import Answer
from slicer.api.counters import ApiCounters
from slicer.api.dispatch import ApiSettings, Dispatcher
from slicer.api.errors import (
    INTERNAL,
    UNREADABLE,
    ApiError,
    code_of,
    message_of,
    status_of,
)
from slicer.api.health import health_routes
from slicer.api.schema import ACTIONS, AUDIO_SYNC, MAX_AUDIO_TEXT
from slicer.api.signature import Message
from slicer.errors import shown
from slicer.fleet.limits import SharedLimits
from slicer.service.audit import AuditEntry, AuditKind
from slicer.service.order import Application, OrderTaker

MAX_DRAIN = 16 * 1024 * 1024
"""Bytes of a body beyond the limit that are read and dropped, so that its sender hears why."""
MAX_QUERY = 32 * 1024
"""Largest query, in bytes, as TRTC has it."""

MAX_FILE_BODY = MAX_AUDIO_TEXT + 4_096
"""Largest body of a request that brings a file."""
MAX_FILES = 4
"""Such requests that are carried out at a time."""

UNSIGNED = ("AuthFailure", "InvalidParameter.UserSig")
"""What codes begin with that refuse a signature."""
TELL_EVERY = 60.0
"""Seconds between two lines of the log that tell of one such code."""

METHOD_NOT_ALLOWED = 405
ALLOW = {"Allow": "GET, OPTIONS, POST"}
"""Of the API; HEAD is not there: a GET may carry an action out."""

log = logging.getLogger(__name__)

Note = Callable[[AuditEntry], None]


def make_app(  # noqa: PLR0913 (each is one part of the process, made where all are)
    apps: Mapping[int, Application],
    orders: OrderTaker,
    settings: ApiSettings | None = None,
    busy: Callable[[], str] = lambda: "",
    counters: ApiCounters | None = None,
    beside: Sequence[BaseRoute] = (),
    *,
    note: Note | None = None,
    shared: SharedLimits | None = None,
    now: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> Starlette:
    """The app over these applications. *busy*: why no orders are taken, or nothing, for
    `GET /readyz`; *counters*: where its answers are counted; *beside*: what else is served at this
    address; *note*: is told what the audit keeps; *shared*: limits that other copies have, too;
    *now* is UTC in seconds, *monotonic* seconds that never step back.

    Raises BadInput where an application cannot be served as it is configured.
    """
    settings, note = settings or ApiSettings(), note or _nowhere
    dispatcher = Dispatcher(apps, orders, settings, note, shared, now=now, monotonic=monotonic)
    counters = counters or ApiCounters()
    endpoint = Endpoint(dispatcher, settings, counters, note, now, monotonic)
    app = Starlette(routes=[*health_routes(busy), *beside, Route("/{path:path}", endpoint)])
    app.state.dispatcher = dispatcher
    return app


def replace_apps(app: Starlette, apps: Mapping[int, Application]) -> None:
    """Have an app of `make_app` serve these applications from here on. Raises BadInput."""
    dispatcher: Dispatcher = app.state.dispatcher
    dispatcher.replace(apps)


class Endpoint:
    """All of the API but its health, as an ASGI app."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        settings: ApiSettings,
        counters: ApiCounters,
        note: Note,
        now: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._dispatcher, self._settings, self._counters = dispatcher, settings, counters
        self._note, self._now, self._monotonic = note, now, monotonic
        self._files = 0
        self._refusals: Counter[str] = Counter()
        self._told: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.method == "OPTIONS" and scope["path"] == "/":
            await Response(status_code=204, headers=ALLOW)(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = str(uuid.uuid4())
        name = request.headers.get("x-tc-action", "")
        try:
            answer, code, status = await self._answer(request), "ok", 200
        except ClientDisconnect:
            return
        except Exception as error:
            code, status = code_of(error), status_of(error)
            if code == INTERNAL:
                # The words of an unforeseen error may quote the request, and so a secret.
                text, about = "%s: %s", {"request": request_id}
                log.error(text, request_id, _where(error), extra=about)  # noqa: TRY400
            answer = {"Error": {"Code": code, "Message": message_of(error)}}
        took = time.perf_counter() - began
        self._counters.add(name, code, took)
        known = name if name in ACTIONS else "unknown action"
        about = {"request": request_id}
        if code.startswith(UNSIGNED):
            self._refused(code, request.client, about)
        log.debug("%s %s: %s in %.1f ms", request_id, known, code, took * 1000, extra=about)
        response = JSONResponse({"Response": {**answer, "RequestId": request_id}}, status)
        if status == METHOD_NOT_ALLOWED:
            response.headers.update(ALLOW)
        await response(scope, receive, send)

    def _refused(self, code: str, client: Address | None, about: Mapping[str, str]) -> None:
        """Log and note the first one and then one a minute: who has no key fills no disk."""
        self._refusals[code] += 1
        now = self._monotonic()
        if now - self._told.get(code, -inf) >= TELL_EVERY:
            self._told[code] = now
            text = "! signature refused: %s, from %s (%d so far)"
            source, count = client.host if client else "nowhere", self._refusals[code]
            log.warning(text, code, source, count, extra=about)
            detail, at = f"{code} ({count} so far)", self._now()
            entry = AuditEntry(at, source, "API request refused", detail, AuditKind.REFUSED)
            self._note(entry)

    async def _answer(self, request: Request) -> Answer:
        """Answer, with no more bodies at a time that hold files than MAX_FILES."""
        if request.headers.get("x-tc-action") != AUDIO_SYNC:
            return await self._within_deadline(request, self._settings.max_body)
        if self._files >= MAX_FILES:
            raise ApiError("RequestLimitExceeded", f"allowed: {MAX_FILES} files at a time")
        self._files += 1
        try:
            return await self._within_deadline(request, MAX_FILE_BODY)
        finally:
            self._files -= 1

    async def _within_deadline(self, request: Request, most: int) -> Answer:
        message: Message | None = None
        timeout = asyncio.timeout(self._settings.deadline)
        try:
            async with timeout:
                message = await self._receive(request, most)
                source = request.client.host if request.client else ""
                return await self._dispatcher.answer(message, source)
        except TimeoutError:
            if not timeout.expired():
                raise
            seconds = f"{self._settings.deadline:g} s"
            if message is None:
                raise ApiError(UNREADABLE, f"body: not here after {seconds}") from None
            raise ApiError("FailedOperation", f"not done after {seconds}: given up") from None

    async def _receive(self, request: Request, most: int) -> Message:
        """The whole request, counted while it comes. Raises ApiError."""
        path = request.scope["path"]
        if path != "/":
            raise ApiError(UNREADABLE, f"path: got {shown(path)}; allowed: /", 404)
        if request.method not in ("GET", "POST"):
            text = f"method {request.method}: allowed: GET, POST"
            raise ApiError("UnsupportedProtocol", text, METHOD_NOT_ALLOWED)
        query = request.scope["query_string"].decode("latin-1")
        body = await _body(request, most, len(query))
        return Message(request.method, "/", query, _headers(request), body)


def _nowhere(_: AuditEntry) -> None:
    pass


async def _body(request: Request, most: int, query: int) -> bytes:
    """The body, which may have so many bytes. Raises ApiError."""
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= most:
            body += chunk
        elif size > MAX_DRAIN:
            break
    if size > most or query > MAX_QUERY:
        text = f"allowed: a body of {most} bytes, a query of {MAX_QUERY}"
        raise ApiError("RequestSizeLimitExceeded", text)
    return bytes(body)


def _headers(request: Request) -> dict[str, str]:
    """Names in lower case; one given twice is joined, so that no signature over either fits."""
    found: dict[str, str] = {}
    for name, value in request.headers.items():
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _where(error: BaseException) -> str:
    """An unforeseen error's kinds and places, without its words."""
    lines: list[str] = []
    at: BaseException | None = error
    while at is not None:
        places = traceback.extract_tb(at.__traceback__)
        path = " > ".join(f"{place.filename}:{place.lineno} {place.name}" for place in places)
        lines.append(f"{type(at).__name__} at {path}")
        at = at.__cause__ or at.__context__
    return "; from ".join(lines)
