"""H.264 from RTP (RFC 6184, packetization modes 0 and 1): NAL units joined to access units.

An access unit is over when its marker says so, or when the timestamp changes. Some senders set the
marker on every slice, or never; so the marker is believed only after the timestamp has once changed
right after it, and never again after it has not. Until then a frame waits for the next packet.
"""

from itertools import takewhile

from slicer.rtp.codecs.assembly import Assembly
from slicer.rtp.codecs.frame import Frame
from slicer.rtp.codecs.h264_parameter_sets import PPS, SPS, ParameterSets
from slicer.rtp.parameters import Codec

_START_CODE = b"\x00\x00\x00\x01"
_IDR, _AUD, _STAP_A, _FU_A = 5, 9, 24, 28
_SLICES = frozenset(range(1, 6))


class H264Depacketizer:
    """One stream's access units in Annex B; an IDR that comes without parameter sets is given them.

    Right after a hole only an AUD or an SPS proves the start of an access unit. An IDR whose
    parameter sets are not known is given up, since nothing can decode it.
    """

    def __init__(self, codec: Codec) -> None:
        self._sets = ParameterSets(codec.format.get("sprop-parameter-sets", ""))
        self._open: _AccessUnit | None = None
        self._timestamp: int | None = None
        self._marked = False
        self._marker_ends: bool | None = None

    def push(self, payload: bytes, timestamp: int, marker: bool, contiguous: bool) -> Frame | None:
        """See VideoDepacketizer; an empty payload is a sender's padding."""
        known = contiguous and self._timestamp is not None
        if not payload:
            if not contiguous:
                self._open = self._timestamp = None
            return None
        changed, was_marked = timestamp != self._timestamp, self._marked
        self._learn(changed, known)
        self._timestamp, self._marked = timestamp, False
        unit, self._open = self._open, None
        nals = _whole_nals(payload)
        done = None
        if changed:
            whole = known or (was_marked and self._marker_ends)
            done = self._finish(unit) if whole else None
            unit = _AccessUnit(timestamp) if known or _prove_start(nals) else None
        elif not contiguous:
            unit = None
        for nal in nals:
            self._sets.note(nal)
        if unit is None:
            return done
        unit.add(payload, nals)
        # Some senders mark parameter sets: that neither ends a frame nor makes the marker a lie.
        self._marked = marker and unit.whole()
        if self._marked and self._marker_ends and done is None:
            return self._finish(unit)
        self._open = unit
        return done

    def _learn(self, changed: bool, known: bool) -> None:
        """Compare the last marker with what followed it."""
        if self._marked and known and not changed:
            self._marker_ends = False
        elif self._marked and known and self._marker_ends is None:
            self._marker_ends = True

    def _finish(self, unit: "_AccessUnit | None") -> Frame | None:
        if unit is None or not unit.whole():
            return None
        if _IDR in unit.kinds and not unit.kinds >= {SPS, PPS}:
            sets = self._sets.both()
            if not sets:
                return None
            unit.prepend(sets)
        return Frame(unit.assembly.timestamp, unit.assembly.join(), _IDR in unit.kinds)


class _AccessUnit:
    """One access unit on its way, with the kinds of NAL units in it."""

    def __init__(self, timestamp: int) -> None:
        self.assembly = Assembly(timestamp)
        self.kinds: set[int] = set()
        self._fragmented: int | None = None

    def add(self, payload: bytes, nals: list[bytes]) -> None:
        """Take a payload, and the NAL units wholly inside it. Raises ValueError."""
        if not nals:
            self._add_fragment(payload)
            return
        if self._fragmented is not None:
            raise ValueError("H.264 fragments end without their last one")
        for nal in nals:
            self._begin(nal[0] & 0x1F)
            self.assembly.add(nal)

    def _add_fragment(self, payload: bytes) -> None:
        """RFC 6184 5.8."""
        header = payload[1]
        kind = header & 0x1F
        if header & 0x80:
            if self._fragmented is not None:
                raise ValueError("H.264 fragments end without their last one")
            self._begin(kind)
            self.assembly.add(bytes([payload[0] & 0xE0 | kind]))
        elif self._fragmented != kind:
            raise ValueError("H.264 fragment without its first one")
        self.assembly.add(payload[2:])
        self._fragmented = None if header & 0x40 else kind

    def _begin(self, kind: int) -> None:
        self.kinds.add(kind)
        self.assembly.add(_START_CODE)

    def whole(self) -> bool:
        """Whether a decoder gets a picture out of it: a slice, and no fragment without its end."""
        return self._fragmented is None and not self.kinds.isdisjoint(_SLICES)

    def prepend(self, nals: list[bytes]) -> None:
        """Put NAL units ahead of all others but the access unit delimiter."""
        pieces = self.assembly.pieces
        # A piece is a start code or a NAL unit, so a leading delimiter is the first two.
        at = 2 if pieces[1][0] & 0x1F == _AUD else 0
        pieces[at:at] = [piece for nal in nals for piece in (_START_CODE, nal)]


def starts_keyframe(payload: bytes) -> bool:
    """Whether this payload holds an SPS or the beginning of an IDR picture."""
    try:
        nals = _whole_nals(payload)
        if not nals and payload[1] & 0x80:
            nals = [bytes([payload[1] & 0x1F]) + payload[2:]]
    except (ValueError, IndexError):
        return False
    return any(nal[0] & 0x1F == SPS or _is_first_idr_slice(nal) for nal in nals)


def _is_first_idr_slice(nal: bytes) -> bool:
    """first_mb_in_slice is 0, which as ue(v) is a single set bit (ITU-T H.264 7.3.3)."""
    return nal[0] & 0x1F == _IDR and len(nal) > 1 and bool(nal[1] & 0x80)


def _prove_start(nals: list[bytes]) -> bool:
    kinds = [nal[0] & 0x1F for nal in nals]
    # Only a delimiter and the like can have come before an SPS (ITU-T H.264 7.4.1.2.3): FFmpeg's
    # first payload holds SEI, SPS and PPS.
    return kinds[:1] == [_AUD] or SPS in takewhile(lambda kind: kind not in _SLICES, kinds)


def _whole_nals(payload: bytes) -> list[bytes]:
    """The NAL units wholly inside this payload: none for a fragment (RFC 6184 5.2). ValueError."""
    kind = payload[0] & 0x1F if payload else 0
    if kind == _FU_A:
        if len(payload) < 3 or not 0 < payload[1] & 0x1F < _STAP_A:
            raise ValueError("malformed H.264 fragment")
        return []
    if kind == _STAP_A:
        return _aggregated(payload)
    if not 0 < kind < _STAP_A:
        raise ValueError(f"H.264 payload of type {kind}")
    return [payload]


def _aggregated(payload: bytes) -> list[bytes]:
    """RFC 6184 5.7.1."""
    nals, position = [], 1
    while position < len(payload):
        start = position + 2
        position = start + int.from_bytes(payload[position:start], "big")
        nal = payload[start:position]
        if position > len(payload) or not nal or not 0 < nal[0] & 0x1F < _STAP_A:
            raise ValueError("malformed H.264 aggregation packet")
        nals.append(nal)
    if not nals:
        raise ValueError("empty H.264 aggregation packet")
    return nals
