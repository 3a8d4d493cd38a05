"""Encodes one decoded frame as PNG, JPEG or WebP, in its own size and true colours."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from slicer.errors import MediaError
from slicer.media.levels import CHROMA, LUMA, Plane, stretch
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
JPEG_SCALE = 3
"""Of FFmpeg's encoder, 2 (best) to 31; 3 has the luma PSNR of JPEG_QUALITY, within 1 dB (4: 1.6 dB
less), in a file that is a tenth smaller."""
WEBP_QUALITY = "80"
WEBP_EFFORT = "0"
"""Of libwebp, 0 to 6: 4 takes six times as long and saves nothing on camera pictures."""

_UNKNOWN_SPACE = 2
_ITU601 = {_UNKNOWN_SPACE, Colorspace.ITU601, 6}
"""BT.470 BG and SMPTE 170M have the same matrix."""


def encode(frame: av.VideoFrame, image_format: ImageFormat) -> bytes:
    """Encode; raises MediaError where the format cannot hold the picture."""
    try:
        return _ENCODERS[image_format](frame)
    except (av.FFmpegError, ValueError) as error:
        size = f"{frame.width} x {frame.height}"
        raise MediaError(f"no {image_format.name} of {size} pixels: {error}") from error


def turned(frame: av.VideoFrame, orientation: int) -> av.VideoFrame:
    """The frame flipped and turned as the bits F R1 R0 of 3GPP TS 26.114 7.4.5 say: what the sender
    mirrored is mirrored again, then it is turned R quarters clockwise. 0: as it is.

    Browsers read the turns alone; a sender that sets F is none of theirs.
    """
    filters = [*(["hflip"] if orientation & 4 else []), *_TURNS[orientation & 3]]
    if not filters:
        return frame
    graph = av.filter.Graph()
    graph.threads = 1
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=Fraction(1, 1),
        ),
        *(graph.add(*each.split("=")) for each in filters),
        graph.add("buffersink"),
    ).configure()
    graph.vpush(frame)
    return graph.vpull()


_TURNS = ((), ("transpose=clock",), ("hflip", "vflip"), ("transpose=cclock",))


def _png(frame: av.VideoFrame) -> bytes:
    rgb = convert(frame, "rgb24", full_range=True)
    if FAST:
        pixels = _view(rgb.planes[0], 3 * rgb.width).tobytes()
        return bytes(fpng_py.fpng_encode_image_to_memory(pixels, rgb.width, rgb.height, 3))
    return coded("png", rgb, {"compression_level": PNG_LEVEL})


def _jpeg(frame: av.VideoFrame) -> bytes:
    # libjpeg-turbo reads planes of an odd size as if they were padded to an even one.
    if FAST and not (frame.width % 2 or frame.height % 2):
        planes = full_planes(frame)
        return bytes(simplejpeg.encode_jpeg_yuv_planes(*planes, quality=JPEG_QUALITY))
    return coded("mjpeg", convert(frame, "yuvj420p", full_range=True), {}, JPEG_SCALE)


def _webp(frame: av.VideoFrame) -> bytes:
    options = {"quality": WEBP_QUALITY, "compression_level": WEBP_EFFORT}
    return coded("libwebp", convert(frame, "yuv420p", full_range=False), options)


_ENCODERS: Mapping[ImageFormat, Callable[[av.VideoFrame], bytes]] = {
    ImageFormat.PNG: _png,
    ImageFormat.JPEG: _jpeg,
    ImageFormat.WEBP: _webp,
}


def full_planes(frame: av.VideoFrame) -> list[Plane]:
    """Y, U and V as JFIF 1.02 has them: 4:2:0, BT.601, full range.

    H.264 and VP8 from cameras are of limited range. FFmpeg's scaler takes over twice as long for
    this one step, as it goes by way of 15 bits, and its chroma comes out half a level too dark.
    """
    is_plain = frame.format.name in {"yuv420p", "yuvj420p"} and frame.colorspace in _ITU601
    if is_plain and not _is_full(frame):
        luma, *chroma = map(_samples, frame.planes)
        return [stretch(luma, LUMA), *(stretch(plane, CHROMA) for plane in chroma)]
    if not is_plain:
        frame = convert(frame, "yuvj420p", full_range=True)
    return [_samples(plane) for plane in frame.planes]


def convert(frame: av.VideoFrame, pixels: str, full_range: bool) -> av.VideoFrame:
    """The frame in this pixel format, BT.601 where that is YUV.

    What says nothing of its colours is taken for BT.601 of limited range: so senders in browsers
    make it.
    """
    space = Colorspace.ITU601 if frame.colorspace == _UNKNOWN_SPACE else frame.colorspace
    return frame.reformat(
        format=pixels,
        src_colorspace=space,
        dst_colorspace=Colorspace.ITU601,
        src_color_range=ColorRange.JPEG if _is_full(frame) else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG,
        threads=1,
    )


def _is_full(frame: av.VideoFrame) -> bool:
    return frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")


def _samples(plane: av.video.plane.VideoPlane) -> Plane:
    """(height, width) of a plane with one byte a sample, not copied."""
    return _view(plane, plane.width)


def _view(plane: av.video.plane.VideoPlane, width: int) -> Plane:
    """The first *width* bytes of each row, not copied: rows in memory are longer."""
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, :width]


def coded(
    encoder: str, frame: av.VideoFrame, options: dict[str, str], scale: int | None = None
) -> bytes:
    """A file of one frame, by this encoder of FFmpeg; *scale*: of its quantizer."""
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
