"""The table of codecs: which module reads whose payloads, one row a codec."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from slicer.rtp.codecs import av1, h264, h265, opus, pcm, vp8, vp9
from slicer.rtp.codecs.frame import Starts, VideoDepacketizer
from slicer.rtp.parameters import Codec


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How to read an audio codec's payloads."""

    duration: Callable[[bytes], int]
    """RTP ticks a payload lasts; raises ValueError where it is malformed."""
    granule: int
    """RTP ticks of the shortest filling there is: holes are multiples of it."""


def _none(_codec: Codec) -> str:
    return ""


def _never(_payload: bytes) -> bool:
    return False


def _unknown(_payload: bytes) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """How to read a video codec's payloads."""

    depacketizer: Callable[[Codec], VideoDepacketizer]
    """Makes one for each stream."""
    starts_keyframe: Starts
    unsupported: Callable[[bytes], bool] = _never
    """Whether a malformed payload is of a type that we do not read; nothing else is wrong then."""
    height: Callable[[bytes], int] = _unknown
    """Pixels of the pictures, where this payload tells: where a keyframe begins; else 0."""
    refusal: Callable[[Codec], str] = _none
    """What of the codec's fmtp line we cannot read, for example "packetization-mode=2", or ""."""


AUDIO: Mapping[str, AudioFormat] = {
    "opus": AudioFormat(opus.duration, opus.SHORTEST_FRAME),
    "pcmu": AudioFormat(pcm.duration, 1),
    "pcma": AudioFormat(pcm.duration, 1),
    "g722": AudioFormat(pcm.duration, 1),
}
"""By Codec.name."""

VIDEO: Mapping[str, VideoFormat] = {
    "vp8": VideoFormat(vp8.Vp8Depacketizer, vp8.starts_keyframe, height=vp8.height),
    "vp9": VideoFormat(vp9.Vp9Depacketizer, vp9.starts_keyframe, height=vp9.height),
    "h264": VideoFormat(
        h264.depacketizer, h264.starts_keyframe, h264.unsupported, h264.height, h264.refusal
    ),
    "av1": VideoFormat(av1.Av1Depacketizer, av1.starts_keyframe, height=av1.height),
    "h265": VideoFormat(
        h265.depacketizer, h265.starts_keyframe, h265.unsupported, refusal=h265.refusal
    ),
}
"""By Codec.name."""


def video_format(codec: Codec) -> VideoFormat:
    """How to read this video codec. Raises KeyError for one that is not in the table."""
    return VIDEO[codec.name]


def refusal(codec: Codec) -> str:
    """What of its fmtp line we cannot read, or "" where we can read the codec as it is sent."""
    return VIDEO[codec.name].refusal(codec) if codec.name in VIDEO else ""
