"""Anchors in the native plane: a thread without Python reads their sockets; here come their cuts.

The same verbs as `Pump`, for connections whose sockets the plane takes over. There is one plane for
each event loop, made when first needed.
"""

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from slicer.errors import RoomError
from slicer.hot import IMPLEMENTATION, Bundle
from slicer.slicing.outputs import Cut, Subscribe, TrackKey
from slicer.webrtc.carrier import Address, Link

if TYPE_CHECKING or IMPLEMENTATION == "native":
    from slicer._hot import Peer, Plane, srtp_missing

logger = logging.getLogger(__name__)

_planes: "WeakKeyDictionary[asyncio.AbstractEventLoop, Plane | None]" = WeakKeyDictionary()


class PlanePump:
    """One anchor's media in the plane. *deliver* is called on the loop's thread."""

    def __init__(self, plane: "Plane", bundle: Bundle, deliver: Callable[[Cut], None]) -> None:
        self._deliver = deliver
        self._others: Callable[[bytes, Address], None] | None = None
        self._peer = Peer(plane, bundle, self)

    def attach(self, subscribe: Subscribe) -> None:
        self._give(self._peer.attach(subscribe.track, subscribe.spec))

    def detach(self, track: TrackKey) -> None:
        self._give(self._peer.detach(track))

    def receive(self, datagrams: Sequence[bytes]) -> None:
        """Take plain RTP and RTCP that came another way than by the link."""
        self._give(self._peer.receive(datagrams))

    def close(self) -> None:
        """The media is over: everything out, the socket closed."""
        self._give(self._peer.flush())
        self.release()

    def carry(self, link: Link) -> "PlanePump":
        """Read this link's socket from now on."""
        self._others = link.others
        keys = astuple(link.keys) if link.keys is not None else None
        ice = astuple(link.ice) if link.ice is not None else None
        self._peer.take(_detached(link.sock), link.address, keys, ice)
        return self

    @property
    def heard(self) -> float:
        return self._peer.heard

    @property
    def counters(self) -> Counter[str]:
        """What was refused, lost or odd, by reason."""
        return self._peer.counters

    def move(self, sock: socket.socket, address: Address) -> None:
        """Go on with another socket; the keys stay."""
        self._peer.take(_detached(sock), address)

    def redirect(self, address: Address) -> None:
        self._peer.redirect(address)

    def release(self) -> None:
        self._others = None
        self._peer.release()

    def collect(self) -> None:
        """Hand on what waits in the peer."""
        cuts, others = self._peer.collect()
        self._give(cuts)
        for data, address in others:
            if self._others is not None:
                self._others(data, address)

    def _give(self, cuts: Sequence[Cut]) -> None:
        for cut in cuts:
            self._deliver(cut)


def running_plane() -> "Plane | None":
    """The running loop's plane; None where packets are the reference's to handle."""
    loop = asyncio.get_running_loop()
    if loop not in _planes:
        _planes[loop] = plane = _new_plane()
        if plane is not None:
            loop.add_reader(plane.fileno(), _collect, plane)
    return _planes[loop]


def _new_plane() -> "Plane | None":
    if IMPLEMENTATION != "native":
        return None
    problem = srtp_missing()
    try:
        if problem is None:
            return Plane()
    except OSError as error:  # no memory, or no descriptor left
        problem = str(error)
    if os.environ.get("SLICER_NATIVE") == "1":
        raise RoomError(f"SLICER_NATIVE=1, but the native plane cannot be had: {problem}")
    logger.warning("sockets are read without the native plane: %s", problem)
    return None


def _collect(plane: "Plane") -> None:
    for pump in plane.ready():
        try:
            pump.collect()
        except Exception:
            # One anchor's trouble must not keep the others' cuts.
            logger.exception("cuts of an anchor were not taken")


def _detached(sock: socket.socket) -> int:
    descriptor = sock.detach()
    assert descriptor >= 0
    return descriptor
