"""The media path: what reads connected sockets and cuts, the event loop or the native plane.

It is chosen here, once for each event loop. A connection's owner opens its media by it, and uses
the two protocols below; no other module depends on which path it is.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol
from weakref import WeakKeyDictionary

from slicer.rtp.parameters import RtpParameters
from slicer.slicing.keyframe_requests import RequestsOf
from slicer.slicing.outputs import Subscribe, TrackKey, TrackOutput
from slicer.webrtc.counts import Counting, count_by
from slicer.webrtc.link import Address, Link
from slicer.webrtc.loop_path import LoopPath
from slicer.webrtc.native_path import native_path

Deliver = Callable[[TrackOutput], None]


class Media(Protocol):
    """The media of one connection: a bundle, and the socket it reads. Used on the loop's thread.

    Cuts go to the callback that it was opened with. Those of `detach`, `set_sections` and `close`
    are delivered before the call returns.
    """

    @property
    def heard(self) -> float:
        """The *now* of the last datagram that was proven to be the peer's: SRTP, or STUN that it
        has signed. Of a link without keys, of the last RTP or RTCP."""
        ...

    def media_heard(self, anchor: str) -> float:
        """The *now* of the last RTP packet of this anchor; -inf: none has come."""
        ...

    @property
    def counters(self) -> Counter[str]:
        """What was refused, lost or odd, by reason."""
        ...

    def counters_of(self, anchor: str) -> Counter[str]:
        """Those of this anchor alone, since it came: what its packets show. What is of the whole
        connection (decryption, routing, sockets) is not among them."""
        ...

    def set_sections(self, anchor: str, sections: Sequence[RtpParameters]) -> None:
        """Replace what this anchor sends; without sections it is gone."""
        ...

    def attach(self, subscribe: Subscribe) -> None: ...

    def detach(self, track: TrackKey) -> None: ...

    def receive(self, datagrams: Sequence[bytes]) -> None:
        """Take plain RTP and RTCP that did not come by the link."""
        ...

    def read(self) -> None:
        """Take what is in the link's socket by now, and hand on what is no media."""
        ...

    def carry(self, link: Link) -> None:
        """Read this link's socket from now on, and send RTCP by it."""
        ...

    def redirect(self, address: Address) -> None:
        """The peer is at another address."""
        ...

    def move(self, sock: socket.socket, address: Address) -> None:
        """Go on with another socket, once this one is read; the keys stay."""
        ...

    def release(self) -> None:
        """Read and send nothing any more; closes the socket. May be called twice."""
        ...

    def close(self) -> None:
        """The media is over: the last cuts, then `discard` and `release`. May be called twice."""
        ...

    def discard(self) -> None:
        """Deliver nothing any more, and let go of who it was for. May be called twice."""
        ...


class MediaPath(Counting, Protocol):
    """Opens the media of connections."""

    def open(self, deliver: Deliver, requests_of: RequestsOf | None = None) -> Media:
        """The media of a new connection; its cuts go to *deliver*. *requests_of*: as Bundle has
        it."""
        ...


_paths: "WeakKeyDictionary[asyncio.AbstractEventLoop, MediaPath]" = WeakKeyDictionary()


def media_path() -> MediaPath:
    """The running loop's path. Raises RoomError if SLICER_NATIVE=1 and the plane cannot run.

    The plane reads real sockets in real time. A room on another clock (a replay) has no path: it
    drives its bundles itself.
    """
    loop = asyncio.get_running_loop()
    if loop not in _paths:
        _paths[loop] = native_path() or LoopPath()
        count_by(_paths[loop])
    return _paths[loop]
