"""The address of a room of ours: what makes it one room, however its URL is written."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult

from slicer.errors import BadInput
from slicer.rooms.redaction import shown

_ROOM = re.compile(r"/([A-Za-z0-9_-]{1,64})")
_USER = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.@-]{1,64}")
_ALLOWED = (
    "whip://HOST:PORT/ROOM with an IP address of this host or localhost, a port (0: any free one), "
    "and 1 to 64 of A-Z a-z 0-9 _ - for the room"
)


@dataclass(frozen=True, slots=True)
class RoomAddress:
    """The server that a room is on, and the room's name there. Two rooms of one name on two
    servers are two rooms."""

    host: str
    port: int
    room: str

    @classmethod
    def parse(cls, url: SplitResult) -> Self:
        """Read `whip://HOST:PORT/ROOM`. Raises BadInput."""
        host, room = listen_host(url.hostname or ""), _ROOM.fullmatch(url.path)
        extra = url.query or url.fragment or url.username or url.password
        if room is None or url.port is None or extra or not host:
            raise BadInput("room", shown(url.geturl()), _ALLOWED)
        return cls(host, url.port, room[1])


def check_user(field: str, user: str) -> None:
    """Raise BadInput that names *field* where *user* can be no user id, a publisher's or a
    robot's. Two dots or one are none: they would be folders of the slices' paths."""
    if not _USER.fullmatch(user):
        raise BadInput(field, user, "1 to 64 of A-Z a-z 0-9 _ - . @, but not . or ..")


def listen_host(host: str) -> str:
    """An IP address in its one spelling; `localhost` is 127.0.0.1. Empty for a name."""
    try:
        return "127.0.0.1" if host == "localhost" else str(ipaddress.ip_address(host))
    except ValueError:
        return ""
