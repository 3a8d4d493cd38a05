"""The address of a room on a WHEP server: where its anchors are played, and who says which."""

import base64
import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, quote, unquote, urlsplit

from slicer.errors import BadInput
from slicer.rooms.options import options
from slicer.rooms.redaction import shown
from slicer.rooms.whip.address import check_user

ENDPOINT = "/{room}/{anchor}/whep"
"""Where an anchor is played unless the URL says otherwise: as MediaMTX has it."""
OPTIONS = ("anchors", "bearer", "endpoint", "list", "mediamtx")
_ROOM = re.compile(r"/(?:[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}/)*[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")
_ALLOWED = "whep://HOST[:PORT]/ROOM with one of the options anchors, list and mediamtx"


@dataclass(frozen=True, slots=True)
class WhepAddress:
    """A room on a WHEP server.

    *server*: scheme and authority. *endpoint*: the path of an anchor's endpoint, with `{room}` and
    `{anchor}` to be filled in. Who is there is told by *anchors* (always these), by the JSON list
    at *list_url*, or by the API of MediaMTX at *api_url*; the other two are empty.
    *authorization*: what the URL gives to be sent with each request; it may be empty.
    """

    server: str
    host: str
    port: int
    room: str
    endpoint: str = ENDPOINT
    anchors: tuple[str, ...] = ()
    list_url: str = ""
    api_url: str = ""
    authorization: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: SplitResult) -> Self:
        """Read `whep://HOST[:PORT]/ROOM?…`. Raises BadInput."""
        query = options(url, OPTIONS)
        if not url.hostname or not _ROOM.fullmatch(url.path) or url.fragment:
            raise _refused(url, _ALLOWED)
        ways = [name for name in ("anchors", "list", "mediamtx") if query.get(name)]
        if len(ways) != 1:
            raise _refused(url, f"{_ALLOWED}; here are {len(ways)}")
        scheme = "https" if url.scheme == "wheps" else "http"
        authority = url.netloc.rpartition("@")[2]
        server = f"{scheme}://{authority}"
        endpoint = query.get("endpoint", ENDPOINT)
        if not endpoint.startswith("/") or "{anchor}" not in endpoint:
            raise _refused(url, "endpoint: a path that has {anchor} in it, and may have {room}")
        return cls(
            server,
            url.hostname,
            url.port or (443 if scheme == "https" else 80),
            url.path[1:],
            endpoint,
            _anchors(query.get("anchors", "")),
            _list_url(url, server, query.get("list", "")),
            _api_url(url, scheme, query.get("mediamtx", "")),
            _authorization(url, query.get("bearer", "")),
        )

    def anchor_url(self, anchor: str) -> str:
        """Where this anchor is played."""
        path = self.endpoint.replace("{room}", self.room)
        return self.server + path.replace("{anchor}", quote(anchor, safe=""))


def _refused(url: SplitResult, allowed: str) -> BadInput:
    return BadInput("room", shown(url.geturl()), allowed)


def _anchors(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name for name in text.split(",") if name))
    for name in names:
        check_user("room", name)
    return names


def _list_url(url: SplitResult, server: str, place: str) -> str:
    """The list is the server's own: credentials go with the request."""
    if place and (not place.startswith("/") or place.startswith("//")):
        raise _refused(url, "list: a path on the same server")
    return server + place if place else ""


def _api_url(url: SplitResult, scheme: str, place: str) -> str:
    """`mediamtx=PORT` is the API on the same host; `mediamtx=http://HOST:PORT` any other one."""
    if place.isdecimal() and len(place) < 6 and 0 < int(place) < 65_536:
        host = url.hostname or ""
        return f"{scheme}://[{host}]:{place}" if ":" in host else f"{scheme}://{host}:{place}"
    found = urlsplit(place)
    if place and (found.scheme not in {"http", "https"} or not found.hostname):
        raise _refused(url, "mediamtx: the API's port, or http:// or https:// and HOST:PORT")
    return place.rstrip("/")


def _authorization(url: SplitResult, bearer: str) -> str:
    if bearer:
        return f"Bearer {bearer}"
    if url.username is None:
        return ""
    pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
