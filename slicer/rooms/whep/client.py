"""HTTP to a WHEP server: bounded answers, redirects within the host alone, errors in words."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urljoin, urlsplit

import httpx

from slicer.errors import RoomError
from slicer.rooms.redaction import shown
from slicer.rooms.whep.settings import WhepSettings
from slicer.webrtc.ice_servers import IceServer

SDP = "application/sdp"
TRICKLE = "application/trickle-ice-sdpfrag"
MAX_REDIRECTS = 3
_SAME_METHOD = {307, 308}  # RFC 9110 15.4.8: the request is sent again as it is
_MAX_DETAIL = 200
MAX_ICE_SERVERS = 16
# A link and its parameters (RFC 8288 3); a quoted one may hold commas and semicolons.
_LINK = re.compile(r"""<([^>]*)>((?:\s*;\s*[\w!#$&+\-.^`|~]+\s*=\s*(?:"[^"]*"|[^\s",;]*))*)""")
_PARAMETER = re.compile(r"""([\w!#$&+\-.^`|~]+)\s*=\s*(?:"([^"]*)"|([^\s",;]*))""")


UNANSWERED = 0
"""The status where the server cannot be reached, or does not answer in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered. *status*: UNANSWERED where it did not; *text* then says why.
    *url*: where, after redirects; *headers* in lower case."""

    status: int
    url: str
    headers: Mapping[str, str]
    text: str

    @property
    def reason(self) -> str:
        """The status, and what the server says of it, for people to read."""
        if self.status == UNANSWERED:
            return self.text
        detail = _detail(self.text)
        return f"{self.status} {detail}" if detail else str(self.status)

    @property
    def ice_servers(self) -> tuple[IceServer, ...]:
        """The STUN and TURN servers that it names (RFC 9725 4.6), at most MAX_ICE_SERVERS."""
        found = islice(_LINK.finditer(self.headers.get("link", "")), MAX_ICE_SERVERS)
        return tuple(filter(None, (_ice_server(*link.groups()) for link in found)))

    def resource(self) -> str:
        """The resource that a POST made, on the same host. Raises RoomError."""
        location = self.headers.get("location")
        if location is None:
            raise RoomError("the server's answer has no Location: nothing could be ended")
        return _on_same_host(self.url, location)


class Client:
    """Requests of one room. Raises RoomError for answers too long, and for redirects away."""

    def __init__(self, authorization: str, settings: WhepSettings) -> None:
        self._settings = settings
        headers = {"Authorization": authorization} if authorization else {}
        # A proxy of the environment is not for what an operator wrote into a room's URL.
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=settings.timeout,
            trust_env=False,
            limits=httpx.Limits(max_connections=settings.max_anchors + 1),
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, url: str) -> Answer:
        return await self._ask("GET", url, None, {"Accept": "application/json"})

    async def options(self, url: str) -> Answer:
        return await self._ask("OPTIONS", url, None, {})

    async def post(self, url: str, offer: str) -> Answer:
        return await self._ask("POST", url, offer, {"Content-Type": SDP, "Accept": SDP})

    async def patch(self, url: str, media_type: str, body: str, etag: str = "*") -> Answer:
        return await self._ask("PATCH", url, body, {"Content-Type": media_type, "If-Match": etag})

    async def delete(self, url: str) -> Answer:
        return await self._ask("DELETE", url, None, {})

    async def _ask(
        self, method: str, url: str, body: str | None, headers: Mapping[str, str]
    ) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._once(method, url, body, headers)
            if answer.status not in _SAME_METHOD:
                return answer
            url = _on_same_host(url, answer.headers.get("location", ""))
        raise RoomError(f"more than {MAX_REDIRECTS} redirects, the last to {shown(url)}")

    async def _once(
        self, method: str, url: str, body: str | None, headers: Mapping[str, str]
    ) -> Answer:
        try:
            async with self._http.stream(method, url, content=body, headers=headers) as response:
                data = b""
                async for part in response.aiter_bytes():
                    data += part
                    if len(data) > self._settings.max_body:
                        most = self._settings.max_body
                        raise RoomError(f"{shown(url)} answers more than {most} bytes")
                text = data.decode(errors="replace")
                lower = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status_code, url, lower, text)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            return Answer(UNANSWERED, url, {}, f"{shown(url)} cannot be asked: {reason}")


def _ice_server(url: str, parameters: str) -> IceServer | None:
    """The server of one link (RFC 8288), if it is one."""
    attributes = {
        name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(parameters)
    }
    if attributes.get("rel") != "ice-server":
        return None
    return IceServer((url,), attributes.get("username", ""), attributes.get("credential", ""))


def _on_same_host(url: str, location: str) -> str:
    """Where a location leads; credentials and media go to no other host. Raises RoomError."""
    there = urljoin(url, location)
    ours, theirs = urlsplit(url), urlsplit(there)
    weaker = ours.scheme == "https" and theirs.scheme != "https"
    if theirs.hostname != ours.hostname or theirs.scheme not in {"http", "https"} or weaker:
        raise RoomError(f"{shown(url)} leads to another host, {shown(there)}: not followed")
    return there


def _detail(text: str) -> str:
    """What problem details (RFC 9457) or MediaMTX say, or the beginning of whatever came."""
    try:
        found = json.loads(text)
        detail = found.get("detail") or found.get("error") or found.get("title") or ""
    except (ValueError, AttributeError):
        detail = text
    return " ".join(str(detail).split())[:_MAX_DETAIL]
