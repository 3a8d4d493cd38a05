"""Encodes one decoded frame as PNG, JPEG or WebP, in its own size and true colours."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace

from slicer.errors import MediaError
from slicer.slicing.spec import ImageFormat

try:
    import fpng_py
    import simplejpeg
except ImportError:
    FAST = False
else:
    FAST = True
"""The extra `fast` is there: PNG costs a tenth of FFmpeg's, JPEG half to three quarters."""

PNG_LEVEL = "1"
JPEG_QUALITY = 85
"""Of libjpeg, 1 to 100."""
JPEG_SCALE = 4
"""Of FFmpeg's encoder, 2 (best) to 31; 4 comes near to JPEG_QUALITY."""
WEBP_QUALITY = "80"
WEBP_EFFORT = "0"
"""Of libwebp, 0 to 6: 4 takes six times as long and saves nothing on camera pictures."""

_UNKNOWN_SPACE = 2


def encode(frame: av.VideoFrame, image_format: ImageFormat) -> bytes:
    """Encode; raises MediaError where the format cannot hold the picture."""
    try:
        return _ENCODERS[image_format](frame)
    except (av.FFmpegError, ValueError) as error:
        size = f"{frame.width} x {frame.height}"
        raise MediaError(f"no {image_format.name} of {size} pixels: {error}") from error


def _png(frame: av.VideoFrame) -> bytes:
    rgb = _convert(frame, "rgb24", full_range=True)
    if FAST:
        pixels = rgb.to_ndarray().tobytes()
        return bytes(fpng_py.fpng_encode_image_to_memory(pixels, rgb.width, rgb.height, 3))
    return _coded("png", rgb, {"compression_level": PNG_LEVEL})


def _jpeg(frame: av.VideoFrame) -> bytes:
    # JFIF 1.02: BT.601, full range; H.264 and VP8 from cameras are of limited range.
    full = _convert(frame, "yuvj420p", full_range=True)
    # libjpeg-turbo reads planes of an odd size as if they were padded to an even one.
    if FAST and not (full.width % 2 or full.height % 2):
        planes = (_plane(plane) for plane in full.planes)
        return bytes(simplejpeg.encode_jpeg_yuv_planes(*planes, quality=JPEG_QUALITY))
    return _coded("mjpeg", full, {}, JPEG_SCALE)


def _webp(frame: av.VideoFrame) -> bytes:
    options = {"quality": WEBP_QUALITY, "compression_level": WEBP_EFFORT}
    return _coded("libwebp", _convert(frame, "yuv420p", full_range=False), options)


_ENCODERS: Mapping[ImageFormat, Callable[[av.VideoFrame], bytes]] = {
    ImageFormat.PNG: _png,
    ImageFormat.JPEG: _jpeg,
    ImageFormat.WEBP: _webp,
}


def _convert(frame: av.VideoFrame, pixels: str, full_range: bool) -> av.VideoFrame:
    """The frame in this pixel format, BT.601 where that is YUV.

    What says nothing of its colours is taken for BT.601 of limited range: so senders in browsers
    make it.
    """
    is_full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    space = Colorspace.ITU601 if frame.colorspace == _UNKNOWN_SPACE else frame.colorspace
    return frame.reformat(
        format=pixels,
        src_colorspace=space,
        dst_colorspace=Colorspace.ITU601,
        src_color_range=ColorRange.JPEG if is_full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG,
        threads=1,
    )


def _plane(plane: av.video.plane.VideoPlane) -> npt.NDArray[np.uint8]:
    """(height, width), contiguous: rows in memory are longer than the picture is wide."""
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return np.ascontiguousarray(rows[: plane.height, : plane.width])


def _coded(
    encoder: str, frame: av.VideoFrame, options: dict[str, str], scale: int | None = None
) -> bytes:
    context = av.CodecContext.create(encoder, "w")
    context = cast(av.VideoCodecContext, context)
    context.width, context.height = frame.width, frame.height
    context.pix_fmt = frame.format.name
    context.color_range = frame.color_range
    context.time_base = Fraction(1, 1)
    context.thread_count = 1
    context.options = options
    if scale is not None:
        context.qmin = context.qmax = scale
    frame.pts, frame.time_base = 0, Fraction(1, 1)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
