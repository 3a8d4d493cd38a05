"""Reads the hellos of DTLS handshakes (RFC 6347, RFC 9147), which are not encrypted."""

import struct
from collections.abc import Iterator

from slicer.rooms.replay.keys import PROFILES, Hello
from slicer.rooms.replay.network import Endpoints

MAX_HANDSHAKES = 1_000
"""Clients whose server has not answered yet; the oldest makes room."""
_HANDSHAKE = 22
_CLIENT_HELLO, _SERVER_HELLO = 1, 2
_USE_SRTP = 14
# The cipher suites whose hash is SHA-384 (RFC 5288, RFC 5289, RFC 8446).
_SHA384 = {0x009D, 0x009F, 0x1302, 0xC024, 0xC028, 0xC02C, 0xC030}
_NUMBERS = {profile.number for profile in PROFILES}


class Handshakes:
    """The handshakes of one capture."""

    def __init__(self) -> None:
        self._clients: dict[Endpoints, bytes] = {}

    def receive(self, flow: Endpoints, datagram: bytes) -> Iterator[Hello]:
        """The handshakes whose second hello is in this datagram."""
        for kind, body in _messages(datagram):
            if kind == _CLIENT_HELLO and len(body) >= 34:
                if len(self._clients) == MAX_HANDSHAKES:
                    del self._clients[next(iter(self._clients))]
                self._clients[flow] = body[2:34]
            elif kind == _SERVER_HELLO and len(body) >= 38:
                client = self._clients.get(Endpoints(flow.destination, flow.source))
                if client is not None:
                    yield _hello(client, body)


def _messages(datagram: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each handshake message in the open; of one in fragments, the first."""
    at = 0
    while at + 13 <= len(datagram):
        content, epoch, length = struct.unpack_from("!B2xH6xH", datagram, at)
        record = datagram[at + 13 : at + 13 + length]
        at += 13 + length
        if content != _HANDSHAKE or epoch:
            continue
        inner = 0
        while inner + 12 <= len(record):
            offset = int.from_bytes(record[inner + 6 : inner + 9])
            size = int.from_bytes(record[inner + 9 : inner + 12])
            if offset == 0:
                yield record[inner], record[inner + 12 : inner + 12 + size]
            inner += 12 + size


def _hello(client: bytes, body: bytes) -> Hello:
    """A ServerHello (RFC 5246 7.4.1.3): version, random, session, suite, compression, extensions.

    What is missing or makes no sense leaves the profile unknown.
    """
    at = 35 + body[34]
    suite = int.from_bytes(body[at : at + 2])
    extensions = body[at + 5 :]
    profile, inner = 0, 0
    while inner + 4 <= len(extensions):
        kind, length = struct.unpack_from("!HH", extensions, inner)
        value = extensions[inner + 4 : inner + 4 + length]
        if kind == _USE_SRTP and (number := int.from_bytes(value[2:4])) in _NUMBERS:
            profile = number
        inner += 4 + length
    digest = "sha384" if suite in _SHA384 else "sha256"
    return Hello(client, body[2:34], digest, profile)
