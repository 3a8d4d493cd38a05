"""The media path on the event loop: sockets read in batches, SRTP by libsrtp, the bundle.

It is the reference of the native plane's path, and what runs where there is no plane.

Timers run at the present only where the socket is empty. After a stall of the process it holds
seconds of media, and timers that ran ahead of those would take them for silence. So it is read
before a timer, and before a track ends.
"""

import secrets
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pylibsrtp

from slicer.clock import Clock, LoopClock
from slicer.hot import Bundle
from slicer.rtp.parameters import RtpParameters
from slicer.rtp.srtp import unprotect
from slicer.slicing.keyframe_requests import RequestsOf
from slicer.slicing.outputs import Subscribe, TrackKey, TrackOutput
from slicer.webrtc.counts import PathCounts
from slicer.webrtc.drain import Datagram, Drain
from slicer.webrtc.driver import BundleDriver
from slicer.webrtc.link import Address, Link
from slicer.webrtc.srtp import Inbound, outbound

if TYPE_CHECKING:
    from pylibsrtp import Session


class LoopPath:
    """Opens media that the running loop reads. *counts*: what all of it has done; a look is a batch
    of a socket's."""

    def __init__(self) -> None:
        self.counts = PathCounts()

    @property
    def cpu(self) -> None:
        """None: the loop's thread does other work, too."""
        return

    def open(
        self, deliver: Callable[[TrackOutput], None], requests_of: RequestsOf | None = None
    ) -> "LoopMedia":
        """The media of a new connection."""
        bundle = Bundle(secrets.randbits(32), requests_of)
        return LoopMedia(bundle, LoopClock(), deliver, self.counts)


class LoopMedia:
    """One connection's media. What the socket gives is decrypted and cut in the same turn."""

    def __init__(
        self,
        bundle: Bundle,
        clock: Clock,
        deliver: Callable[[TrackOutput], None],
        counts: PathCounts | None = None,
    ) -> None:
        self.heard = clock.now()
        self._counts = counts or PathCounts()
        self._bundle = bundle
        self._clock = clock
        self._driver: BundleDriver | None = BundleDriver(
            bundle, clock, self._transmit, deliver, self._read
        )
        self._drain: Drain | None = None
        self._sock: socket.socket | None = None
        self._link: Link | None = None
        self._address: Address = ("", 0)
        self._inbound: Inbound | None = None
        self._outbound: Session | None = None
        self._counters: Counter[str] = Counter()

    def media_heard(self, anchor: str) -> float:
        return self._bundle.heard(anchor)

    def counters_of(self, anchor: str) -> Counter[str]:
        return self._bundle.counters_of(anchor)

    @property
    def counters(self) -> Counter[str]:
        """What was refused, lost or odd, by reason."""
        return self._bundle.counters + self._counters

    def set_sections(self, anchor: str, sections: Sequence[RtpParameters]) -> None:
        self._read()
        if self._driver is not None:
            self._driver.set_sections(anchor, sections)

    def attach(self, subscribe: Subscribe) -> None:
        if self._driver is not None:
            self._driver.attach(subscribe)

    def detach(self, track: TrackKey) -> None:
        self._read()
        if self._driver is not None:
            self._driver.detach(track)

    def receive(self, datagrams: Sequence[bytes]) -> None:
        """Take plain RTP and RTCP that did not come by the link."""
        self._counts.media += len(datagrams)
        if self._driver is not None:
            self._driver.receive(datagrams)

    def read(self) -> None:
        """Take what is in the socket by now, and hand on what is no media."""
        self._read()

    def carry(self, link: Link) -> None:
        """Read this link's socket from now on."""
        self._link = link
        if link.keys is not None:
            self._inbound = Inbound(link.keys)
            self._outbound = outbound(link.keys)
        self.move(link.sock, link.address)

    def redirect(self, address: Address) -> None:
        self._address = address

    def move(self, sock: socket.socket, address: Address) -> None:
        """Go on with another socket, once this one is read; the keys stay."""
        self._read()
        if self._drain is not None:
            self._drain.close()
        self._sock, self._address = sock, address
        self._drain = Drain(sock, self._take)

    def release(self) -> None:
        self._sock = self._link = None
        if self._drain is not None:
            self._drain.close()
            self._drain = None

    def close(self) -> None:
        """The media is over: give the last cuts, close the socket."""
        self._read()
        if self._driver is not None:
            self._driver.close()
        self.discard()
        self.release()

    def discard(self) -> None:
        if self._driver is not None:
            self._driver.stop()
            self._driver = None

    def _read(self) -> bool:
        """Take what waits in the socket; whether that was all."""
        return self._drain is None or self._drain.read()

    def _take(self, batch: list[Datagram]) -> None:
        media, proven = [], False
        for data, address in batch:
            # RFC 7983: the first byte tells RTP and RTCP from STUN and DTLS.
            if data and 128 <= data[0] < 192:
                media.append(data)
            elif self._link is not None:
                proven |= self._link.others(data, address)
        self._counts.looks += 1
        self._counts.other += len(batch) - len(media)
        if self._inbound is not None:
            sealed = len(media)
            media = unprotect(self._inbound, media, pylibsrtp.Error, self._counters)
            self._counts.refused += sealed - len(media)
        if media or proven:
            self.heard = self._clock.now()
        if media:
            self.receive(media)

    def _transmit(self, data: bytes) -> None:
        """Protect and send a compound. One that cannot be sent is counted; the next replaces it."""
        if self._sock is None:
            self._counters["rtcp_unsent"] += 1
            return
        try:
            protected = data if self._outbound is None else self._outbound.protect_rtcp(data)
            self._sock.sendto(protected, self._address)
        except (pylibsrtp.Error, ValueError, OSError):
            self._counters["rtcp_unsent"] += 1
