"""Which module reads which codec's payloads: one line a codec; knows no stream."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from slicer.rtp import av1, h264, opus, pcm, vp8, vp9
from slicer.rtp.frame import Starts, VideoDepacketizer
from slicer.rtp.parameters import Codec, Kind


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How to read an audio codec's payloads."""

    kind: ClassVar[Kind] = Kind.AUDIO
    duration: Callable[[bytes], int]
    """RTP ticks a payload lasts; raises ValueError where it is malformed."""


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """How to read a video codec's payloads."""

    kind: ClassVar[Kind] = Kind.VIDEO
    depacketizer: Callable[[Codec], VideoDepacketizer]
    """Makes one for each stream."""
    starts_keyframe: Starts


CODECS: Mapping[str, AudioFormat | VideoFormat] = {
    "opus": AudioFormat(opus.duration),
    "pcmu": AudioFormat(pcm.duration),
    "pcma": AudioFormat(pcm.duration),
    "g722": AudioFormat(pcm.duration),
    "vp8": VideoFormat(vp8.Vp8Depacketizer, vp8.starts_keyframe),
    "vp9": VideoFormat(vp9.Vp9Depacketizer, vp9.starts_keyframe),
    "h264": VideoFormat(h264.H264Depacketizer, h264.starts_keyframe),
    "av1": VideoFormat(av1.Av1Depacketizer, av1.starts_keyframe),
}
"""By Codec.name."""
