"""Encoded video frames, and the face of a depacketizer, which makes them from payloads."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True)
class Frame:
    """One access unit as a decoder takes it. *timestamp* in unwrapped RTP ticks.

    *bare*: a keyframe whose parameter sets are unknown, so that nothing can decode it.
    *orientation*: as in `Packet`; who puts packets together sets it.
    """

    timestamp: int
    data: bytes
    keyframe: bool
    bare: bool = False
    orientation: int = 0


class VideoDepacketizer(Protocol):
    """Turns payloads, in order, into whole frames; one for each stream and codec.

    A frame is given only when every one of its packets came: a hole inside a frame, or before its
    first packet where that cannot be told apart, loses that frame. Frames that merely depend on a
    lost one are given; the grabber, not the depacketizer, knows what is decodable. Left out are
    frames that nobody can decode from the last keyframe on (H.265's RASL pictures). Malformed
    payloads raise ValueError and leave the depacketizer usable (the broken frame is given up).

    *height*: pixels that are enough; 0: all are wanted. Of spatial layers (SVC) those above the
    lowest that is so high are left out, from the next keyframe on. It may be set at any time, and
    means nothing where a codec has no such layers, or does not tell their heights.
    """

    height: int

    def push(self, payload: bytes, timestamp: int, marker: bool, contiguous: bool) -> Frame | None:
        """Take the next payload; *contiguous* is False where packets before it are missing."""
        ...


class Starts(Protocol):
    """Whether a payload, looked at alone, begins a keyframe (cheap; False when in doubt)."""

    def __call__(self, payload: bytes) -> bool: ...
