"""The address of a room of Janus, as its URL says it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self
from urllib.parse import SplitResult, unquote

from slicer.errors import BadInput
from slicer.rooms.janus.settings import JanusSettings
from slicer.rooms.options import options
from slicer.rooms.redaction import shown

OPTIONS = ("api_secret", "token", "pin", "transport", "path")
_ROOM = re.compile(r"[^/\x00-\x1f\x7f]{1,128}")
_PATH = re.compile(r"/[A-Za-z0-9._~/-]{0,200}")
_ALLOWED = (
    "janus://HOST[:PORT]/ROOM, or januss:// for TLS, with a room's id of 1 to 128 characters, and "
    f"after ? any of {', '.join(OPTIONS)} once: transport is websocket or http, path /a/path"
)


class Carrier(StrEnum):
    """What carries Janus' messages; both are its own ways, on ports and paths of their own."""

    WEBSOCKET = "websocket"
    HTTP = "http"


_PORTS = {
    (Carrier.WEBSOCKET, False): 8188,
    (Carrier.WEBSOCKET, True): 8989,
    (Carrier.HTTP, False): 8088,
    (Carrier.HTTP, True): 8089,
}
_SCHEMES = {
    (Carrier.WEBSOCKET, False): "ws",
    (Carrier.WEBSOCKET, True): "wss",
    (Carrier.HTTP, False): "http",
    (Carrier.HTTP, True): "https",
}
_PATHS = {Carrier.WEBSOCKET: "/", Carrier.HTTP: "/janus"}


@dataclass(frozen=True, slots=True)
class JanusAddress:
    """A server, a room on it and what both ask for. *port*, *path*: None for Janus' own.

    *carriers*: in the order in which they are tried.
    """

    host: str
    port: int | None
    tls: bool
    room: str
    carriers: tuple[Carrier, ...]
    path: str | None = None
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    pin: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: SplitResult, settings: JanusSettings) -> Self:
        """Read a room's URL; it comes before the settings. Raises BadInput without a secret."""
        room = unquote(url.path[1:])
        query = options(url, OPTIONS)
        path, transport = query.get("path"), query.get("transport")
        wrong = not url.hostname or url.username is not None or bool(url.fragment)
        wrong = wrong or not _ROOM.fullmatch(room)
        wrong = wrong or (path is not None and not _PATH.fullmatch(path))
        if wrong or (transport is not None and transport not in set(Carrier)):
            raise BadInput("room", shown(url.geturl()), _ALLOWED)
        credentials = {
            "apisecret": query.get("api_secret", settings.api_secret),
            "token": query.get("token", settings.token),
        }
        return cls(
            str(url.hostname),
            url.port,
            url.scheme == "januss",
            room,
            tuple(Carrier) if transport is None else (Carrier(transport),),
            path,
            {name: value for name, value in credentials.items() if value},
            query.get("pin", settings.pin),
        )

    def url(self, carrier: Carrier) -> str:
        """Where Janus listens for this carrier; without secrets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = self.port or _PORTS[carrier, self.tls]
        path = self.path or _PATHS[carrier]
        return f"{_SCHEMES[carrier, self.tls]}://{host}:{port}{path}"
