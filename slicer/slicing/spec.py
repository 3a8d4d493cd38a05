"""What a task is asked to do: the kinds of media, the length of slices, whom, and when to end."""

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum

from slicer.errors import BadInput
from slicer.rtp.parameters import Kind, Role
from slicer.rtp.rtcp.reporter import KEYFRAME_INTERVAL
from slicer.slicing.subscription import Subscription

MAX_ANCHORS = 25
"""Anchors that a task slices at once unless it says otherwise."""
MOST_ANCHORS = 500
"""The most that it may say."""
HOUR = 3_600  # of audio: some 20 MB in memory until the cut
DAY = 86_400
# RFC 3550 6.2 makes it 7.5 s at most from one report to the next where few take part.
LONGEST_WAIT = 10.0
MOST_HEIGHT = 16_384
"""Pixels: no encoder makes higher pictures."""
LONGEST_KEYFRAME_INTERVAL = 60.0


class ImageFormat(StrEnum):
    """The file a picture becomes; the value is its extension."""

    PNG = "png"
    JPEG = "jpg"
    WEBP = "webp"


def _whole(field_name: str, value: object, low: int, high: int, unit: str = "seconds") -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadInput(field_name, value, f"a whole number of {unit}, {low} to {high}")


def _wait(field_name: str, value: object) -> None:
    if value is not None and not (
        isinstance(value, float | int)
        and not isinstance(value, bool)
        and 0 <= value <= LONGEST_WAIT
    ):
        raise BadInput(field_name, value, f"seconds, 0 to {LONGEST_WAIT:g}, or None")


@dataclass(frozen=True, slots=True)
class AudioSpec:
    """Cut the audio every *seconds*. Raises BadInput.

    *report_wait*: seconds that the name of a slice may wait for a sender report that settles its
    time; None: as long as the engine's settings say.
    """

    seconds: int = 15
    report_wait: float | None = None

    def __post_init__(self) -> None:
        _whole("audio.seconds", self.seconds, 1, HOUR)
        _wait("audio.report_wait", self.report_wait)

    @property
    def waits(self) -> float:
        """Seconds; none where nobody says how many."""
        return self.report_wait or 0.0


@dataclass(frozen=True, slots=True)
class VideoSpec:
    """Take a frame every *seconds*; *report_wait* as in AudioSpec. Raises BadInput.

    *max_height*: of a video that is sent in several sizes, the smallest that is so high is enough;
    None: the largest. *keyframe_interval*: seconds from one request for a keyframe of a source to
    the next, at least; infinite: none is asked for; None: as the engine's settings say.
    """

    seconds: int = 5
    report_wait: float | None = None
    max_height: int | None = None
    keyframe_interval: float | None = None

    def __post_init__(self) -> None:
        _whole("video.seconds", self.seconds, 1, DAY)
        _wait("video.report_wait", self.report_wait)
        if self.max_height is not None:
            _whole("video.max_height", self.max_height, 1, MOST_HEIGHT, "pixels")
        every, longest = self.asks_every, LONGEST_KEYFRAME_INTERVAL
        if not (KEYFRAME_INTERVAL <= every <= longest or every == math.inf):
            allowed = f"seconds, {KEYFRAME_INTERVAL} to {longest:g}, or infinite"
            raise BadInput("video.keyframe_interval", every, allowed)

    @property
    def waits(self) -> float:
        """Seconds; none where nobody says how many."""
        return self.report_wait or 0.0

    @property
    def asks_every(self) -> float:
        """The interval of keyframe requests; the shortest where nobody says."""
        return KEYFRAME_INTERVAL if self.keyframe_interval is None else self.keyframe_interval


@dataclass(frozen=True, slots=True)
class SliceParams:
    """How to slice a room: audio, video or both, for whom. Raises BadInput.

    *max_idle*: seconds without any anchor after which the task ends by itself; None: never.
    *aux*: whether auxiliary tracks (shared screens) are cut as well; None: as the engine's settings
    say.
    """

    audio: AudioSpec | None = field(default_factory=AudioSpec)
    video: VideoSpec | None = field(default_factory=VideoSpec)
    subscription: Subscription = field(default_factory=Subscription)
    max_idle: int | None = 30
    max_anchors: int = MAX_ANCHORS
    aux: bool | None = None

    def __post_init__(self) -> None:
        if self.audio is None and self.video is None:
            raise BadInput("params", "neither audio nor video", "audio, video or both")
        if self.max_idle is not None:
            _whole("max_idle", self.max_idle, 1, DAY)
        _whole("max_anchors", self.max_anchors, 1, MOST_ANCHORS, "anchors")

    def waiting(self, seconds: float) -> "SliceParams":
        """The same, where names wait so long if it does not say how long."""
        audio, video = self.audio, self.video
        if audio is not None and audio.report_wait is None:
            audio = replace(audio, report_wait=seconds)
        if video is not None and video.report_wait is None:
            video = replace(video, report_wait=seconds)
        return replace(self, audio=audio, video=video)

    def watching(
        self, keyframe_interval: float, max_height: int | None, aux: bool = True
    ) -> "SliceParams":
        """The same, with this interval, height and choice where it does not say others."""
        video = self.video
        if video is not None and video.keyframe_interval is None:
            video = replace(video, keyframe_interval=keyframe_interval)
        if video is not None and video.max_height is None:
            video = replace(video, max_height=max_height)
        return replace(self, video=video, aux=aux if self.aux is None else self.aux)

    def of(self, kind: Kind, role: Role = Role.MAIN) -> AudioSpec | VideoSpec | None:
        """The spec for tracks of this kind and role, or None where they are not wanted."""
        if role is Role.AUX and self.aux is False:
            return None
        return self.audio if kind is Kind.AUDIO else self.video
