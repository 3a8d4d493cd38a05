"""The NAL units in RTP payloads, as RFC 6184 has them for H.264 and RFC 7798 for H.265."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile


@dataclass(frozen=True, slots=True)
class NalFormat:
    """What the two differ in; *kinds* are the numbers of nal_unit_type."""

    name: str
    header: int
    """Bytes of a NAL unit's header; the kind lies in the first one."""
    shift: int
    mask: int
    units: range
    """Kinds of NAL units; those past it are of payloads alone."""
    aggregation: int
    fragmentation: int
    delimiter: int
    sets: tuple[int, ...]
    """Parameter sets, as they refer to each other. Only a delimiter comes before the first."""
    slices: frozenset[int]
    keyframes: frozenset[int]
    """Slices of the pictures that a decoder may begin with."""
    skipped: frozenset[int]
    """Slices of pictures that cannot be decoded from the last keyframe on."""
    number: Callable[[bytes], int | None]
    """The id of a parameter set, None where it cannot be read."""

    def kind(self, nal: bytes) -> int:
        """Of a NAL unit or a payload, by its first byte."""
        return nal[0] >> self.shift & self.mask

    def fragment_kind(self, payload: bytes) -> int:
        """Of the NAL unit that this payload has a fragment of."""
        return payload[self.header] & self.mask

    def fragment_header(self, payload: bytes) -> bytes:
        """Of the NAL unit that begins in this fragment (RFC 6184 5.8, RFC 7798 4.4.3)."""
        other_bits = payload[0] & ~(self.mask << self.shift)
        first = other_bits | self.fragment_kind(payload) << self.shift
        return bytes([first]) + payload[1 : self.header]

    def whole_nals(self, payload: bytes) -> list[bytes]:
        """The NAL units wholly inside this payload: none for a fragment. Raises ValueError.

        RFC 6184 5.2, RFC 7798 4.4.
        """
        if len(payload) < self.header:
            raise ValueError(f"{self.name} payload of {len(payload)} bytes")
        kind = self.kind(payload)
        if kind == self.fragmentation:
            if len(payload) < self.header + 2 or self.fragment_kind(payload) not in self.units:
                raise ValueError(f"malformed {self.name} fragment")
            return []
        if kind == self.aggregation:
            return self._aggregated(payload)
        if kind not in self.units:
            raise ValueError(f"{self.name} payload of type {kind}")
        return [payload]

    def unsupported(self, payload: bytes) -> bool:
        """Whether a payload is refused for its type alone, such as those of H.264's interleaved
        mode (STAP-B, MTAP, FU-B) and H.265's PACI."""
        known = (self.aggregation, self.fragmentation)
        kind = self.kind(payload) if len(payload) >= self.header else self.aggregation
        return kind not in self.units and kind not in known

    def _aggregated(self, payload: bytes) -> list[bytes]:
        """RFC 6184 5.7.1, RFC 7798 4.4.2."""
        nals, position = [], self.header
        while position < len(payload):
            start = position + 2
            position = start + int.from_bytes(payload[position:start], "big")
            nal = payload[start:position]
            cut_off = position > len(payload) or len(nal) < self.header
            if cut_off or self.kind(nal) not in self.units:
                raise ValueError(f"malformed {self.name} aggregation packet")
            nals.append(nal)
        if not nals:
            raise ValueError(f"empty {self.name} aggregation packet")
        return nals

    def proves_start(self, nals: list[bytes]) -> bool:
        """Whether nothing of the access unit came before these: also right after a hole."""
        kinds = [self.kind(nal) for nal in nals]
        # Only a delimiter and the like can have come before the first parameter set (ITU-T H.264
        # 7.4.1.2.3, H.265 7.4.2.4.4): FFmpeg's first payload holds SEI, SPS and PPS.
        ahead = takewhile(lambda kind: kind not in self.slices, kinds)
        return kinds[:1] == [self.delimiter] or self.sets[0] in ahead

    def starts_keyframe(self, payload: bytes) -> bool:
        """Whether this payload holds the first parameter set or the beginning of a keyframe."""
        try:
            nals = self.whole_nals(payload)
        except ValueError:
            return False
        if not nals and payload[self.header] & 0x80:
            nals = [self.fragment_header(payload) + payload[self.header + 1 :]]
        return any(self._begins_keyframe(nal) for nal in nals)

    def _begins_keyframe(self, nal: bytes) -> bool:
        if self.kind(nal) == self.sets[0]:
            return True
        # The first bit of a slice says that it is the first of its picture: H.264 7.3.3 has
        # first_mb_in_slice there, which as ue(v) is 0 by a single set bit, H.265 7.3.6.1
        # first_slice_segment_in_pic_flag.
        first = len(nal) > self.header and nal[self.header] & 0x80
        return bool(first) and self.kind(nal) in self.keyframes


def exp_golomb(data: bytes) -> int | None:
    """The ue(v) at the head of *data* (ITU-T H.264 9.1, H.265 9.2); None where it is cut off or
    absurd."""
    bits = int.from_bytes(data[:4].ljust(4, b"\0"), "big")
    zeros = 32 - bits.bit_length()
    end = 2 * zeros + 1
    if end > 8 * min(len(data), 4):
        return None
    return (bits >> 32 - end) - 1
