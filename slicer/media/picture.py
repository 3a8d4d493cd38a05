"""Decodes a keyframe, or a run from one on, and makes its last frame a picture; or says why not."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import av

from slicer.errors import MediaError
from slicer.media import image, thumbnail, webp
from slicer.media.decoder import CODECS, MAX_PIXELS, GroupDecoder
from slicer.slicing.spec import ImageFormat

__all__ = ["CODECS", "MAX_PIXELS", "Picture", "decode", "write"]


class Picture(NamedTuple):
    """An image file, its size in pixels, and its thumbnail where that was asked for."""

    data: bytes
    width: int
    height: int
    thumbnail: bytes = b""


def write(
    codec: str,
    frames: Sequence[bytes],
    image_format: ImageFormat,
    orientation: int = 0,
    decoder: GroupDecoder | None = None,
    *,
    with_thumbnail: bool = False,
    unless: Callable[[bytes], bool] | None = None,
) -> Picture:
    """Make the last of *frames* a picture, and turn it (*orientation* as in PictureCut).

    Without *decoder* the first is a keyframe, of one of CODECS; with it they are the next ones of
    its group. A VP8 keyframe alone becomes WebP without being decoded, and has no thumbnail. Where
    *unless* says so of the thumbnail, the picture is not encoded: it has no data. Raises MediaError
    for what does not decode without a fault.
    """
    alone = len(frames) == 1 and (decoder is None or decoder.fresh)
    if decoder is not None:
        decoder.add(frames)
    if codec == "vp8" and alone:
        width, height = webp.parse(frames[0])
        _check_size(codec, width, height)
        if image_format is ImageFormat.WEBP and not orientation:
            return Picture(webp.wrap(frames[0]), width, height)
    frame = decode(codec, frames) if decoder is None else decoder.picture()
    frame = image.turned(frame, orientation)
    small = thumbnail.make(frame) if with_thumbnail or unless else b""
    if unless is not None and unless(small):
        return Picture(b"", frame.width, frame.height, small)
    return Picture(image.encode(frame, image_format), frame.width, frame.height, small)


def decode(codec: str, frames: Sequence[bytes]) -> av.VideoFrame:
    """The last of *frames*, decoded on this thread. Raises MediaError."""
    decoder = GroupDecoder(codec)
    decoder.add(frames)
    return decoder.picture()


def _check_size(codec: str, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        size = f"{width} x {height} pixels"
        raise MediaError(f"{codec} frame of {size}; allowed: {MAX_PIXELS} pixels")
