"""Which room an application's room id names, and whether two applications could have one room.

An application has a list of patterns, each with the URL of its rooms. In a pattern `*` is any text;
in the URL `{room}` is the room id, percent-encoded, and `{app}` the application's number. The first
pattern that fits is taken.
"""

import contextlib
import ipaddress
import posixpath
import re
import socket
from collections.abc import Iterator
from urllib.parse import quote, unquote, urlsplit

from slicer.rooms import CONNECTORS

RoomPatterns = tuple[tuple[str, str], ...]

_ROOM, _APP = "{room}", "{app}"
_ANY = "*"
_LOCAL = "127.0.0.1"
_LOCAL_NAMES = {"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"}


def room_url(app: int, patterns: RoomPatterns, room_id: str) -> str | None:
    """The URL of the room that this id names, or None where no pattern fits.

    An id that could lead out of the folder that a URL names has no room: `.`, `..`, and whatever
    holds a slash or a backslash. TRTC allows no slash either. Nor has one that has to be encoded,
    where the URL has `{room}` in its options: some are parts of other URLs, of which `%`, `?` and
    `#` would make something else.
    """
    if room_id in {".", ".."} or any(separator in room_id for separator in "/\\\0"):
        return None
    for pattern, url in patterns:
        if fits(pattern, room_id):
            encoded = quote(room_id, safe="")
            in_options = _ROOM in "".join(re.split(r"[?#]", url, maxsplit=1)[1:])
            return None if in_options and encoded != room_id else _filled(url, app, encoded)
    return None


def example_url(url: str) -> str:
    """What a pattern's URL is for some application and room."""
    return _filled(url, 1, "1")


def fits(pattern: str, text: str) -> bool:
    """Whether a pattern of texts and `*` fits a whole text, such as a room id."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split(_ANY))), text, re.S) is not None


def common_room(
    app: int, patterns: RoomPatterns, other: int, others: RoomPatterns
) -> tuple[str, str] | None:
    """A pattern of each by which two applications could name the same room, or None.

    The order of the patterns is not looked at: one that an earlier one hides counts as well.
    """
    theirs = list(_places(other, others))
    for pattern, place in _places(app, patterns):
        for their_pattern, their_place in theirs:
            if _meet(place, their_place):
                return pattern, their_pattern
    return None


def _filled(url: str, app: int, room: str) -> str:
    return url.replace(_APP, str(app)).replace(_ROOM, room)


def _places(app: int, patterns: RoomPatterns) -> Iterator[tuple[str, str]]:
    """Each pattern, and the pattern of the places that its rooms are at."""
    for pattern, url in patterns:
        yield pattern, _place(_filled(url, app, quote(pattern, safe=_ANY)))


def _place(url: str) -> str:
    """A room URL in its one spelling, as a pattern.

    Without options, which change how a room is read and not whose it is, nor whether it is reached
    by TLS. A URL without a port stands for every port of its host: it depends on the room which
    one it is.
    """
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:  # it can be no room's, which is said where the room is opened
        return url
    host = _host(unquote(split.hostname or ""))
    # POSIX leaves two slashes at the beginning to the system; ours reads them as one.
    path = posixpath.normpath("/" + unquote(split.path).lstrip("/"))
    plain = split.scheme.removesuffix("s")
    scheme = plain if plain in CONNECTORS else split.scheme
    return f"{scheme}://{host} {_ANY if port is None else port} {path}"


def _host(host: str) -> str:
    """A host in its one spelling, as resolvers read it: also `127.1`, an IPv4 address within IPv6
    and a name beyond ASCII. This machine's own are one, whether by name, IPv4 or IPv6."""
    with contextlib.suppress(UnicodeError):  # a pattern of names stays one
        host = host if _ANY in host else host.encode("idna").decode()
    host = host.lower().rstrip(".")
    if host in _LOCAL_NAMES or host.endswith(".localhost"):
        return _LOCAL
    with contextlib.suppress(OSError, ValueError):
        host = socket.inet_ntoa(socket.inet_aton(host))
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        if isinstance(address, ipaddress.IPv6Address):
            return _LOCAL if address.is_loopback else str(address.ipv4_mapped or address)
    return host


def _meet(one: str, other: str) -> bool:
    """Whether some text fits both patterns. `*` is any text without a slash.

    The two are read side by side; a state is how far each has been read. Where one stands at a `*`,
    that may end, or take the next letter of the other; letters go together if they are the same.
    """
    states, seen = [(0, 0)], set[tuple[int, int]]()
    while states:
        at = states.pop()
        if at in seen:
            continue
        seen.add(at)
        first, second = one[at[0] : at[0] + 1], other[at[1] : at[1] + 1]
        if not first and not second:
            return True
        if first == _ANY:
            states.append((at[0] + 1, at[1]))
            if second not in {"", "/"}:
                states.append((at[0], at[1] + 1))
        if second == _ANY:
            states.append((at[0], at[1] + 1))
            if first not in {"", "/"}:
                states.append((at[0] + 1, at[1]))
        if first == second != _ANY:
            states.append((at[0] + 1, at[1] + 1))
    return False
