"""VP8 from RTP (RFC 7741): payload descriptors off, partitions joined to frames."""

from slicer.rtp.codecs.assembly import Assembly
from slicer.rtp.codecs.frame import Frame
from slicer.rtp.parameters import Codec

_START_CODE = b"\x9d\x01\x2a"
_KEYFRAME_HEADER = 10
_SIZE = 0x3FFF  # the bits above are for scaling


class Vp8Depacketizer:
    """One stream's frames: each begins where S is set on partition 0, and ends at the marker."""

    def __init__(self, codec: Codec) -> None:
        self.height = 0
        self._open: Assembly | None = None

    def push(self, payload: bytes, timestamp: int, marker: bool, contiguous: bool) -> Frame | None:
        """See VideoDepacketizer; an empty payload is a sender's padding."""
        frame = self._open if contiguous else None
        if not payload:
            self._open = frame
            return None
        self._open = None
        begins, length = _descriptor(payload)
        if begins:
            frame = Assembly(timestamp)
        if frame is None or frame.timestamp != timestamp:
            return None
        frame.add(payload[length:])
        if not marker:
            self._open = frame
            return None
        data = frame.join()
        return Frame(timestamp, data, _is_keyframe(data))


def starts_keyframe(payload: bytes) -> bool:
    """Whether a keyframe begins in this payload."""
    try:
        begins, length = _descriptor(payload)
        return begins and _is_keyframe(payload[length:])
    except ValueError:
        return False


def height(payload: bytes) -> int:
    """Pixels of the pictures, where a keyframe begins in this payload (RFC 6386 9.1); else 0."""
    if not starts_keyframe(payload):
        return 0
    _, length = _descriptor(payload)
    return int.from_bytes(payload[length + 8 : length + _KEYFRAME_HEADER], "little") & _SIZE


def _descriptor(payload: bytes) -> tuple[bool, int]:
    """Whether the first partition begins here, and the descriptor's length (RFC 7741 4.2)."""
    try:
        required, length = payload[0], 1
        if required & 0x80:
            extended, length = payload[1], 2
            if extended & 0x80:
                length += 2 if payload[length] & 0x80 else 1
            if extended & 0x40:
                length += 1
            if extended & 0x30:
                length += 1
    except IndexError:
        raise ValueError("VP8 payload descriptor is cut off") from None
    if length >= len(payload):
        raise ValueError("VP8 payload holds no data")
    return required & 0x17 == 0x10, length


def _is_keyframe(data: bytes) -> bool:
    """The inverse key frame flag, P (RFC 7741 4.3). ValueError where the start code is wrong."""
    if data[0] & 1:
        return False
    if len(data) < _KEYFRAME_HEADER or data[3:6] != _START_CODE:
        raise ValueError("VP8 keyframe without its start code")
    return True
