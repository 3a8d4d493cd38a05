"""NAL units joined to access units, for H.264 and H.265.

An access unit ends with the marker bit, or when the timestamp changes. Some senders set the marker
on every slice, or never. So the marker is trusted only after the timestamp has changed right behind
one, and never again after it has not. Until it is trusted, a frame waits for the next packet.
"""

from slicer.rtp.codecs.assembly import Assembly
from slicer.rtp.codecs.frame import Frame
from slicer.rtp.codecs.nal import NalFormat
from slicer.rtp.codecs.parameter_sets import ParameterSets

_START_CODE = b"\x00\x00\x00\x01"


class NalDepacketizer:
    """One stream's access units in Annex B; a keyframe without parameter sets gets them.

    Right after a hole only a delimiter or the first parameter set proves the start of an access
    unit. Where the description alone has the sets, the first slice of a keyframe does so, too: what
    came before it was no part of the picture, and no set that it needs. A keyframe whose parameter
    sets are not known is given as bare: nothing can decode it.
    """

    def __init__(self, nals: NalFormat, sprop: str) -> None:
        """*sprop*: as Codec.parameter_sets."""
        self.height = 0
        self._nals = nals
        self._sets = ParameterSets(nals, sprop)
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
        nals = self._nals.whole_nals(payload)
        done = None
        if changed:
            whole = known or (was_marked and self._marker_ends)
            done = self._finish(unit) if whole else None
            begins = known or self._nals.proves_start(nals)
            unit = _AccessUnit(self._nals, timestamp) if begins else None
        elif not contiguous:
            unit = None
        if unit is None and self._sets.described and self._nals.starts_keyframe(payload):
            unit = _AccessUnit(self._nals, timestamp)
        for nal in nals:
            self._sets.note(nal)
        if unit is None:
            return done
        unit.add(payload, nals)
        # Some senders mark parameter sets. That ends no frame, and says nothing against the marker.
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
        if unit is None or not unit.whole() or not unit.kinds.isdisjoint(self._nals.skipped):
            return None
        keyframe = not unit.kinds.isdisjoint(self._nals.keyframes)
        if keyframe and not unit.kinds.issuperset(self._nals.sets):
            sets = self._sets.all()
            if not sets:
                return Frame(unit.assembly.timestamp, b"", keyframe, bare=True)
            unit.prepend(sets)
        return Frame(unit.assembly.timestamp, unit.assembly.join(), keyframe)


class _AccessUnit:
    """One access unit on its way, with the kinds of NAL units in it."""

    def __init__(self, nals: NalFormat, timestamp: int) -> None:
        self.assembly = Assembly(timestamp)
        self.kinds: set[int] = set()
        self._nals = nals
        self._fragmented: int | None = None

    def add(self, payload: bytes, nals: list[bytes]) -> None:
        """Take a payload, and the NAL units wholly inside it. Raises ValueError."""
        if not nals:
            self._add_fragment(payload)
            return
        if self._fragmented is not None:
            raise ValueError(f"{self._nals.name} fragments end without their last one")
        for nal in nals:
            self._begin(self._nals.kind(nal))
            self.assembly.add(nal)

    def _add_fragment(self, payload: bytes) -> None:
        """RFC 6184 5.8, RFC 7798 4.4.3."""
        flags, kind = payload[self._nals.header], self._nals.fragment_kind(payload)
        if flags & 0x80:
            if self._fragmented is not None:
                raise ValueError(f"{self._nals.name} fragments end without their last one")
            self._begin(kind)
            self.assembly.add(self._nals.fragment_header(payload))
        elif self._fragmented != kind:
            raise ValueError(f"{self._nals.name} fragment without its first one")
        self.assembly.add(payload[self._nals.header + 1 :])
        self._fragmented = None if flags & 0x40 else kind

    def _begin(self, kind: int) -> None:
        self.kinds.add(kind)
        self.assembly.add(_START_CODE)

    def whole(self) -> bool:
        """Whether a decoder gets a picture out of it: a slice, and no fragment without its end."""
        return self._fragmented is None and not self.kinds.isdisjoint(self._nals.slices)

    def prepend(self, nals: list[bytes]) -> None:
        """Put NAL units ahead of all others but the access unit delimiter."""
        pieces = self.assembly.pieces
        # A piece is a start code or a NAL unit, so a leading delimiter is the first two.
        at = 2 if self._nals.kind(pieces[1]) == self._nals.delimiter else 0
        pieces[at:at] = [piece for nal in nals for piece in (_START_CODE, nal)]
