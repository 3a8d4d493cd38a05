"""What a task is asked to do: the kinds of media, the length of slices, whom, and when to end."""

from dataclasses import dataclass, field
from enum import StrEnum

from slicer.errors import BadInput
from slicer.rtp.parameters import Kind
from slicer.slicing.subscription import Subscription

MAX_ANCHORS = 25
"""Anchors that a task slices at once unless it says otherwise."""
MOST_ANCHORS = 500
"""The most that it may say."""
HOUR = 3_600  # of audio: some 20 MB in memory until the cut
DAY = 86_400


class ImageFormat(StrEnum):
    """The file a picture becomes; the value is its extension."""

    PNG = "png"
    JPEG = "jpg"
    WEBP = "webp"


def _whole(field_name: str, value: object, low: int, high: int, unit: str = "seconds") -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadInput(field_name, value, f"a whole number of {unit}, {low} to {high}")


@dataclass(frozen=True, slots=True)
class AudioSpec:
    """Cut the audio every *seconds*. Raises BadInput."""

    seconds: int = 15

    def __post_init__(self) -> None:
        _whole("audio.seconds", self.seconds, 1, HOUR)


@dataclass(frozen=True, slots=True)
class VideoSpec:
    """Take a frame every *seconds*. Raises BadInput."""

    seconds: int = 5

    def __post_init__(self) -> None:
        _whole("video.seconds", self.seconds, 1, DAY)


@dataclass(frozen=True, slots=True)
class SliceParams:
    """How to slice a room: audio, video or both, for whom. Raises BadInput.

    *max_idle*: seconds without any anchor after which the task ends by itself; None: never.
    """

    audio: AudioSpec | None = field(default_factory=AudioSpec)
    video: VideoSpec | None = field(default_factory=VideoSpec)
    subscription: Subscription = field(default_factory=Subscription)
    max_idle: int | None = 30
    max_anchors: int = MAX_ANCHORS

    def __post_init__(self) -> None:
        if self.audio is None and self.video is None:
            raise BadInput("params", "neither audio nor video", "audio, video or both")
        if self.max_idle is not None:
            _whole("max_idle", self.max_idle, 1, DAY)
        _whole("max_anchors", self.max_anchors, 1, MOST_ANCHORS, "anchors")

    def of(self, kind: Kind) -> AudioSpec | VideoSpec | None:
        """The spec for this kind, or None where it is not wanted."""
        return self.audio if kind is Kind.AUDIO else self.video
