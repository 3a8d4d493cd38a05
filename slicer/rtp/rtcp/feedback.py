"""RTCP feedback: what is missing (RFC 4585), a keyframe wanted (RFC 4585, 5104), a rate (REMB)."""

from collections.abc import Iterable
from dataclasses import dataclass
from struct import iter_unpack, pack, unpack_from
from typing import ClassVar, Self

from slicer.rtp.rtcp.reports import Parts

TRANSPORT_FEEDBACK_TYPE = 205
PAYLOAD_FEEDBACK_TYPE = 206
_REMB = b"REMB"
_MANTISSA = 0x3FFFF


@dataclass(frozen=True, slots=True)
class Nack:
    """RFC 4585 6.2.1: these 16-bit sequence numbers are missing.

    They come back in the order in which they were given where that is ascending, across the wrap.
    """

    FORMAT: ClassVar[tuple[int, int]] = (TRANSPORT_FEEDBACK_TYPE, 1)
    sender_ssrc: int
    media_ssrc: int
    sequences: tuple[int, ...]

    def pack(self) -> Parts:
        """Raises ValueError where a number does not fit."""
        body = pack("!LL", self.sender_ssrc, self.media_ssrc)
        for pid, blp in _pairs(self.sequences):
            body += pack("!HH", pid, blp)
        return (*self.FORMAT, body)

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Raises struct.error where it is malformed."""
        sender, media = unpack_from("!LL", body)
        sequences: list[int] = []
        for pid, blp in iter_unpack("!HH", body[8:]):
            sequences.append(pid)
            sequences += [pid + bit + 1 & 0xFFFF for bit in range(16) if blp >> bit & 1]
        return cls(sender, media, tuple(sequences))


def _pairs(sequences: Iterable[int]) -> list[tuple[int, int]]:
    """PID and bitmask of the 16 that follow it, as few pairs as the order allows."""
    pairs: list[tuple[int, int]] = []
    for sequence in sequences:
        after = (sequence - pairs[-1][0]) & 0xFFFF if pairs else 0
        if 0 < after <= 16:
            pid, blp = pairs[-1]
            pairs[-1] = pid, blp | 1 << after - 1
        else:
            pairs.append((sequence, 0))
    return pairs


@dataclass(frozen=True, slots=True)
class PictureLossIndication:
    """RFC 4585 6.3.1."""

    FORMAT: ClassVar[tuple[int, int]] = (PAYLOAD_FEEDBACK_TYPE, 1)
    sender_ssrc: int
    media_ssrc: int

    def pack(self) -> Parts:
        """Raises ValueError where a number does not fit."""
        return (*self.FORMAT, pack("!LL", self.sender_ssrc, self.media_ssrc))

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Raises struct.error where it is cut off."""
        return cls(*unpack_from("!LL", body))


@dataclass(frozen=True, slots=True)
class FullIntraRequest:
    """RFC 5104 4.3.1: *entries* are (SSRC, 8-bit number that grows with each new request)."""

    FORMAT: ClassVar[tuple[int, int]] = (PAYLOAD_FEEDBACK_TYPE, 4)
    sender_ssrc: int
    entries: tuple[tuple[int, int], ...]

    def pack(self) -> Parts:
        """Raises ValueError where a number does not fit."""
        # The media SSRC of the header is unused and shall be 0 (RFC 5104 4.3.1.2).
        body = pack("!LL", self.sender_ssrc, 0)
        return (*self.FORMAT, body + b"".join(pack("!LB3x", *entry) for entry in self.entries))

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Raises struct.error where it is malformed."""
        sender, _ = unpack_from("!LL", body)
        return cls(sender, tuple(iter_unpack("!LB3x", body[8:])))


@dataclass(frozen=True, slots=True)
class Remb:
    """draft-alvestrand-rmcat-remb-03: at most *bitrate* bit/s for these sources together.

    The wire keeps 18 significant bits; the rest is cut off.
    """

    FORMAT: ClassVar[tuple[int, int]] = (PAYLOAD_FEEDBACK_TYPE, 15)
    sender_ssrc: int
    bitrate: int
    ssrcs: tuple[int, ...]

    def pack(self) -> Parts:
        """Raises ValueError where a number does not fit."""
        exponent = max(0, self.bitrate.bit_length() - _MANTISSA.bit_length())
        if self.bitrate < 0 or exponent > 63:
            raise ValueError(f"Remb of {self.bitrate} bit/s")
        rate = exponent << 18 | self.bitrate >> exponent
        body = pack("!LL4sL", self.sender_ssrc, 0, _REMB, len(self.ssrcs) << 24 | rate)
        return (*self.FORMAT, body + pack(f"!{len(self.ssrcs)}L", *self.ssrcs))

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Raises struct.error where it is cut off, ValueError where it is not a REMB."""
        sender, _, name, rate = unpack_from("!LL4sL", body)
        if name != _REMB:
            raise ValueError("application layer feedback that is not REMB")
        ssrcs = unpack_from(f"!{rate >> 24}L", body, 16)
        return cls(sender, (rate & _MANTISSA) << (rate >> 18 & 0x3F), ssrcs)


def is_remb(body: bytes) -> bool:
    """Whether application layer feedback (format 15) is a REMB."""
    return body[8:12] == _REMB
