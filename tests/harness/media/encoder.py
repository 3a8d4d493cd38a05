"""Encodes given pictures to access units, colours tagged, and reads image files; knows no RTP."""

import io
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from tests.harness.media.picture import Rgb
from tests.harness.media.priority import kept_priority
from tests.harness.media.video import ENCODERS

_ENCODERS = {
    "vp8": "libvpx",
    "vp9": "libvpx-vp9",
    "h264": "libx264",
    "av1": "libsvtav1",
    "h265": "libx265",
}
_VPX = {"deadline": "realtime", "cpu-used": "6", "lag-in-frames": "0", "crf": "6"}
_OPTIONS = {
    "vp8": _VPX,
    "vp9": _VPX,
    "h264": {"preset": "veryfast", "tune": "zerolatency", "crf": "14"},
    "h265": {"preset": "veryfast", "tune": "zerolatency", "crf": "14"},
    "av1": {"preset": "10", "crf": "12", "svtav1-params": "pred-struct=1:lp=1"},
}


@kept_priority()
def encode_pictures(
    codec: str,
    pictures: Sequence[Rgb],
    space: Colorspace = Colorspace.ITU601,
    full_range: bool = False,
    tagged: bool = True,
    slices: int = 1,
    crf: int | None = None,
) -> list[bytes]:
    """One access unit a picture, all of one size; the first alone is a keyframe.

    *slices* in a unit, of H.264 only; *crf*: the encoder's scale of quality, very good where None.
    """
    height, width, _ = pictures[0].shape
    encoder = av.CodecContext.create(ENCODERS[codec], "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.gop_size, encoder.thread_count = Fraction(1, 30), 300, 1
    colour_range = ColorRange.JPEG if full_range else ColorRange.MPEG
    if tagged:
        encoder.colorspace, encoder.color_range = space, colour_range
    if codec.startswith("vp"):
        encoder.bit_rate = 20_000_000
    encoder.options = dict(_OPTIONS[codec])
    if crf is not None:
        encoder.options |= {"crf": f"{crf}"}
    if codec == "h264":
        encoder.options |= {"x264-params": f"slices={slices}"}
    if codec == "h265":
        encoder.options |= {"x265-params": "log-level=error:info=0"}
    units = []
    for number, picture in enumerate(pictures):
        rgb = av.VideoFrame.from_ndarray(picture, "rgb24")
        frame = rgb.reformat(
            format="yuv420p", dst_colorspace=space, dst_color_range=colour_range, threads=1
        )
        frame.pts, frame.time_base = number, Fraction(1, 30)
        units += encoder.encode(frame)
    units += encoder.encode(None)
    assert len(units) == len(pictures)
    return [bytes(unit) for unit in units]


def read_image(image: bytes) -> Rgb:
    """An image file as a viewer shows it."""
    with av.open(io.BytesIO(image), "r") as container:
        frame = next(container.decode(container.streams.video[0]))
    return np.asarray(frame.reformat(format="rgb24", threads=1).to_ndarray(), np.uint8)


def psnr(a: Rgb, b: Rgb) -> float:
    """Decibels; over 30 they look the same."""
    assert a.shape == b.shape
    return float(10 * np.log10(255**2 / (np.mean((a.astype(float) - b) ** 2) + 1e-9)))
