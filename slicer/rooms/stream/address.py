"""The address of a stream: what is connected to, and whose media it is.

The path and the query of a stream's URL are its server's, so our own options are in the fragment,
which no server gets: `rtmp://HOST/live/ada#anchor=ada`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Self
from urllib.parse import SplitResult, urlunsplit

from slicer.errors import BadInput
from slicer.rooms.options import options
from slicer.rooms.redaction import shown
from slicer.rooms.whip.address import check_user

ANCHOR = "stream"
"""The anchor's id where the URL names none."""


class Protocol(Enum):
    """How a stream comes; the value is FFmpeg's name of the format."""

    RTMP = "flv"
    RTSP = "rtsp"
    HLS = "hls"
    FLV = "live_flv"


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """*url*: as FFmpeg or an HTTP client takes it; *anchor*: the id of the one who publishes."""

    protocol: Protocol
    url: str = field(repr=False)
    host: str
    port: int
    anchor: str = ANCHOR

    @classmethod
    def parse(cls, url: SplitResult) -> Self:
        """Read `SCHEME://HOST[:PORT]/PATH[?QUERY][#anchor=ID]`. Raises BadInput."""
        protocol, scheme, port = _SCHEMES[url.scheme]
        if not url.hostname or url.path in {"", "/"}:
            allowed = f"{url.scheme}://HOST[:PORT]/PATH, and #anchor=ID after it"
            raise BadInput("room", shown(url.geturl()), allowed)
        if any(ord(character) < 0x21 or ord(character) == 0x7F for character in url.geturl()):
            raise BadInput(
                "room", shown(url.geturl()), "a URL without spaces and control characters"
            )
        ours = options(url._replace(query=url.fragment, fragment=""), {"anchor"})
        anchor = ours.get("anchor", ANCHOR)
        check_user("room: anchor", anchor)
        theirs = urlunsplit((scheme, url.netloc, url.path, url.query, ""))
        return cls(protocol, theirs, url.hostname, url.port or port, anchor)


# Our scheme → the protocol, the scheme that its servers know, and their port.
_SCHEMES: Mapping[str, tuple[Protocol, str, int]] = {
    "rtmp": (Protocol.RTMP, "rtmp", 1935),
    "rtmps": (Protocol.RTMP, "rtmps", 443),
    "rtsp": (Protocol.RTSP, "rtsp", 554),
    "rtsps": (Protocol.RTSP, "rtsps", 322),
    "hls": (Protocol.HLS, "http", 80),
    "hlss": (Protocol.HLS, "https", 443),
    "flv": (Protocol.FLV, "http", 80),
    "flvs": (Protocol.FLV, "https", 443),
}
