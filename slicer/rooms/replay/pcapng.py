"""Reads frames from a pcapng file (draft-ietf-opsawg-pcapng), and the keys it may hold.

A file is a series of blocks: type, length, body, and the length again. A section header begins a
section with a byte order and interfaces of its own; a file may have many. Blocks of other types are
passed over, so new ones do no harm.
"""

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from slicer.errors import BadInput
from slicer.rooms.replay.pcap import MAX_RECORD, Frame

MAGIC = b"\x0a\x0d\x0d\x0a"
MAX_BLOCK = 16 * 1024 * 1024
"""Longest block read, in bytes. Only secrets are longer than a packet."""
MAX_INTERFACES = 1_024
"""Interfaces of one section; packets of further ones are counted."""
_ORDER_MAGIC = 0x1A2B3C4D
_INTERFACE, _PACKET, _SIMPLE, _ENHANCED, _SECRETS = 1, 2, 3, 6, 10
_TLS_KEY_LOG = 0x544C534B
_TIME_RESOLUTION, _TIME_OFFSET = 9, 14


class _Interface(NamedTuple):
    link: int
    longest: int
    """0: no bound."""
    ticks: float
    """Of its clock in a second."""
    offset: int


def pcapng_frames(
    file: BinaryIO, counters: Counter[str], take_secrets: Callable[[bytes], None]
) -> Iterator[Frame]:
    """The frames of a file whose first four bytes are read; TLS key logs go to *take_secrets*.

    Raises BadInput where there is no section header.
    """
    rest = file.read(8)
    order = _byte_order(rest[4:])
    if not order:
        raise BadInput("capture", MAGIC + rest, "a pcapng section header")
    return _Reader(file, counters, take_secrets).frames(order, rest)


class _Reader:
    def __init__(
        self, file: BinaryIO, counters: Counter[str], take_secrets: Callable[[bytes], None]
    ) -> None:
        self._file, self._counters, self._take_secrets = file, counters, take_secrets
        self._order = "<"
        self._interfaces: list[_Interface] = []
        # A simple packet has no time of its own: it came when the one before it did.
        self._seconds = 0.0

    def frames(self, order: str, rest: bytes) -> Iterator[Frame]:
        """Read on behind *rest*, the length and byte order of the first section header."""
        self._order = order
        (length,) = struct.unpack(f"{order}I", rest[:4])
        whole = self._skip(length - 12)
        while whole:
            header = self._file.read(8)
            if not header:
                return
            if header[:4] == MAGIC:
                whole = self._section(header)
                continue
            body = self._body(header)
            if body is None:
                break
            kind: int = struct.unpack_from(f"{self._order}I", header)[0]
            try:
                yield from self._block(kind, body)
            except (struct.error, IndexError):
                self._counters["malformed"] += 1
        self._counters["truncated"] += 1

    def _section(self, header: bytes) -> bool:
        """Begin a section; False where the file breaks off."""
        magic = self._file.read(4)
        order = _byte_order(magic)
        if not order or len(header) < 8:
            return False
        self._order = order
        self._interfaces = []
        (length,) = struct.unpack_from(f"{order}I", header, 4)
        return self._skip(length - 12)

    def _skip(self, size: int) -> bool:
        return 0 <= size <= MAX_BLOCK and len(self._file.read(size)) == size

    def _body(self, header: bytes) -> bytes | None:
        if len(header) < 8:
            return None
        (length,) = struct.unpack_from(f"{self._order}I", header, 4)
        if not 12 <= length <= MAX_BLOCK or length % 4:
            return None
        body = self._file.read(length - 8)
        return body[:-4] if len(body) == length - 8 else None

    def _block(self, kind: int, body: bytes) -> Iterator[Frame]:
        """Take one block; *kind* is none of a section header."""
        order = self._order
        if kind == _INTERFACE:
            link, longest = struct.unpack_from(f"{order}HxxI", body)
            if len(self._interfaces) < MAX_INTERFACES:
                self._interfaces.append(_Interface(link, longest, *self._clock(body[8:])))
        elif kind == _ENHANCED:
            number, high, low, length, original = struct.unpack_from(f"{order}IIIII", body)
            yield from self._packet(number, high << 32 | low, body[20:], length, original)
        elif kind == _PACKET:
            number, high, low, length, original = struct.unpack_from(f"{order}HxxIIII", body)
            yield from self._packet(number, high << 32 | low, body[20:], length, original)
        elif kind == _SIMPLE:
            (original,) = struct.unpack_from(f"{order}I", body)
            bound = self._interfaces[0].longest or original
            yield from self._packet(0, None, body[4:], min(bound, original), original)
        elif kind == _SECRETS:
            secrets, length = struct.unpack_from(f"{order}II", body)
            if secrets == _TLS_KEY_LOG:
                self._take_secrets(body[8 : 8 + length])

    def _packet(
        self, number: int, ticks: int | None, data: bytes, length: int, original: int
    ) -> Iterator[Frame]:
        """*ticks*: None where the block has no time. Raises IndexError for an interface unknown."""
        if length > min(len(data), MAX_RECORD):
            self._counters["malformed"] += 1
            return
        interface = self._interfaces[number]
        if ticks is not None:
            self._seconds = interface.offset + ticks / interface.ticks
        yield Frame(self._seconds, interface.link, data[:length], length >= original)

    def _clock(self, options: bytes) -> tuple[float, int]:
        """Ticks in a second and offset in seconds, as an interface's options say."""
        ticks, offset, at = 1e6, 0, 0
        while at + 4 <= len(options):
            code, length = struct.unpack_from(f"{self._order}HH", options, at)
            value = options[at + 4 : at + 4 + length]
            if code == _TIME_RESOLUTION and len(value) == 1:
                power = value[0] & 0x7F
                ticks = 2.0**power if value[0] & 0x80 else 10.0**power
            elif code == _TIME_OFFSET and len(value) == 8:
                (offset,) = struct.unpack(f"{self._order}q", value)
            at += 4 + length + -length % 4
        return ticks, offset


def _byte_order(magic: bytes) -> str:
    """The section's byte order, as struct names it; empty where this is no section header."""
    for order in "<>":
        if magic == struct.pack(f"{order}I", _ORDER_MAGIC):
            return order
    return ""
