"""STUN and TURN servers (RFC 8489, RFC 8656), and what comes by a TURN server.

The media path reads one socket, and sends to one address. What a TURN server relays comes by no
socket of its own: aioice takes it out of the server's messages. So a pair of sockets on loopback
stands between: what is relayed is sent from one to the other, which the media path reads, and what
the media path sends comes back and goes to the peer by the relay.
"""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from aioice.ice import StunProtocol
from aiortc import RTCIceServer
from aiortc.rtcicetransport import connection_kwargs

from slicer.webrtc.link import Address

_LOOPBACK = "127.0.0.1"
_LARGEST = 65_536
_BATCH = 64
"""Datagrams of the media path that are relayed in one turn of the loop."""


@dataclass(frozen=True, slots=True)
class IceServer:
    """One server, by its URLs (`stun:`, `turn:` and `turns:`, RFC 7064, RFC 7065)."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = field(default="", repr=False)


def usable(servers: Sequence[IceServer]) -> list[RTCIceServer]:
    """Those that aioice can use: one STUN and one TURN server, whose URLs can be read."""
    found = []
    for server in servers:
        for url in server.urls:
            one = RTCIceServer(url, server.username or None, server.credential or None)
            try:
                kwargs = connection_kwargs([one])
            except ValueError:
                continue
            if kwargs:
                found.append(one)
    return found


class Relay:
    """The sockets for one relayed candidate; *near* is for the media path, which sends to
    *address*. It lives until `close`."""

    def __init__(self, protocol: StunProtocol, peer: Address) -> None:
        self.peer = peer
        self._protocol = protocol
        self.near, self._far = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
        for one in (self.near, self._far):
            one.bind((_LOOPBACK, 0))
            one.setblocking(False)
        self._far.connect(self.near.getsockname())
        self.address: Address = self._far.getsockname()
        protocol.datagram_received = self._receive  # type: ignore[method-assign, assignment]
        asyncio.get_running_loop().add_reader(self._far, self._send)

    def close(self) -> None:
        """Relay nothing any more. *near* is closed by who reads it."""
        asyncio.get_running_loop().remove_reader(self._far)
        self._far.close()

    def hand_back(self, data: bytes) -> None:
        """Give STUN and DTLS to the protocol, as if they had just been relayed."""
        StunProtocol.datagram_received(self._protocol, data, self.peer)

    def _receive(self, data: bytes, _address: Address) -> None:
        try:
            self._far.send(data)
        except OSError:
            return  # the media path is gone, or does not read in time: as on any network

    def _send(self) -> None:
        for _ in range(_BATCH):
            try:
                data = self._far.recv(_LARGEST)
            except OSError:
                return
            self._protocol.transport.sendto(data, self.peer)
