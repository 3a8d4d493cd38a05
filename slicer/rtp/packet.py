"""The RTP packet on the wire (RFC 3550 5.1) and its header extensions (RFC 8285)."""

from dataclasses import dataclass
from struct import Struct

_HEADER = Struct("!BBHII")
_EXTENSION = Struct("!HH")

# Jumbo frames are the largest on any real path; no RTP sender makes larger packets.
MAX_DATAGRAM = 9_000

ORIENTATION_BITS = 0b111
LEVEL_BITS = 0b111_1111


@dataclass(slots=True)
class Packet:
    """One RTP packet.

    *sequence* and *timestamp* are as on the wire until its stream has unwrapped them, once;
    *arrival* is the *now* at which it came. *extension* is the raw block, *profile* its first word.
    *orientation*: how to turn the frame, by the bits F R1 R0 of 3GPP TS 26.114 7.4.5: first a flip
    from left to right, then R quarter turns clockwise. *level*: how loud its audio is, in dB below
    overload (RFC 6464 section 3): 0 is the loudest, 127 silence. Both are None where the packet
    does not say.
    """

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    profile: int = 0
    extension: bytes = b""
    arrival: float = 0.0
    orientation: int | None = None
    level: int | None = None


def parse(datagram: bytes) -> Packet:
    """Read one datagram. Raises ValueError, whose text is the counter it goes under."""
    size = len(datagram)
    if size < 12:
        raise ValueError("too_short")
    if size > MAX_DATAGRAM:
        raise ValueError("oversized")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(datagram)
    if first >> 6 != 2:
        raise ValueError("bad_version")
    start, end = 12 + 4 * (first & 0x0F), size
    profile, extension = 0, b""
    if first & 0x10:
        if start + 4 > end:
            raise ValueError("truncated")
        profile, words = _EXTENSION.unpack_from(datagram, start)
        extension = datagram[start + 4 : start + 4 + 4 * words]
        start += 4 + 4 * words
    if start > end:
        raise ValueError("truncated")
    if first & 0x20:
        end -= datagram[-1]
        if datagram[-1] == 0 or end < start:
            raise ValueError("bad_padding")
    payload = datagram[start:end]
    marker = second > 127
    return Packet(second & 0x7F, marker, sequence, timestamp, ssrc, payload, profile, extension)


def extensions(profile: int, block: bytes) -> dict[int, bytes]:
    """Header extension elements by id (RFC 8285 4.2 one-byte, 4.3 two-byte); never raises."""
    if profile == 0xBEDE:
        return _one_byte(block)
    if profile >> 4 == 0x100:
        return _two_byte(block)
    return {}


def _one_byte(block: bytes) -> dict[int, bytes]:
    found, at, size = {}, 0, len(block)
    while at < size:
        head = block[at]
        if head == 0:  # padding
            at += 1
            continue
        if head >> 4 in (0, 15):  # a padding with a length, or reserved: all the rest is ignored
            break
        end = at + 2 + (head & 0x0F)
        if end <= size:
            found[head >> 4] = block[at + 1 : end]
        at = end
    return found


def _two_byte(block: bytes) -> dict[int, bytes]:
    found, at, size = {}, 0, len(block)
    while at < size:
        if block[at] == 0:
            at += 1
            continue
        if at + 2 > size:
            break
        end = at + 2 + block[at + 1]
        if end <= size:
            found[block[at]] = block[at + 2 : end]
        at = end
    return found
