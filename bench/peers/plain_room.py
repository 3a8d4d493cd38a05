"""A room of anchors that send plain RTP, or SRTP with known keys, each to a port of its own.

`plain://127.0.0.1:PORT/ROOM?anchors=16&codec=h264&srtp=0`: anchor n sends sound and video to PORT +
4 n, from the port above, where it hears our RTCP. The product has no such room; here it stands in
for the way in, so that all else (engine, cutting, files, store) is the product's own.
"""

import socket
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import SplitResult, parse_qs

import pylibsrtp

from bench.peers.commands import RECEIVE_BUFFER
from bench.peers.sender import PAYLOAD_TYPES
from bench.peers.sending import LOOPBACK, SRTP_KEY, SRTP_PROFILE
from slicer.clock import Clock
from slicer.hot import Receiver
from slicer.rooms import Context, Listener
from slicer.rtp.parameters import H264, OPUS, VP8, Kind, RtpParameters
from slicer.rtp.srtp import unprotect
from slicer.slicing.facts import AnchorJoined, RoomEntered, TrackPublished
from slicer.slicing.outputs import Cut, Subscribe, TrackKey
from slicer.webrtc.carrier import Address, Link, SrtpKeys
from slicer.webrtc.drain import Datagram, Drain
from slicer.webrtc.plane import PlanePump, running_plane
from slicer.webrtc.pump import Pump

PORT_STEP = 4


@dataclass(frozen=True)
class Way:
    """What the URL says."""

    port: int
    anchors: int
    codec: str
    srtp: bool

    @classmethod
    def parse(cls, url: SplitResult) -> "Way":
        """Read a URL that this benchmark wrote."""
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        assert url.port is not None
        return cls(url.port, int(query["anchors"]), query["codec"], query["srtp"] == "1")

    def url(self) -> str:
        """The same as text."""
        query = f"anchors={self.anchors}&codec={self.codec}&srtp={int(self.srtp)}"
        return f"plain://{LOOPBACK}:{self.port}/bench?{query}"


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
        self._clock = context.clock

    def check(self, url: SplitResult) -> None:
        """Nothing can be wrong."""

    async def open(self, url: SplitResult, robot: str, listen: Listener) -> "PlainRoom":
        """One room for each robot."""
        return PlainRoom(Way.parse(url), self._clock, listen)

    async def close(self) -> None:
        """Nothing is shared."""


class PlainRoom:
    """The anchors of one robot."""

    def __init__(self, way: Way, clock: Clock, listen: Listener) -> None:
        self._way, self._clock = way, clock
        self._listen: Listener | None = listen
        self._anchors: dict[str, PlainAnchor] = {}

    async def enter(self) -> None:
        """Listen to all ports, and tell of their anchors."""
        assert self._listen is not None
        self._listen(RoomEntered())
        for number in range(self._way.anchors):
            name = f"anchor{number}"
            port = self._way.port + PORT_STEP * number
            self._anchors[name] = PlainAnchor(name, port, self._way, self._clock, self._listen)
            self._listen(AnchorJoined(name))
            for kind in Kind:
                self._listen(TrackPublished(name, kind))

    def subscribe(self, subscribe: Subscribe) -> None:
        """Cut this track."""
        self._anchors[subscribe.track.anchor].pump.attach(subscribe)

    def unsubscribe(self, track: TrackKey) -> None:
        """Hand over the track's last cut."""
        self._anchors[track.anchor].pump.detach(track)

    async def leave(self) -> None:
        """Close the sockets."""
        self._listen = None
        for anchor in self._anchors.values():
            anchor.close()
        self._anchors.clear()


class PlainAnchor:
    """One socket and its receiver."""

    def __init__(self, name: str, port: int, way: Way, clock: Clock, listen: Listener) -> None:
        self._port = port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._socket.bind((LOOPBACK, port))
        self._socket.setblocking(False)
        self._counters: Counter[str] = Counter()
        self._in: Any = _session(True) if way.srtp else None
        self._out: Any = _session(False) if way.srtp else None
        self._receiver = Receiver(name, parameters(way.codec), ssrc=port)
        self._deliver = partial(_tell, listen)
        self._drain: Drain | None = None
        self.pump: Pump | PlanePump = self._native_pump(way) or self._pump(clock)

    def close(self) -> None:
        """No more of this anchor."""
        self.pump.close()
        if self._drain is not None:
            self._drain.close()

    def _pump(self, clock: Clock) -> Pump:
        self._drain = Drain(self._socket, self._take)
        return Pump(self._receiver, clock, self._transmit, self._deliver)

    def _native_pump(self, way: Way) -> PlanePump | None:
        """The plane reads the socket, where there is one."""
        plane = running_plane()
        if plane is None:
            return None
        keys = SrtpKeys(SRTP_PROFILE, SRTP_KEY, SRTP_KEY) if way.srtp else None
        pump = PlanePump(plane, self._receiver, self._deliver)
        return pump.carry(Link(self._socket, self._sender, keys, None, _ignore))

    @property
    def _sender(self) -> tuple[str, int]:
        return LOOPBACK, self._port + 1

    def _take(self, batch: list[Datagram]) -> None:
        datagrams = [data for data, _ in batch]
        if self._in is not None:
            datagrams = unprotect(self._in, datagrams, pylibsrtp.Error, self._counters)
        self.pump.receive(datagrams)

    def _transmit(self, data: bytes) -> None:
        protected = data if self._out is None else self._out.protect_rtcp(data)
        self._socket.sendto(protected, self._sender)


def _ignore(data: bytes, address: Address) -> None:
    """Nothing but media comes here."""


def _tell(listen: Listener, cut: Cut) -> None:
    listen(cut)


def _session(inbound: bool) -> Any:
    policy = pylibsrtp.Policy
    kind = policy.SSRC_ANY_INBOUND if inbound else policy.SSRC_ANY_OUTBOUND
    return pylibsrtp.Session(
        policy(SRTP_KEY, kind, srtp_profile=policy.SRTP_PROFILE_AES128_CM_SHA1_80)
    )
