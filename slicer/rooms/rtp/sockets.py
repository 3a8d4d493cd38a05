"""The sockets of one port: RTP and RTCP of one sender in, RTCP back to where it came from.

Theory of operation. Plain RTP proves nothing, and anybody can send to an open port. So the first
address from which a packet of a known payload type comes is the sender's (authenticated ones only,
where there is a key), and what comes from others is dropped and counted. Another port of the same
address takes over once the sender has been silent for MOVES seconds: a NAT may map it anew.

We answer to where the sender sends from (symmetric, RFC 4961): where RTP and RTCP share a port to
the source of its RTP; else to the source of its RTCP, and until that has come to the port above.
Any other datagram of the sender to the port of RTCP shows where it reads as well: Janus, which has
no reports for us, sends two empty ones as it begins to forward, before any media.
"""

import socket
from collections import Counter
from collections.abc import Callable, Sequence

from slicer.errors import RoomError
from slicer.rooms.rtp.session import Port
from slicer.rtp import rtcp
from slicer.webrtc.counts import PACKETS
from slicer.webrtc.drain import Datagram, Drain
from slicer.webrtc.link import Address
from slicer.webrtc.srtp import Protection

MOVES = 2.0
RECEIVE_BUFFER = 1 << 20
"""Bytes asked of the kernel for each socket: half a second of 16 Mbit/s."""


class Sender:
    """Who sends: one IP address for all ports. *pinned*: the only one that may, or ""."""

    def __init__(self, pinned: str) -> None:
        self._pinned = pinned
        self.host = pinned

    def forget(self) -> None:
        """The sender is gone; another one may come."""
        self.host = self._pinned


class Sockets:
    """One port of a session. *take* gets plain datagrams, RTP and RTCP mixed; *found* is called
    before the first ones of a source."""

    def __init__(
        self,
        host: str,
        port: Port,
        sender: Sender,
        found: Callable[[], None],
        take: Callable[[list[bytes]], None],
        now: Callable[[], float],
    ) -> None:
        """Listens at once. Raises RoomError."""
        self.counters: Counter[str] = Counter()
        self._types = {
            number
            for section in port.sections
            for number in (*section.codecs, *section.rtx, *section.red)
        }
        self._sender, self._found, self._take, self._now = sender, found, take, now
        self._protection = Protection(port.keys, self.counters)
        self._source: Address | None = None
        self._control_source: Address | None = None
        self._latched: Address | None = None  # where somebody reads RTCP who sends none, or not yet
        self._heard = 0.0
        self._rtp = _listening(host, port.number)
        try:
            self._rtcp = None if port.rtcp is None else _listening(host, port.rtcp)
        except RoomError:
            self._rtp.close()
            raise
        self._drains = [Drain(self._rtp, self._receive)]
        if self._rtcp is not None:
            self._drains.append(Drain(self._rtcp, self._receive_control))

    def forget(self) -> None:
        """The sender is gone."""
        self._source = self._control_source = None

    def transmit(self, compound: bytes) -> None:
        """Send RTCP to the sender; what cannot be sent is counted, and the next one replaces it."""
        address, sock = self._source, self._rtp
        if self._rtcp is not None and address is not None:
            sock = self._rtcp
            address = self._control_source or self._latch(address)
        protected = self._protection.protect(compound)
        if address is None or protected is None:
            self.counters["rtcp_unsent"] += 1
            return
        try:
            sock.sendto(protected, address)
        except (OSError, OverflowError):
            self.counters["rtcp_unsent"] += 1

    def close(self) -> None:
        """Listen no more. May be called twice."""
        for drain in self._drains:
            drain.close()

    def _receive(self, batch: Sequence[Datagram]) -> None:
        plain: list[bytes] = []
        for data, address in batch:
            if self._is_senders(address):
                plain += self._protection.unprotect([data])
            elif self._may_come(address):
                opened = self._protection.unprotect([data])
                if opened and self._is_media(opened[0]):
                    self._source, self._sender.host = address, address[0]
                    self._found()
                    plain += opened
                else:
                    self.counters["foreign_source"] += 1
            else:
                self.counters["foreign_source"] += 1
        self._count(media=len(plain), refused=len(batch) - len(plain))
        if plain:
            self._heard = self._now()
            self._take(plain)

    def _receive_control(self, batch: Sequence[Datagram]) -> None:
        plain: list[bytes] = []
        refused = 0
        for data, address in batch:
            if self._source is None:
                # Nobody knows whose reports these are. FFmpeg sends one ahead of its media.
                self.counters["early_rtcp"] += 1
                if self._sender.host in {"", address[0]}:
                    self._latched = address
                continue
            if address[0] != self._sender.host:
                self.counters["foreign_source"] += 1
                refused += 1
                continue
            opened = self._protection.unprotect([data])
            refused += not opened
            if opened and rtcp.is_rtcp(opened[0]):
                self._control_source = address
                plain += opened
            else:
                self._latched = address
        self._count(media=len(plain), refused=refused, other=len(batch) - len(plain) - refused)
        if plain:
            self._take(plain)

    def _count(self, *, media: int, refused: int, other: int = 0) -> None:
        """What became of a batch."""
        for fate, count in (("media", media), ("refused", refused), ("other", other)):
            self.counters[f"{PACKETS}{fate}"] += count

    def _latch(self, source: Address) -> Address:
        """Where a sender reads RTCP from which no report has come."""
        if self._latched is not None and self._latched[0] == source[0]:
            return self._latched
        return (source[0], source[1] + 1)

    def _is_senders(self, address: Address) -> bool:
        return self._source is not None and address[:2] == self._source[:2]

    def _may_come(self, address: Address) -> bool:
        """Whether this may be the sender: nobody is it yet, or it has moved to another port."""
        if self._sender.host not in {"", address[0]}:
            return False
        return self._source is None or self._now() - self._heard >= MOVES

    def _is_media(self, datagram: bytes) -> bool:
        long_enough = len(datagram) >= 12 and datagram[0] >> 6 == 2
        return long_enough and not rtcp.is_rtcp(datagram) and datagram[1] & 0x7F in self._types


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise RoomError(f"UDP {host}, port {port}: {error.strerror}") from None
    return sock
