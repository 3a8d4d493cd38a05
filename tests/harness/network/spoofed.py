"""UDP datagrams whose source is forged, as whoever shares a peer's network can send them (root)."""

import socket
import struct

from slicer.webrtc.link import Address

_TTL = 64


class Forger:
    """Sends in another one's name."""

    def __init__(self) -> None:
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(self, data: bytes, source: Address, to: Address) -> None:
        """*source*: who it shall seem to come from."""
        datagram = struct.pack("!HHHH", source[1], to[1], 8 + len(data), 0) + data  # no checksum
        # The kernel fills in the length, the identification and the checksum (raw(7)).
        header = struct.pack(
            *("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, _TTL, socket.IPPROTO_UDP, 0),
            *(socket.inet_aton(source[0]), socket.inet_aton(to[0])),
        )
        self._sock.sendto(header + datagram, (to[0], 0))

    def close(self) -> None:
        self._sock.close()
