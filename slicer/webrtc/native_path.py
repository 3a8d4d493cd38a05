"""The media path in the native plane: a thread without Python reads the sockets.

Theory of operation. A connection's bundle and socket belong to a peer in the plane. The plane's
thread reads, decrypts, cuts, and sends RTCP. Cuts wait in the peer until the loop takes them: the
plane's descriptor becomes readable, `Plane.ready` names the media that have something, and
`collect` delivers it. So the loop wakes for a cut, and not for a packet.

Calls from the loop (`attach`, `detach`, `set_sections`, `close`) take the peer's lock, read first
what is still in the socket, and return their cuts at once, after those that waited. So the order of
cuts is the same as on the loop's own path.

What is neither media nor a STUN check of the pair in use (DTLS, other STUN) comes back through
`collect` to the link's `others`, where ICE and DTLS take it.
"""

import asyncio
import logging
import os
import secrets
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import astuple
from math import inf
from typing import TYPE_CHECKING

from slicer.errors import RoomError
from slicer.hot import IMPLEMENTATION, Bundle
from slicer.rtp.parameters import RtpParameters
from slicer.slicing.keyframe_requests import RequestsOf
from slicer.slicing.outputs import Subscribe, TrackKey, TrackOutput
from slicer.webrtc.counts import PathCounts
from slicer.webrtc.link import Address, Link

if TYPE_CHECKING or IMPLEMENTATION == "native":
    from slicer._hot import Peer, Plane, srtp_missing

logger = logging.getLogger(__name__)


class NativePath:
    """Opens media that a plane reads; its cuts are delivered on the running loop."""

    def __init__(self, plane: "Plane") -> None:
        self._plane = plane
        asyncio.get_running_loop().add_reader(plane.fileno(), _collect, plane)

    @property
    def cpu(self) -> float:
        """Seconds of CPU that the plane's thread has used."""
        return self._plane.cpu

    @property
    def counts(self) -> PathCounts:
        """What the plane has done; a look is a wake-up of its thread."""
        return PathCounts(*self._plane.counts)

    def open(
        self, deliver: Callable[[TrackOutput], None], requests_of: RequestsOf | None = None
    ) -> "NativeMedia":
        """The media of a new connection."""
        return NativeMedia(self._plane, Bundle(secrets.randbits(32), requests_of), deliver)


class NativeMedia:
    """One connection's media in the plane. *deliver* is called on the loop's thread."""

    def __init__(
        self, plane: "Plane", bundle: Bundle, deliver: Callable[[TrackOutput], None]
    ) -> None:
        self._deliver = deliver
        self._on_other: Callable[[bytes, Address], bool] | None = None
        self._proven = -inf  # when what the plane does not read was last proven to be the peer's
        self._peer = Peer(plane, bundle, self)

    @property
    def heard(self) -> float:
        return max(self._peer.heard, self._proven)

    def media_heard(self, anchor: str) -> float:
        return self._peer.media_heard(anchor)

    def counters_of(self, anchor: str) -> Counter[str]:
        found: Counter[str] = self._peer.counters_of(anchor)
        return found

    @property
    def counters(self) -> Counter[str]:
        """What was refused, lost or odd, by reason."""
        return self._peer.counters

    def set_sections(self, anchor: str, sections: Sequence[RtpParameters]) -> None:
        self._deliver_all(self._peer.set_sections(anchor, sections))

    def attach(self, subscribe: Subscribe) -> None:
        self._deliver_all(self._peer.attach(subscribe.track, subscribe.spec))

    def detach(self, track: TrackKey) -> None:
        self._deliver_all(self._peer.detach(track))

    def receive(self, datagrams: Sequence[bytes]) -> None:
        """Take plain RTP and RTCP that did not come by the link."""
        self._deliver_all(self._peer.receive(datagrams))

    def read(self) -> None:
        """Take what is in the socket by now, and hand on what is no media."""
        self._deliver_all(self._peer.read())
        self.collect()

    def carry(self, link: Link) -> None:
        """Read this link's socket from now on."""
        self._on_other = link.others
        keys = astuple(link.keys) if link.keys is not None else None
        ice = astuple(link.ice) if link.ice is not None else None
        self._peer.take(_detached(link.sock), link.address, keys, ice)

    def redirect(self, address: Address) -> None:
        self._peer.redirect(address)

    def move(self, sock: socket.socket, address: Address) -> None:
        """Go on with another socket, once this one is read; the keys stay."""
        self.read()
        self._peer.take(_detached(sock), address)

    def release(self) -> None:
        self._on_other = None
        self._peer.release()

    def close(self) -> None:
        """The media is over: give the last cuts, close the socket."""
        self._deliver_all(self._peer.flush())
        self.discard()
        self.release()

    def discard(self) -> None:
        self._deliver = _discard

    def collect(self) -> None:
        """Deliver the cuts and other datagrams that wait in the plane."""
        cuts, others = self._peer.collect()
        self._deliver_all(cuts)
        for data, address in others:
            if self._on_other is not None and self._on_other(data, address):
                self._proven = asyncio.get_running_loop().time()

    def _deliver_all(self, cuts: Sequence[TrackOutput]) -> None:
        for cut in cuts:
            self._deliver(cut)


def native_path() -> NativePath | None:
    """A native path for the running loop; None where the loop must read the sockets itself.

    Raises RoomError if SLICER_NATIVE=1 and there can be none.
    """
    if IMPLEMENTATION != "native":
        return None
    problem = srtp_missing()
    try:
        if problem is None:
            return NativePath(Plane())
    except OSError as error:  # no memory, or no descriptor left
        problem = str(error)
    if os.environ.get("SLICER_NATIVE") == "1":
        raise RoomError(f"SLICER_NATIVE=1, but the native plane cannot be had: {problem}")
    logger.warning("sockets are read without the native plane: %s", problem)
    return None


def _collect(plane: "Plane") -> None:
    for media in plane.ready():
        try:
            media.collect()
        except Exception:
            # An error of one connection must not lose the others' cuts.
            logger.exception("cuts of a connection were not taken")


def _discard(_cut: TrackOutput) -> None:
    """What nobody waits for."""


def _detached(sock: socket.socket) -> int:
    descriptor = sock.detach()
    assert descriptor >= 0
    return descriptor
