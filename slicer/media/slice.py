"""A slice: its description, and the file made from its cut, in one call from any thread."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from slicer.media import ogg, picture, transcode
from slicer.media.decoder import GroupDecoder
from slicer.media.extent import extent
from slicer.media.naming import Names
from slicer.rtp.parameters import Kind, Role
from slicer.slicing.audio import PREROLL
from slicer.slicing.outputs import AudioCut, Cut, PictureCut, TrackKey
from slicer.slicing.spec import ImageFormat

AUDIO_EXTENSION = "ogg"
MAX_LIGHT_PACKETS = 1_000
"""Of an audio file that counts as light: 20 s as browsers send them, and half a millisecond."""
_AUDIO_TYPE = "audio/ogg"
_IMAGE_TYPES = {
    ImageFormat.PNG: "image/png",
    ImageFormat.JPEG: "image/jpeg",
    ImageFormat.WEBP: "image/webp",
}


@dataclass(frozen=True, slots=True)
class SliceInfo:
    """What is known of a slice from its cut on; events, records and messages hold it.

    *key*: its name in the store; *began*: UTC of its first sample, or of the picture; *seconds*: 0
    for a picture; *size*: bytes of its file, 0 until that is made.
    """

    key: str
    track: TrackKey
    began: datetime
    seconds: float = 0.0
    size: int = 0

    @property
    def task(self) -> str:
        return self.track.task

    @property
    def anchor(self) -> str:
        return self.track.anchor

    @property
    def kind(self) -> Kind:
        return self.track.kind

    @property
    def role(self) -> Role:
        return self.track.role


@dataclass(frozen=True, slots=True)
class ManifestInfo:
    """What takes a slice's way to the store but is none: a task's manifest, a slice's transcript.

    *began*: UTC of the task's end, or of the slice's first sample; *size*: bytes, 0 until it is
    made.
    """

    key: str
    task: str
    began: datetime
    size: int = 0


Info = SliceInfo | ManifestInfo


@dataclass(frozen=True, slots=True)
class File:
    """The bytes of a slice or a manifest. *width* and *height* in pixels, of a picture alone;
    *recovered* and *concealed*: lost packets of Opus had by in-band FEC, and holes that were not;
    *thumbnail*: of a picture, where that was asked for; *level*: of audio, as in `AudioCut`.
    """

    info: Info
    data: bytes
    content_type: str
    width: int | None = None
    height: int | None = None
    recovered: int = 0
    concealed: int = 0
    thumbnail: bytes = b""
    level: int | None = None

    @property
    def metadata(self) -> dict[str, str]:
        """What a store may keep beside the file: task, start (UTC, ISO 8601), of a slice its anchor
        and of audio its duration in seconds."""
        start = self.info.began.astimezone(UTC).isoformat(timespec="milliseconds")
        facts = {"task": self.info.task, "start": start}
        if isinstance(self.info, SliceInfo):
            facts["anchor"] = self.info.anchor
            if self.info.kind is Kind.AUDIO:
                facts["duration"] = f"{self.info.seconds:.3f}"
        return facts


def describe(cut: Cut, names: Names, began: datetime, image_format: ImageFormat) -> SliceInfo:
    """Name the slice of a cut; its size is not known yet."""
    track = cut.track
    if isinstance(cut, AudioCut):
        extension, seconds = AUDIO_EXTENSION, (cut.end - cut.start) / cut.codec.clock_rate
    else:
        extension, seconds = image_format.value, 0.0
    key = names.allocate(track.anchor, track.kind, extension, began, track.role)
    return SliceInfo(key, track, began, seconds)


def make(
    cut: Cut,
    info: SliceInfo,
    image_format: ImageFormat = ImageFormat.PNG,
    preroll: float = PREROLL,
    decoder: GroupDecoder | None = None,
    *,
    with_thumbnail: bool = False,
) -> File:
    """Make the file of *cut*. It takes milliseconds of CPU and touches nothing but *decoder*, the
    one of a picture's group: any thread will do. *preroll*: seconds before the slice that its file
    may carry. Raises MediaError.
    """
    if isinstance(cut, AudioCut):
        counters = Counter[str]()
        data = _audio(cut, info.began, preroll, counters)
        lost = counters["recovered"], counters["concealed"]
        return File(_sized(info, len(data)), data, _AUDIO_TYPE, None, None, *lost, level=cut.level)
    image = picture.write(
        cut.codec.name,
        cut.frames,
        image_format,
        cut.orientation,
        decoder,
        with_thumbnail=with_thumbnail,
    )
    return _picture_file(image, info, image_format)


def make_unless(
    cut: PictureCut,
    info: SliceInfo,
    image_format: ImageFormat,
    unless: Callable[[bytes], bool],
) -> File | bytes:
    """Make the file of a picture that depends on none before its cut, with its thumbnail; or give
    the thumbnail alone, where *unless* says of it that nobody wants the file. Raises MediaError.
    """
    image = picture.write(cut.codec.name, cut.frames, image_format, cut.orientation, unless=unless)
    return _picture_file(image, info, image_format) if image.data else image.thumbnail


def _audio(cut: AudioCut, began: datetime, preroll: float, counters: Counter[str]) -> bytes:
    utc = began.astimezone(UTC).isoformat(timespec="milliseconds")
    comments = (f"ANCHOR={cut.track.anchor}", f"DATE={utc}")
    packets, ticks = cut.packets, round(preroll * cut.codec.clock_rate)
    if preroll < PREROLL:
        packets = tuple(p for p in packets if p.timestamp + p.duration > cut.start - ticks)
    if cut.codec.name in transcode.CODECS:
        return transcode.write(cut.codec.name, packets, cut.start, cut.end, comments, ticks)
    return ogg.write(packets, cut.start, cut.end, comments, counters)


def _picture_file(image: picture.Picture, info: SliceInfo, image_format: ImageFormat) -> File:
    kind, size = _IMAGE_TYPES[image_format], (image.width, image.height)
    info = _sized(info, len(image.data))
    return File(info, image.data, kind, *size, thumbnail=image.thumbnail)


def is_light(cut: Cut, image_format: ImageFormat) -> bool:
    """Whether the file of a cut needs no codec, and a millisecond at most: packets of Opus without
    a hole, or one keyframe of VP8 as WebP, in their containers."""
    if isinstance(cut, AudioCut):
        packets = cut.packets
        if cut.codec.name in transcode.CODECS or not 0 < len(packets) <= MAX_LIGHT_PACKETS:
            return False
        first, end = packets[0].timestamp, packets[-1].timestamp + packets[-1].duration
        # They do not overlap. A hole may be repaired by a codec, as often as the sender likes.
        whole = extent(packets)[1] == end - first
        return whole and first <= cut.start and end >= cut.end
    alone = cut.first == 0 and len(cut.frames) == 1 and not cut.continues
    as_it_is = image_format is ImageFormat.WEBP and not cut.orientation
    return alone and as_it_is and cut.codec.name == "vp8"


def _sized(info: SliceInfo, size: int) -> SliceInfo:
    # `dataclasses.replace` takes three times as long.
    return SliceInfo(info.key, info.track, info.began, info.seconds, size)
