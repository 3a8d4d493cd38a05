"""VP9 from RTP (RFC 9628): layer frames joined to pictures, spatial layers to superframes."""

from typing import NamedTuple

from slicer.rtp.codecs.assembly import Assembly, Boundary
from slicer.rtp.codecs.frame import Frame
from slicer.rtp.parameters import Codec

_MAX_LAYERS = 8


class Vp9Depacketizer:
    """One stream's VP9 pictures: all spatial layers of one timestamp, up to the marker.

    A picture begins with the base layer, or right after the end of another one, since an SFU may
    have taken the base layer away.
    """

    def __init__(self, codec: Codec) -> None:
        self._boundary = Boundary()
        self._open: _Picture | None = None

    def push(self, payload: bytes, timestamp: int, marker: bool, contiguous: bool) -> Frame | None:
        """See VideoDepacketizer; an empty payload is a sender's padding."""
        picture = self._open if contiguous else None
        if not payload:
            self._open = picture
            if not contiguous:
                self._boundary.forget()
            return None
        self._open = None
        first = self._boundary.passed(timestamp, marker, contiguous)
        descriptor = _descriptor(payload)
        if descriptor.begins and (first or descriptor.spatial == 0):
            picture = _Picture(timestamp)
        if picture is None or picture.assembly.timestamp != timestamp:
            return None
        picture.add(descriptor, payload[descriptor.length :])
        if not marker:
            self._open = picture
            return None
        return picture.frame()


def starts_keyframe(payload: bytes) -> bool:
    """Whether the base layer of a key picture begins in this payload."""
    try:
        descriptor = _descriptor(payload)
        return _begins_keyframe(descriptor, payload[descriptor.length :])
    except ValueError:
        return False


class _Descriptor(NamedTuple):
    begins: bool
    predicted: bool
    spatial: int
    length: int


class _Picture:
    """One picture on its way: its bytes, and where each layer frame begins in them."""

    def __init__(self, timestamp: int) -> None:
        self.assembly = Assembly(timestamp)
        self._starts: list[int] = []
        self._keyframe = False

    def add(self, descriptor: _Descriptor, data: bytes) -> None:
        if descriptor.begins:
            if not self._starts:
                self._keyframe = _begins_keyframe(descriptor, data)
            if len(self._starts) == _MAX_LAYERS:
                raise ValueError(f"VP9 picture of more than {_MAX_LAYERS} layer frames")
            self._starts.append(self.assembly.size)
        self.assembly.add(data)

    def frame(self) -> Frame:
        if len(self._starts) > 1:
            ends = [*self._starts[1:], self.assembly.size]
            sizes = [end - start for start, end in zip(self._starts, ends, strict=True)]
            self.assembly.add(_superframe_index(sizes))
        return Frame(self.assembly.timestamp, self.assembly.join(), self._keyframe)


def _superframe_index(sizes: list[int]) -> bytes:
    """What tells a decoder the layer frames apart (VP9 bitstream specification, annex B)."""
    width = (max(sizes).bit_length() + 7) // 8
    marker = bytes([0xC0 | (width - 1) << 3 | (len(sizes) - 1)])
    return marker + b"".join(size.to_bytes(width, "little") for size in sizes) + marker


def _begins_keyframe(descriptor: _Descriptor, data: bytes) -> bool:
    """P clear on the base layer's start (RFC 9628 4.2), and the frame itself says so too.

    P alone is not enough: it is clear on intra-only frames, and FFmpeg's packetizer never sets it.
    """
    if not descriptor.begins or descriptor.predicted or descriptor.spatial:
        return False
    header = data[0]
    if header >> 6 != 0b10:
        raise ValueError("VP9 frame without its marker")
    # Profile 3 puts a reserved bit before show_existing_frame and frame_type.
    key = header >> 1 if header & 0x30 == 0x30 else header >> 2
    return key & 0b11 == 0


def _descriptor(payload: bytes) -> _Descriptor:
    """The payload descriptor (RFC 9628 4.2). Raises ValueError."""
    try:
        required, position, spatial = payload[0], 1, 0
        predicted, flexible = bool(required & 0x40), bool(required & 0x10)
        if required & 0x80:
            position += 2 if payload[position] & 0x80 else 1
        if required & 0x20:
            spatial = payload[position] >> 1 & 7
            position += 1 if flexible else 2
        if flexible and predicted:
            position = _after_references(payload, position)
        if required & 0x02:
            position = _after_structure(payload, position)
    except IndexError:
        raise ValueError("VP9 payload descriptor is cut off") from None
    if position >= len(payload):
        raise ValueError("VP9 payload holds no data")
    return _Descriptor(bool(required & 0x08), predicted, spatial, position)


def _after_references(payload: bytes, position: int) -> int:
    for _ in range(3):
        position += 1
        if not payload[position - 1] & 1:
            return position
    raise ValueError("VP9 payload descriptor with more than three references")


def _after_structure(payload: bytes, position: int) -> int:
    """The end of the scalability structure (RFC 9628 4.2.1)."""
    head = payload[position]
    position += 1
    if head & 0x10:
        position += 4 * ((head >> 5) + 1)
    if head & 0x08:
        pictures = payload[position]
        position += 1
        for _ in range(pictures):
            position += 1 + (payload[position] >> 2 & 3)
    return position
