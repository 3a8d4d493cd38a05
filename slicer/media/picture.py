"""Decodes a keyframe, or a run from one on, and makes its last frame a picture; or says why not."""

from collections.abc import Sequence
from typing import NamedTuple, cast

import av

from slicer.errors import MediaError
from slicer.media import image, webp
from slicer.slicing.spec import ImageFormat

MAX_PIXELS = 8_192 * 4_352
"""A larger frame is refused, by every way to a picture, before memory is taken for it; 8K fits."""

_DECODERS = {"vp8": "vp8", "vp9": "vp9", "h264": "h264", "av1": "libdav1d", "h265": "hevc"}
CODECS = frozenset(_DECODERS)
# Stop at the first fault: FFmpeg would else paint over what it could not decode.
_OPTIONS = {
    "err_detect": "crccheck+bitstream+buffer+explode",
    "max_pixels": str(MAX_PIXELS),
}


class Picture(NamedTuple):
    """An image file and its size in pixels."""

    data: bytes
    width: int
    height: int


def write(codec: str, frames: Sequence[bytes], image_format: ImageFormat) -> Picture:
    """Make the last of *frames* a picture; the first is a keyframe, one of CODECS.

    A VP8 keyframe alone becomes WebP without being decoded. Raises MediaError for what does not
    decode without a fault.
    """
    if codec == "vp8" and len(frames) == 1:
        width, height = webp.parse(frames[0])
        _check_size(codec, width, height)
        if image_format is ImageFormat.WEBP:
            return Picture(webp.wrap(frames[0]), width, height)
    frame = decode(codec, frames)
    return Picture(image.encode(frame, image_format), frame.width, frame.height)


def decode(codec: str, frames: Sequence[bytes]) -> av.VideoFrame:
    """The last of *frames*, decoded on this thread. Raises MediaError."""
    # A decoder of its own: one that is kept saves 1 to 3 %, and would decode a keyframe that lost
    # its parameter sets with another anchor's. More threads than one cost more CPU for one frame.
    context = cast(av.VideoCodecContext, av.CodecContext.create(_DECODERS[codec], "r"))
    context.thread_count = 1
    context.options = _OPTIONS
    last = None
    try:
        for number, data in enumerate(frames):
            packet = av.Packet(data)
            packet.pts = number
            for last in context.decode(packet):
                _check(codec, last)
        for last in context.decode(None):
            _check(codec, last)
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"{codec} frame of {len(data)} bytes: {error}") from error
    if last is None or last.pts != len(frames) - 1:
        raise MediaError(f"{codec} decoder gave no picture for the last of {len(frames)} frames")
    return last


def _check_size(codec: str, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        size = f"{width} x {height} pixels"
        raise MediaError(f"{codec} frame of {size}; allowed: {MAX_PIXELS} pixels")


def _check(codec: str, frame: av.VideoFrame) -> None:
    if frame.is_corrupt:
        raise MediaError(f"{codec} frame decoded with errors")
