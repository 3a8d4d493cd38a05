"""VP9 from RTP (RFC 9628): layer frames joined to pictures, spatial layers to superframes.

Which spatial layers a picture is made of is chosen where a keyframe begins, by the heights that its
scalability structure tells, and holds until the next: a decoder that was not given a layer cannot
take it up between keyframes.
"""

from typing import NamedTuple

from slicer.rtp.codecs.assembly import Assembly, Boundary
from slicer.rtp.codecs.frame import Frame
from slicer.rtp.parameters import Codec

_MAX_LAYERS = 8
_ALL = _MAX_LAYERS - 1


class Vp9Depacketizer:
    """One stream's VP9 pictures: all spatial layers of one timestamp, up to the marker.

    A picture begins with the base layer, or right after the end of another one, since an SFU may
    have taken the base layer away. Where layers are left out, it ends with the highest one taken,
    and not only at the marker. An SFU that goes down to a lower layer takes the marker away with
    those above: then whole layers are a picture as the next one comes.
    """

    def __init__(self, codec: Codec) -> None:
        self.height = 0
        self._highest = _ALL
        self._boundary = Boundary()
        self._open: _Picture | None = None

    def push(self, payload: bytes, timestamp: int, marker: bool, contiguous: bool) -> Frame | None:
        """See VideoDepacketizer; an empty payload is a sender's padding."""
        picture = self._open
        if picture is not None and not (contiguous or picture.over):
            picture = None
        if not payload:
            self._open = picture
            if not contiguous:
                self._boundary.forget()
            return None
        self._open = None
        first = self._boundary.passed(timestamp, marker, contiguous)
        descriptor = _descriptor(payload)
        data = payload[descriptor.length :]
        done = None
        if picture is not None and (picture.over or picture.assembly.timestamp != timestamp):
            done, picture = picture.frame() if picture.ended else None, None
        if descriptor.begins and (first or descriptor.spatial == 0):
            picture = _Picture(timestamp, _begins_keyframe(descriptor, data))
            if picture.keyframe:
                self._highest = _lowest_enough(descriptor.heights, self.height)
        if picture is None:
            return done
        if descriptor.spatial <= self._highest:
            picture.add(descriptor, data)
        picture.ended |= marker
        picture.over = marker or (descriptor.ends and descriptor.spatial == self._highest)
        if done is not None or not picture.over:
            self._open = picture  # where it is over: a push gives one frame
            return done
        return picture.frame()


def height(payload: bytes) -> int:
    """Pixels of the highest spatial layer, where a keyframe begins in this payload and tells; else
    0."""
    if not starts_keyframe(payload):
        return 0
    return max(_descriptor(payload).heights, default=0)


def starts_keyframe(payload: bytes) -> bool:
    """Whether the base layer of a key picture begins in this payload."""
    try:
        descriptor = _descriptor(payload)
        return _begins_keyframe(descriptor, payload[descriptor.length :])
    except ValueError:
        return False


class _Descriptor(NamedTuple):
    """*heights*: of each spatial layer, from the base layer on, where they are told."""

    begins: bool
    ends: bool
    predicted: bool
    spatial: int
    heights: tuple[int, ...]
    length: int


class _Picture:
    """One picture on its way: its bytes, and where each layer frame begins in them. *ended*: the
    last one of them is whole. *over*: none is to come, and it waits for the next push."""

    def __init__(self, timestamp: int, keyframe: bool) -> None:
        self.assembly = Assembly(timestamp)
        self.keyframe, self.ended, self.over = keyframe, False, False
        self._starts: list[int] = []

    def add(self, descriptor: _Descriptor, data: bytes) -> None:
        if descriptor.begins:
            if len(self._starts) == _MAX_LAYERS:
                raise ValueError(f"VP9 picture of more than {_MAX_LAYERS} layer frames")
            self._starts.append(self.assembly.size)
        self.assembly.add(data)
        self.ended = descriptor.ends

    def frame(self) -> Frame | None:
        """The whole picture; None where all of its layers were left out."""
        if not self._starts:
            return None
        if len(self._starts) > 1:
            ends = [*self._starts[1:], self.assembly.size]
            sizes = [end - start for start, end in zip(self._starts, ends, strict=True)]
            self.assembly.add(_superframe_index(sizes))
        return Frame(self.assembly.timestamp, self.assembly.join(), self.keyframe)


def _lowest_enough(heights: tuple[int, ...], height: int) -> int:
    """The lowest layer that is so high; all where none is, or where nothing is wanted or told."""
    enough = (layer for layer, one in enumerate(heights) if one >= height)
    return next(enough, _ALL) if height else _ALL


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
        heights: tuple[int, ...] = ()
        predicted, flexible = bool(required & 0x40), bool(required & 0x10)
        if required & 0x80:
            position += 2 if payload[position] & 0x80 else 1
        if required & 0x20:
            spatial = payload[position] >> 1 & 7
            position += 1 if flexible else 2
        if flexible and predicted:
            position = _after_references(payload, position)
        if required & 0x02:
            heights, position = _structure(payload, position)
    except IndexError:
        raise ValueError("VP9 payload descriptor is cut off") from None
    if position >= len(payload):
        raise ValueError("VP9 payload holds no data")
    begins, ends = bool(required & 0x08), bool(required & 0x04)
    return _Descriptor(begins, ends, predicted, spatial, heights, position)


def _after_references(payload: bytes, position: int) -> int:
    for _ in range(3):
        position += 1
        if not payload[position - 1] & 1:
            return position
    raise ValueError("VP9 payload descriptor with more than three references")


def _structure(payload: bytes, position: int) -> tuple[tuple[int, ...], int]:
    """The layers' heights in the scalability structure, and its end (RFC 9628 4.2.1)."""
    head = payload[position]
    position += 1
    heights: tuple[int, ...] = ()
    if head & 0x10:
        sizes = range(position, position + 4 * ((head >> 5) + 1), 4)
        heights = tuple(payload[at + 2] << 8 | payload[at + 3] for at in sizes)
        position = sizes.stop
    if head & 0x08:
        pictures = payload[position]
        position += 1
        for _ in range(pictures):
            position += 1 + (payload[position] >> 2 & 3)
    return heights, position
