"""AV1 from RTP (RTP Payload Format For AV1, v1.0): OBU elements joined to temporal units."""

from slicer.rtp.codecs.assembly import MAX_FRAME, MAX_PIECES, Boundary
from slicer.rtp.codecs.frame import Frame
from slicer.rtp.codecs.obu import (
    FRAME,
    FRAME_HEADER,
    SEQUENCE_HEADER,
    TEMPORAL_DELIMITER,
    TILE_LIST,
    Obu,
    is_key_frame,
    is_still,
    read,
    read_leb128,
)
from slicer.rtp.parameters import Codec

_DELIMITER = b"\x12\x00"
_Z, _Y, _N = 0x80, 0x40, 0x08


class Av1Depacketizer:
    """One stream's temporal units, in the low-overhead format with sizes.

    A temporal unit begins where N is set or right after the end of another one, and ends at the
    marker.
    """

    def __init__(self, codec: Codec) -> None:
        self.height = 0
        self._boundary = Boundary()
        self._open: _TemporalUnit | None = None

    def push(self, payload: bytes, timestamp: int, marker: bool, contiguous: bool) -> Frame | None:
        """See VideoDepacketizer; an empty payload is a sender's padding."""
        unit = self._open if contiguous else None
        if not payload:
            self._open = unit
            if not contiguous:
                self._boundary.forget()
            return None
        self._open = None
        first = self._boundary.passed(timestamp, marker, contiguous)
        elements = _elements(payload)
        if first or payload[0] & (_N | _Z) == _N:
            unit = _TemporalUnit(timestamp)
        if unit is None:
            return None
        unit.add(elements, bool(payload[0] & _Z), bool(payload[0] & _Y))
        if not marker:
            self._open = unit
            return None
        return unit.frame()


def starts_keyframe(payload: bytes) -> bool:
    """Whether a coded video sequence begins in this payload (N set, a sequence header first)."""
    try:
        first = _elements(payload)[0]
    except ValueError:
        return False
    kind = first[0] >> 3 & 0x0F if first else 0
    return payload[0] & (_N | _Z) == _N and kind in (SEQUENCE_HEADER, TEMPORAL_DELIMITER)


class _TemporalUnit:
    """One temporal unit on its way: the elements it is made of, the last one perhaps unfinished."""

    def __init__(self, timestamp: int) -> None:
        self.timestamp = timestamp
        self._obus: list[Obu] = []
        self._fragments: list[bytes] = []
        self._size = self._pieces = 0

    def add(self, elements: list[bytes], continues: bool, continued: bool) -> None:
        """Take one packet's elements: the first *continues* the last, the last is *continued*."""
        if continues != bool(self._fragments):
            raise ValueError("AV1 fragments do not fit together")
        self._size += sum(map(len, elements))
        self._pieces += len(elements)
        if self._size > MAX_FRAME or self._pieces > MAX_PIECES:
            raise ValueError(f"frame over {MAX_FRAME} bytes or {MAX_PIECES} pieces")
        last = len(elements) - 1
        for index, element in enumerate(elements):
            self._fragments.append(element)
            if index < last or not continued:
                self._finish()

    def _finish(self) -> None:
        data = b"".join(self._fragments)
        self._fragments.clear()
        # An element of no bytes is allowed, and means nothing.
        if data and (obu := read(data)).kind not in (TEMPORAL_DELIMITER, TILE_LIST):
            self._obus.append(obu)

    def frame(self) -> Frame:
        """The whole unit. Raises ValueError where it ends inside an OBU or holds no frame."""
        if self._fragments or not any(obu.kind in (FRAME_HEADER, FRAME) for obu in self._obus):
            raise ValueError("AV1 temporal unit without a whole frame")
        data = _DELIMITER + b"".join(obu.sized() for obu in self._obus)
        return Frame(self.timestamp, data, self._is_keyframe())

    def _is_keyframe(self) -> bool:
        """A sequence header, and a key frame as the first frame (AV1 specification 7.5)."""
        sequence = next((obu for obu in self._obus if obu.kind == SEQUENCE_HEADER), None)
        first = next(obu for obu in self._obus if obu.kind in (FRAME_HEADER, FRAME))
        return sequence is not None and (is_still(sequence) or is_key_frame(first))


def _elements(payload: bytes) -> list[bytes]:
    """The OBU elements behind an aggregation header (section 4.3 and 4.4). Raises ValueError."""
    if len(payload) < 2:
        raise ValueError("AV1 payload holds no data")
    if payload[0] & _N and payload[0] & _Z:
        raise ValueError("AV1 sequence begins inside an OBU")
    count, position = payload[0] >> 4 & 3, 1
    elements: list[bytes] = []
    while position < len(payload):
        if count and len(elements) == count - 1:
            size = len(payload) - position
        else:
            size, position = read_leb128(payload, position)
        if position + size > len(payload):
            raise ValueError("AV1 OBU element is longer than its packet")
        elements.append(payload[position : position + size])
        position += size
    if count and len(elements) != count:
        raise ValueError("AV1 packet with fewer OBU elements than it says")
    return elements
