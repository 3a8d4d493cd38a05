"""The media path: who reads connected sockets and cuts, the loop or the native plane's thread.

It is chosen once for each event loop, here. Whoever has a connection opens its media and uses it by
the face below; that there are two paths is known to nobody else.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol
from weakref import WeakKeyDictionary

from slicer.rtp.parameters import RtpParameters
from slicer.slicing.outputs import Cut, Subscribe, TrackKey
from slicer.webrtc.link import Address, Link
from slicer.webrtc.loop_path import LoopPath
from slicer.webrtc.native_path import native_path

Deliver = Callable[[Cut], None]


class Media(Protocol):
    """The media of one connection: a bundle, and the socket it is fed from. On the loop's thread.

    Cuts go to the callback that it was opened with, those of `detach`, `set_sections` and `close`
    before the call returns.
    """

    @property
    def heard(self) -> float:
        """The *now* at which anything came last by the link."""
        ...

    @property
    def counters(self) -> Counter[str]:
        """What was refused, lost or odd, by reason."""
        ...

    def set_sections(self, anchor: str, sections: Sequence[RtpParameters]) -> None:
        """What this anchor sends from now on; nothing removes it."""
        ...

    def attach(self, subscribe: Subscribe) -> None: ...

    def detach(self, track: TrackKey) -> None: ...

    def receive(self, datagrams: Sequence[bytes]) -> None:
        """Take plain RTP and RTCP that came another way than by the link."""
        ...

    def carry(self, link: Link) -> None:
        """Read this link's socket from now on, and send RTCP by it."""
        ...

    def redirect(self, address: Address) -> None:
        """The peer is at another address."""
        ...

    def move(self, sock: socket.socket, address: Address) -> None:
        """Go on with another socket; the keys stay."""
        ...

    def release(self) -> None:
        """Read and send nothing any more; closes the socket. May be called twice."""
        ...

    def close(self) -> None:
        """The media is over: the last cuts, then `release`. May be called twice."""
        ...


class MediaPath(Protocol):
    """Opens the media of connections."""

    @property
    def cpu(self) -> float | None:
        """Seconds of CPU that the path's own thread has used; None where it has none."""
        ...

    def open(self, deliver: Deliver) -> Media:
        """The media of a new connection; its cuts go to *deliver*."""
        ...


_paths: "WeakKeyDictionary[asyncio.AbstractEventLoop, MediaPath]" = WeakKeyDictionary()


def media_path() -> MediaPath:
    """The running loop's path. Raises RoomError where SLICER_NATIVE=1 asks for what is not there.

    The plane's threads and clocks are real: what runs on another clock than the loop's (a replay)
    drives its bundles itself.
    """
    loop = asyncio.get_running_loop()
    if loop not in _paths:
        _paths[loop] = native_path() or LoopPath()
    return _paths[loop]
