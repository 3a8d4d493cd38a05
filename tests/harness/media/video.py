"""Encodes test video frame by frame, and decodes access units; knows no RTP."""

from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import av
import numpy as np

from tests.harness.media.priority import kept_priority

ENCODERS = {
    "vp8": "libvpx",
    "vp9": "libvpx-vp9",
    "h264": "libx264",
    "av1": "libsvtav1",
    "h265": "libx265",
}
DECODERS = {"vp8": "vp8", "vp9": "vp9", "h264": "h264", "av1": "libdav1d", "h265": "hevc"}
_OPTIONS = {
    "vp8": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "error-resilient": "1"},
    "vp9": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    "h264": {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "baseline",
        "x264-params": "slices=3:scenecut=0",
    },
    "h265": {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "x265-params": "slices=3:ctu=16:scenecut=0:log-level=error",
    },
    "av1": {"preset": "11", "crf": "45", "svtav1-params": "pred-struct=1:lp=1"},
}


class Encoded(NamedTuple):
    """One access unit as the encoder gave it."""

    data: bytes
    keyframe: bool


@cache
@kept_priority()
def encoded(
    codec: str, frames: int = 12, width: int = 160, height: int = 128, gop: int = 5
) -> tuple[Encoded, ...]:
    """Access units of a noisy picture that drifts, a keyframe every *gop* frames."""
    encoder = av.CodecContext.create(ENCODERS[codec], "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.framerate = Fraction(30)
    encoder.gop_size = gop
    if codec != "av1":  # SVT-AV1 takes no bit rate in low-delay mode
        encoder.bit_rate = 500_000
    encoder.options = _OPTIONS[codec]
    texture = np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)
    packets = []
    for index in range(frames):
        frame = av.VideoFrame.from_ndarray(np.roll(texture, 3 * index, 1) // 2 + 60, "rgb24")
        packets += encoder.encode(frame.reformat(format="yuv420p"))
    packets += encoder.encode(None)
    return tuple(Encoded(bytes(packet), bool(packet.is_keyframe)) for packet in packets)


def decoded(codec: str, units: Iterable[bytes]) -> list[bytes]:
    """The pictures a fresh decoder makes of these access units, as planar YUV. May raise."""
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    decoder.options = {"err_detect": "explode"}
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit))]
    return [frame.to_ndarray().tobytes() for frame in frames + decoder.decode(None)]
