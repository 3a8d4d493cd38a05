"""RTCP of RFC 3550: sender and receiver reports, source descriptions, goodbyes.

Each type packs itself into (packet type, count, body) and reads itself from (count, body); the
header around them is the package's (`__init__.py`).
"""

from dataclasses import dataclass
from struct import pack, unpack_from
from typing import ClassVar, Self

_BLOCK = 24
_MAX_LOST = 0x7FFFFF
_CNAME = 1


# One RTCP packet but for its header: packet type, the five bits beside the version, body.
Parts = tuple[int, int, bytes]


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """How one source is received (RFC 3550 6.4.1); all numbers as they are on the wire.

    *fraction_lost* in 1/256 since the last report; *packets_lost* may be negative (duplicates) and
    is clamped to 24 bits; *highest_sequence* with its cycles, 32 bits; *jitter* in RTP ticks;
    *lsr* the middle 32 bits of the NTP time of the last SR; *dlsr* the delay since it in 1/65536 s.
    """

    ssrc: int
    fraction_lost: int
    packets_lost: int
    highest_sequence: int
    jitter: int
    lsr: int = 0
    dlsr: int = 0

    def pack(self) -> bytes:
        """The 24 bytes of the block."""
        lost = max(-_MAX_LOST - 1, min(self.packets_lost, _MAX_LOST)) & 0xFFFFFF
        return pack(
            "!LLLLLL",
            self.ssrc,
            self.fraction_lost << 24 | lost,
            self.highest_sequence,
            self.jitter,
            self.lsr,
            self.dlsr,
        )


def _blocks(count: int, body: bytes, start: int) -> tuple[ReportBlock, ...]:
    """Report blocks; profile-specific extensions after them are ignored (RFC 3550 6.4.3)."""
    blocks = []
    for offset in range(start, start + count * _BLOCK, _BLOCK):
        ssrc, lost, highest, jitter, lsr, dlsr = unpack_from("!LLLLLL", body, offset)
        signed = (lost & 0xFFFFFF) - (lost << 1 & 0x1000000)
        blocks.append(ReportBlock(ssrc, lost >> 24, signed, highest, jitter, lsr, dlsr))
    return tuple(blocks)


@dataclass(frozen=True, slots=True)
class SenderReport:
    """RFC 3550 6.4.1. *ntp*: 64 bits, seconds since 1900 in 32.32; see `ntp_seconds`."""

    PACKET_TYPE: ClassVar[int] = 200
    ssrc: int
    ntp: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    reports: tuple[ReportBlock, ...] = ()

    def pack(self) -> Parts:
        """Raises ValueError where a number does not fit."""
        body = pack(
            "!LQLLL",
            self.ssrc,
            self.ntp,
            self.rtp_timestamp,
            self.packet_count,
            self.octet_count,
        ) + b"".join(block.pack() for block in self.reports)
        return (self.PACKET_TYPE, len(self.reports), body)

    @classmethod
    def unpack(cls, count: int, body: bytes) -> Self:
        """Raises struct.error where it is cut off."""
        ssrc, ntp, rtp_timestamp, packets, octets = unpack_from("!LQLLL", body)
        return cls(ssrc, ntp, rtp_timestamp, packets, octets, _blocks(count, body, 24))


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """RFC 3550 6.4.2."""

    PACKET_TYPE: ClassVar[int] = 201
    ssrc: int
    reports: tuple[ReportBlock, ...] = ()

    def pack(self) -> Parts:
        """Raises ValueError where a number does not fit."""
        body = pack("!L", self.ssrc) + b"".join(block.pack() for block in self.reports)
        return (self.PACKET_TYPE, len(self.reports), body)

    @classmethod
    def unpack(cls, count: int, body: bytes) -> Self:
        """Raises struct.error where it is cut off."""
        (ssrc,) = unpack_from("!L", body)
        return cls(ssrc, _blocks(count, body, 4))


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """RFC 3550 6.5, the CNAMEs only: (SSRC, CNAME) of each chunk that has one."""

    PACKET_TYPE: ClassVar[int] = 202
    cnames: tuple[tuple[int, str], ...]

    def pack(self) -> Parts:
        """Raises ValueError where a CNAME is longer than 255 bytes."""
        body = b""
        for ssrc, cname in self.cnames:
            text = cname.encode()
            if len(text) > 255:
                raise ValueError("CNAME of more than 255 bytes")
            chunk = pack("!LBB", ssrc, _CNAME, len(text)) + text
            # At least one null ends the items, and the chunk is whole words.
            body += chunk + bytes(4 - len(chunk) % 4)
        return (self.PACKET_TYPE, len(self.cnames), body)

    @classmethod
    def unpack(cls, count: int, body: bytes) -> Self:
        """Raises struct.error or ValueError where it is malformed."""
        cnames, position = [], 0
        for _ in range(count):
            (ssrc,) = unpack_from("!L", body, position)
            cname, position = _cname(body, position + 4)
            if cname is not None:
                cnames.append((ssrc, cname))
        return cls(tuple(cnames))


def _cname(body: bytes, position: int) -> tuple[str | None, int]:
    """The CNAME among a chunk's items, and where the chunk ends."""
    cname = None
    while True:
        if position >= len(body):
            raise ValueError("SDES items without their end")
        kind = body[position]
        if kind == 0:
            return cname, (position & ~3) + 4
        (size,) = unpack_from("!B", body, position + 1)
        text = body[position + 2 : position + 2 + size]
        if len(text) < size:
            raise ValueError("SDES item is cut off")
        if kind == _CNAME:
            cname = text.decode(errors="replace")
        position += 2 + size


@dataclass(frozen=True, slots=True)
class Bye:
    """RFC 3550 6.6: these sources stop, perhaps only until they are unmuted."""

    PACKET_TYPE: ClassVar[int] = 203
    ssrcs: tuple[int, ...]
    reason: str = ""

    def pack(self) -> Parts:
        """Raises ValueError where the reason is longer than 255 bytes."""
        body = pack(f"!{len(self.ssrcs)}L", *self.ssrcs)
        if self.reason:
            text = self.reason.encode()
            if len(text) > 255:
                raise ValueError("BYE reason of more than 255 bytes")
            body += bytes([len(text)]) + text
            body += bytes(-len(body) % 4)
        return (self.PACKET_TYPE, len(self.ssrcs), body)

    @classmethod
    def unpack(cls, count: int, body: bytes) -> Self:
        """Raises struct.error or ValueError where it is cut off."""
        ssrcs = unpack_from(f"!{count}L", body)
        rest = body[4 * count :]
        if rest and len(rest) <= rest[0]:
            raise ValueError("BYE reason is cut off")
        return cls(ssrcs, rest[1 : 1 + rest[0]].decode(errors="replace") if rest else "")


def ntp_seconds(ntp: int) -> float:
    """A 64-bit NTP time in seconds since 1900, to a quarter of a microsecond."""
    return ntp / (1 << 32)


def ntp_middle(ntp: int) -> int:
    """The middle 32 bits of a 64-bit NTP time: what a report block's *lsr* holds."""
    return ntp >> 16 & 0xFFFFFFFF


def dlsr_units(seconds: float) -> int:
    """Seconds as a report block's *dlsr* holds them: 1/65536 s, clamped to 32 bits."""
    return max(0, min(round(seconds * 65536), 0xFFFFFFFF))
