"""A slice: the file a cut becomes, with its name; made in one call that an executor can run."""

from dataclasses import dataclass
from datetime import UTC, datetime

from slicer.media import ogg, picture, transcode
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import AudioCut, Cut, PictureCut, TrackKey
from slicer.slicing.spec import ImageFormat

AUDIO_EXTENSION = "ogg"
_AUDIO_TYPE = "audio/ogg"
_IMAGE_TYPES = {
    ImageFormat.PNG: "image/png",
    ImageFormat.JPEG: "image/jpeg",
    ImageFormat.WEBP: "image/webp",
}


@dataclass(frozen=True, slots=True)
class Slice:
    """One file under its *key*. *began*: UTC of its first sample; *seconds*: 0 for a picture.

    *width* and *height* in pixels, None for sound.
    """

    key: str
    data: bytes
    content_type: str
    track: TrackKey
    began: datetime
    seconds: float = 0.0
    width: int | None = None
    height: int | None = None

    @property
    def kind(self) -> Kind:
        """AUDIO for sound, VIDEO for a picture."""
        return self.track.kind

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    @property
    def facts(self) -> dict[str, str]:
        """What a store may keep beside the file: task, anchor, start (UTC, ISO 8601) and, for
        sound, duration in seconds."""
        start = self.began.astimezone(UTC).isoformat(timespec="milliseconds")
        facts = {"task": self.track.task, "anchor": self.track.anchor, "start": start}
        if self.kind is Kind.AUDIO:
            facts["duration"] = f"{self.seconds:.3f}"
        return facts


def extension(cut: Cut, image_format: ImageFormat) -> str:
    """How the name of this cut's file ends, without the dot."""
    return AUDIO_EXTENSION if isinstance(cut, AudioCut) else image_format.value


def make(cut: Cut, key: str, began: datetime, image_format: ImageFormat = ImageFormat.PNG) -> Slice:
    """Make the file of *cut*. It takes milliseconds of CPU and touches nothing else: any thread
    or process will do. Raises MediaError.
    """
    if isinstance(cut, AudioCut):
        return _sound(cut, key, began)
    return _picture(cut, key, began, image_format)


def _sound(cut: AudioCut, key: str, began: datetime) -> Slice:
    utc = began.astimezone(UTC).isoformat(timespec="milliseconds")
    comments = (f"ANCHOR={cut.track.anchor}", f"DATE={utc}")
    if cut.codec.name in transcode.CODECS:
        data = transcode.write(cut.codec.name, cut.packets, cut.start, cut.end, comments)
    else:
        data = ogg.write(cut.packets, cut.start, cut.end, comments)
    seconds = (cut.end - cut.start) / cut.codec.clock_rate
    return Slice(key, data, _AUDIO_TYPE, cut.track, began, seconds)


def _picture(cut: PictureCut, key: str, began: datetime, image_format: ImageFormat) -> Slice:
    made = picture.write(cut.codec.name, cut.frames, image_format)
    content_type = _IMAGE_TYPES[image_format]
    return Slice(
        key, made.data, content_type, cut.track, began, width=made.width, height=made.height
    )
