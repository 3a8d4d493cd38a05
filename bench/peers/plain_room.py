"""A room of anchors that send plain RTP, or SRTP with known keys, each to a port of its own.

`plain://127.0.0.1:PORT/ROOM?anchors=16&codec=h264&srtp=0&first=0`: anchor n, of those from *first*
on, sends audio and video to PORT + 4 n, from the port above, where it hears our RTCP. The product
has no such room; here it stands in for the way in, so that all else (engine, cutting, files, store)
is the product's own.
"""

import socket
from collections import Counter
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, parse_qs

from bench.peers.commands import RECEIVE_BUFFER
from bench.peers.sender import PAYLOAD_TYPES
from bench.peers.sending import LOOPBACK, SRTP_KEY, SRTP_PROFILE
from slicer.rooms import Context, Listener
from slicer.rtp.parameters import H264, OPUS, VP8, Kind, RtpParameters
from slicer.slicing.facts import AnchorJoined, RoomEntered, TrackPublished
from slicer.slicing.outputs import Subscribe, TrackKey
from slicer.webrtc.link import Address, Link, SrtpKeys
from slicer.webrtc.path import media_path

PORT_STEP = 4


@dataclass(frozen=True)
class Way:
    """What the URL says; *port*: that of anchor 0."""

    port: int
    anchors: int
    codec: str
    srtp: bool
    first: int = 0

    @classmethod
    def parse(cls, url: SplitResult) -> "Way":
        """Read a URL that this benchmark wrote."""
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        assert url.port is not None
        anchors, first = int(query["anchors"]), int(query["first"])
        return cls(url.port, anchors, query["codec"], query["srtp"] == "1", first)

    def url(self) -> str:
        """The same as text."""
        query = f"anchors={self.anchors}&codec={self.codec}&srtp={int(self.srtp)}"
        query += f"&first={self.first}"
        return f"plain://{LOOPBACK}:{self.port}/bench?{query}"

    def parted(self, most: int) -> list["Way"]:
        """Rooms of at most so many anchors that have these between them."""
        end = self.first + self.anchors
        return [
            replace(self, anchors=min(most, end - first), first=first)
            for first in range(self.first, end, most)
        ]


def parameters(codec: str) -> list[RtpParameters]:
    """What would have been negotiated."""
    video = {"h264": H264, "vp8": VP8}[codec]
    feedback = frozenset({"nack", "nack pli"})
    return [
        RtpParameters(Kind.AUDIO, {PAYLOAD_TYPES["opus"]: OPUS}),
        RtpParameters(Kind.VIDEO, {PAYLOAD_TYPES[codec]: video}, feedback=feedback),
    ]


class PlainRooms:
    """The connector."""

    def __init__(self, context: Context) -> None:
        """Nothing of it is needed."""

    @property
    def connections(self) -> int:
        """Not looked at here."""
        return 0

    @property
    def counters(self) -> Counter[str]:
        """Not looked at here."""
        return Counter()

    def check(self, url: SplitResult) -> None:
        """Nothing can be wrong."""

    async def open(self, url: SplitResult, robot: str, listen: Listener) -> "PlainRoom":
        """One room for each robot."""
        return PlainRoom(Way.parse(url), listen)

    async def close(self) -> None:
        """Nothing is shared."""


class PlainRoom:
    """The anchors of one robot."""

    def __init__(self, way: Way, listen: Listener) -> None:
        self._way = way
        self._listen: Listener | None = listen
        self._anchors: dict[str, PlainAnchor] = {}

    async def enter(self) -> None:
        """Listen to all ports, and tell of their anchors."""
        assert self._listen is not None
        self._listen(RoomEntered())
        for number in range(self._way.first, self._way.first + self._way.anchors):
            name = f"anchor{number}"
            port = self._way.port + PORT_STEP * number
            self._anchors[name] = PlainAnchor(name, port, self._way, self._listen)
            self._listen(AnchorJoined(name))
            for kind in Kind:
                self._listen(TrackPublished(name, kind))

    def subscribe(self, subscribe: Subscribe) -> None:
        """Cut this track."""
        self._anchors[subscribe.track.anchor].media.attach(subscribe)

    def unsubscribe(self, track: TrackKey) -> None:
        """Hand over the track's last cut."""
        self._anchors[track.anchor].media.detach(track)

    async def leave(self) -> None:
        """Close the sockets."""
        self._listen = None
        for anchor in self._anchors.values():
            anchor.media.close()
        self._anchors.clear()


class PlainAnchor:
    """One socket and its media."""

    def __init__(self, name: str, port: int, way: Way, listen: Listener) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.bind((LOOPBACK, port))
        sock.setblocking(False)
        keys = SrtpKeys(SRTP_PROFILE, SRTP_KEY, SRTP_KEY) if way.srtp else None
        self.media = media_path().open(listen)
        self.media.set_sections(name, parameters(way.codec))
        self.media.carry(Link(sock, (LOOPBACK, port + 1), keys, None, _ignore))


def _ignore(_data: bytes, _address: Address) -> bool:
    """Nothing but media comes here."""
    return False
