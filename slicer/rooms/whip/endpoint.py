"""The HTTP endpoints of WHIP (RFC 9725): requests become calls, errors become problem details."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from slicer.errors import (
    BadInput,
    LimitReached,
    RoomError,
    SlicerError,
    TaskNotExist,
    Unauthorized,
)
from slicer.http import application, resource
from slicer.rooms.whip.address import check_user

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
PROBLEM = "application/problem+json"
BODY_TIMEOUT = 10.0
"""Seconds a request's body may take."""
RETRY_AFTER = "5"
TICKET = "ticket."
"""How a ticket begins: leave to publish for whoever comes by a redirect, in the query of its URL.
Browsers leave Authorization out on their way to another origin (Fetch 4.4); RFC 9725 4.7 has such a
token in the URL."""

_STATUS: Mapping[type[SlicerError], int] = {
    BadInput: 400,
    Unauthorized: 401,
    TaskNotExist: 404,
    LimitReached: 503,
    RoomError: 503,
}
_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": RETRY_AFTER}}


@dataclass(frozen=True, slots=True)
class Published:
    """A new session: its name in the URL, the entity-tag of its ICE session, the SDP answer, and
    the values of `Link` headers that name ICE servers (RFC 9725 4.6)."""

    session: str
    etag: str
    answer: str
    ice_servers: Sequence[str] = ()


class Sessions(Protocol):
    """The sessions the endpoints work on. Raises TaskNotExist for an unknown room or session."""

    def authorize(self, room: str, user: str, bearer: str | None) -> str | None:
        """Gives the URL to publish at where another process has the room. Raises Unauthorized and
        RoomError."""
        ...

    async def publish(self, room: str, user: str, offer: str, address: str) -> Published:
        """*address*: where the request came from; empty where that is unknown."""
        ...

    def etag(self, room: str, user: str, session: str) -> str: ...

    async def trickle(self, session: str, fragment: str) -> bool:
        """Take candidates; False for an ICE restart."""
        ...

    async def restart(self, session: str, fragment: str) -> tuple[str, str] | None:
        """Restart ICE: the new entity-tag and our fragment; None where that cannot be."""
        ...

    async def unpublish(self, session: str) -> None: ...


class WhipApp:
    """The WHIP endpoints as an ASGI application, `app`, below the path *at*."""

    def __init__(
        self, sessions: Sessions, allow_origin: str, max_body: int, at: str = "/whip"
    ) -> None:
        self._sessions = sessions
        self._max_body = max_body
        endpoint = at + "/{room}/{user}"
        cors = Middleware(
            CORSMiddleware,
            allow_origins=[allow_origin],
            allow_methods=["POST", "PATCH", "DELETE"],
            allow_headers=["authorization", "content-type", "if-match"],
            expose_headers=["location", "etag", "link", "accept-patch", "retry-after"],
        )
        self.app = application(
            routes=[
                resource(endpoint, {"POST": self._post}, {"Accept-Post": SDP}),
                resource(
                    endpoint + "/{session}",
                    {"PATCH": self._patch, "DELETE": self._delete},
                    {"Accept-Patch": FRAGMENT},
                ),
            ],
            middleware=[cors],
            exception_handlers={HTTPException: _refuse, SlicerError: _explain},
        )

    async def _post(self, request: Request) -> Response:
        _require_type(request, SDP)
        self._authorized(request)
        offer = await self._body(request)
        # The room may have become another application's, or gone elsewhere, while the body came.
        room, user, elsewhere = self._authorized(request)
        if elsewhere is not None:  # RFC 9725 4.5; it holds for this moment alone
            if "ticket" in request.query_params:  # two that lead to each other would do so for ever
                raise RoomError(f"room {room} is on its way to another process: try again")
            headers = {"Location": elsewhere, "Cache-Control": "no-store"}
            return Response(status_code=307, headers=headers)
        address = request.client.host if request.client is not None else ""
        published = await self._sessions.publish(room, user, offer, address)
        headers = {
            # Relative to the request (RFC 9110 10.2.2): it holds below any prefix of a proxy.
            "Location": f"{user}/{published.session}",
            "ETag": published.etag,
            "Accept-Patch": FRAGMENT,
        }
        response = Response(published.answer, 201, headers, SDP)
        for link in published.ice_servers:
            response.headers.append("Link", link)
        return response

    async def _patch(self, request: Request) -> Response:
        _require_type(request, FRAGMENT)
        room, user, _ = self._authorized(request)
        session = request.path_params["session"]
        etag = self._sessions.etag(room, user, session)
        wanted = request.headers.get("if-match", "*")
        if wanted != "*" and etag not in [one.strip() for one in wanted.split(",")]:
            raise HTTPException(412, "If-Match names another ICE session")
        fragment = await self._body(request)
        if await self._sessions.trickle(session, fragment):
            return Response(status_code=204, headers={"ETag": etag})
        restarted = await self._sessions.restart(session, fragment)
        if restarted is None:
            raise HTTPException(422, "ICE cannot restart here: publish again")
        etag, ours = restarted
        return Response(ours, 200, {"ETag": etag}, FRAGMENT)

    async def _delete(self, request: Request) -> Response:
        room, user, _ = self._authorized(request)
        session = request.path_params["session"]
        self._sessions.etag(room, user, session)
        await self._sessions.unpublish(session)
        return Response(status_code=200)

    def _authorized(self, request: Request) -> tuple[str, str, str | None]:
        """The room and the user of the URL, once the bearer token or the ticket allows them; and
        where else to publish, if so."""
        room, user = request.path_params["room"], request.path_params["user"]
        check_user("user", user)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else None
        if bearer is None and request.method == "POST":
            ticket = request.query_params.get("ticket", "")
            bearer = ticket if ticket.startswith(TICKET) else None
        return room, user, self._sessions.authorize(room, user, bearer)

    async def _body(self, request: Request) -> str:
        """The body as text, counted as it arrives: Content-Length may be missing or wrong."""
        too_large = HTTPException(413, f"the body may have at most {self._max_body} bytes")
        if int(request.headers.get("content-length", "0")) > self._max_body:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self._max_body:
                        raise too_large
        except TimeoutError:
            raise HTTPException(408, f"the body took more than {BODY_TIMEOUT:g} s") from None
        # A name of a session may be in another charset (RFC 8866 6.10); what counts here is ASCII.
        return body.decode(errors="replace")


def _require_type(request: Request, wanted: str) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != wanted:
        raise HTTPException(415, f"Content-Type must be {wanted}")


async def _refuse(_: Request, error: Exception) -> Response:
    """What HTTP itself refuses: method, path, type, size."""
    refused = error if isinstance(error, HTTPException) else HTTPException(500)
    return _problem(refused.status_code, {"detail": refused.detail}, refused.headers or {})


async def _explain(_: Request, error: Exception) -> Response:
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)
    details: dict[str, object] = {"detail": str(error)}
    if isinstance(error, BadInput):
        details |= {"field": error.field, "got": error.got, "allowed": error.allowed}
        # RFC 9110 15.5.21: the offer is understood, and yet nothing of it can be taken.
        status = 422 if error.field == "media" else status
    return _problem(status, details, _HEADERS.get(status, {}))


def _problem(status: int, details: Mapping[str, object], headers: Mapping[str, str]) -> Response:
    """Problem details (RFC 9457)."""
    text = json.dumps({"status": status, **details}, default=str)
    return Response(text, status, dict(headers), PROBLEM)
