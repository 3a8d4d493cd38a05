"""AV1 from RTP (RTP Payload Format For AV1, v1.0): OBU elements joined to temporal units.

Which spatial layers a temporal unit is made of is chosen as a keyframe comes, by the heights that
the frame headers of its layers tell, the lowest layer first, and holds until the next: a decoder
that was not given a layer cannot take it up between keyframes.
"""

from slicer.rtp.codecs.assembly import MAX_FRAME, MAX_PIECES, Boundary
from slicer.rtp.codecs.av1_sizes import Sequence, read_height, read_sequence
from slicer.rtp.codecs.frame import Frame
from slicer.rtp.codecs.obu import (
    FRAME,
    FRAME_HEADER,
    MAX_SPATIAL,
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
    marker, or where the next one begins: an SFU that goes down to a lower layer takes the marker
    away with those above.
    """

    def __init__(self, codec: Codec) -> None:
        self._layers = _Layers()
        self._boundary = Boundary()
        self._open: _TemporalUnit | None = None

    @property
    def height(self) -> int:
        """See VideoDepacketizer."""
        return self._layers.enough

    @height.setter
    def height(self, pixels: int) -> None:
        self._layers.enough = pixels

    def push(self, payload: bytes, timestamp: int, marker: bool, contiguous: bool) -> Frame | None:
        """See VideoDepacketizer; an empty payload is a sender's padding."""
        unit = self._open
        if unit is not None and not (contiguous or unit.over):
            unit = None
        if not payload:
            self._open = unit
            if not contiguous:
                self._boundary.forget()
            return None
        self._open = None
        first = self._boundary.passed(timestamp, marker, contiguous)
        elements = _elements(payload)
        done = None
        if unit is not None and (first or unit.over):
            done, unit = unit.frame() if unit.whole else None, None
        if first or payload[0] & (_N | _Z) == _N:
            unit = _TemporalUnit(timestamp, self._layers)
        if unit is None:
            return done
        unit.add(elements, bool(payload[0] & _Z), bool(payload[0] & _Y))
        if done is not None or not marker:
            unit.over = marker
            self._open = unit  # where it is over: a push gives one frame
            return done
        return unit.frame()


def starts_keyframe(payload: bytes) -> bool:
    """Whether a coded video sequence begins in this payload (N set, a sequence header first)."""
    try:
        first = _elements(payload)[0]
    except ValueError:
        return False
    kind = first[0] >> 3 & 0x0F if first else 0
    return payload[0] & (_N | _Z) == _N and kind in (SEQUENCE_HEADER, TEMPORAL_DELIMITER)


def height(payload: bytes) -> int:
    """Pixels of the largest frames, where a coded video sequence begins in this payload; else 0."""
    if not starts_keyframe(payload):
        return 0
    for element in _elements(payload):
        try:
            obu = read(element)
        except ValueError:  # a fragment, or of no bytes
            continue
        if obu.kind == SEQUENCE_HEADER:
            sequence = read_sequence(obu.body)
            return sequence.height if sequence else 0
    return 0


class _Layers:
    """Which spatial layers are taken. *enough*: so many pixels are; 0: all layers are wanted."""

    def __init__(self) -> None:
        self.enough = 0
        self.highest = MAX_SPATIAL

    def choose(self, frame: Obu, sequence: Sequence | None) -> None:
        """Look at the next frame of a keyframe: none is needed above one that is high enough."""
        if not self.enough or sequence is None or frame.spatial > self.highest:
            return
        if read_height(frame.body, sequence) >= self.enough:
            self.highest = frame.spatial


class _TemporalUnit:
    """One temporal unit on its way: the elements it is made of, the last one perhaps unfinished.
    *over*: nothing is to come, and it waits for the next push."""

    def __init__(self, timestamp: int, layers: _Layers) -> None:
        self.timestamp, self.over = timestamp, False
        self._layers = layers
        self._obus: list[Obu] = []
        self._fragments: list[bytes] = []
        self._size = self._pieces = 0
        self._has_sequence = self._still = self._has_frame = self._keyframe = False
        self._sequence: Sequence | None = None

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
        if not data or (obu := read(data)).kind in (TEMPORAL_DELIMITER, TILE_LIST):
            return
        if obu.kind == SEQUENCE_HEADER and not self._has_sequence:
            self._has_sequence, self._still = True, is_still(obu)
            self._sequence = read_sequence(obu.body)
        elif obu.kind in (FRAME_HEADER, FRAME):
            self._note_frame(obu)
        if obu.spatial <= self._layers.highest:
            self._obus.append(obu)

    def _note_frame(self, obu: Obu) -> None:
        if not self._has_frame:
            self._has_frame = True
            # AV1 specification 7.5: a sequence header, and a key frame as the first frame.
            self._keyframe = self._has_sequence and (self._still or is_key_frame(obu))
            if self._keyframe:
                self._layers.highest = MAX_SPATIAL
        if self._keyframe:
            self._layers.choose(obu, self._sequence)

    @property
    def whole(self) -> bool:
        """Whether it holds a frame, and does not end inside an OBU."""
        return self._has_frame and not self._fragments

    def frame(self) -> Frame | None:
        """The whole unit; None where all of its layers were left out. Raises ValueError."""
        if not self.whole:
            raise ValueError("AV1 temporal unit without a whole frame")
        if not any(obu.kind in (FRAME_HEADER, FRAME) for obu in self._obus):
            return None
        data = _DELIMITER + b"".join(obu.sized() for obu in self._obus)
        return Frame(self.timestamp, data, self._keyframe)


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
