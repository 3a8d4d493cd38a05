"""Stores a VP8 keyframe as WebP without decoding it: WebP is one VP8 keyframe in a RIFF file."""

from struct import pack
from typing import NamedTuple

from slicer.errors import MediaError

_HEADER = 10
_START_CODE = b"\x9d\x01\x2a"


class Keyframe(NamedTuple):
    """Size in pixels, as a VP8 keyframe's header says (RFC 6386 9.1)."""

    width: int
    height: int


def parse(frame: bytes) -> Keyframe:
    """Read a VP8 keyframe's header. Raises MediaError unless it is one that is whole and shown.

    The length of its last partition is written nowhere: a frame cut off there passes.
    """
    if len(frame) < _HEADER:
        raise MediaError(f"a VP8 frame of {len(frame)} bytes")
    tag = int.from_bytes(frame[:3], "little")
    if tag & 1:
        raise MediaError("a VP8 frame that is no keyframe")
    if tag >> 1 & 7 > 3 or not tag >> 4 & 1 or frame[3:6] != _START_CODE:
        raise MediaError("no VP8 keyframe header")
    if _HEADER + (tag >> 5) >= len(frame):
        raise MediaError("a VP8 keyframe cut off in its first partition")
    # The upper two bits ask for scaling after decoding. Neither WebP nor browsers do it.
    width = int.from_bytes(frame[6:8], "little") & 0x3FFF
    height = int.from_bytes(frame[8:10], "little") & 0x3FFF
    if not width or not height:
        raise MediaError(f"a VP8 keyframe of {width} x {height} pixels")
    return Keyframe(width, height)


def wrap(frame: bytes) -> bytes:
    """The simple file format of RFC 9649 2.5 around a VP8 keyframe that `parse` has accepted."""
    padding = b"\0" * (len(frame) % 2)
    chunk = b"VP8 " + pack("<I", len(frame)) + frame + padding
    return b"RIFF" + pack("<I", len(chunk) + 4) + b"WEBP" + chunk
