"""Cuts become slices: the right maker, type and name, and an error that says why not."""

import io
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime

import av
import pytest

from slicer.errors import MediaError
from slicer.media.naming import Names
from slicer.media.slice import (
    File,
    ManifestInfo,
    SliceInfo,
    describe,
    is_light,
    make,
    make_unless,
)
from slicer.rtp.parameters import G722, H264, OPUS, PCMA, PCMU, VP8, Codec, Kind
from slicer.slicing.audio import PREROLL
from slicer.slicing.outputs import AudioCut, AudioPacket, PictureCut, TrackKey
from slicer.slicing.spec import ImageFormat
from tests.harness.media.audio import make_audio
from tests.harness.media.encoder import encode_pictures, read_image
from tests.harness.media.opus import decode, encode
from tests.harness.media.picture import Painter, read_frame_number

BEGAN = datetime(2025, 1, 6, 14, 31, 43, 250_000, UTC)
AUDIO_TRACK = TrackKey("task", "anna", Kind.AUDIO)
VIDEO = TrackKey("task", "anna", Kind.VIDEO)
SLICE = SliceInfo("k.ogg", AUDIO_TRACK, BEGAN, 1.0)
PICTURE = SliceInfo("k.png", VIDEO, BEGAN)


def opus_cut() -> AudioCut:
    return AudioCut(AUDIO_TRACK, OPUS, 480, 48_480, tuple(encode(make_audio(2))), 12.5)


def test_opus_becomes_an_ogg_slice() -> None:
    made = make(opus_cut(), SLICE)
    assert made.info == SliceInfo("k.ogg", AUDIO_TRACK, BEGAN, 1.0, len(made.data))
    assert (made.content_type, made.width, made.height) == ("audio/ogg", None, None)
    assert len(decode(made.data)) == 48_000
    assert b"ANCHOR=anna" in made.data
    assert b"DATE=2025-01-06T14:31:43.250+00:00" in made.data


def test_a_file_tells_what_was_done_about_lost_packets() -> None:
    whole = opus_cut()
    holed = replace(whole, packets=whole.packets[:20] + whole.packets[22:])
    files = [make(cut, SLICE) for cut in (whole, holed)]
    assert [(file.recovered, file.concealed) for file in files] == [(0, 0), (0, 1)]


def test_whole_opus_of_seconds_is_light() -> None:
    whole, packets = opus_cut(), opus_cut().packets
    assert is_light(whole, ImageFormat.PNG)
    # Of two lengths, and without a hole all the same.
    half = AudioPacket(packets[5].timestamp, 480, packets[5].payload)
    other = AudioPacket(packets[5].timestamp + 480, 480, packets[5].payload)
    assert is_light(
        replace(whole, packets=(*packets[:5], half, other, *packets[6:])), ImageFormat.PNG
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda cut: replace(cut, packets=cut.packets[:20] + cut.packets[21:]),
        lambda cut: replace(cut, start=-1),
        lambda cut: replace(cut, end=cut.packets[-1].timestamp + 961),
        lambda cut: replace(cut, packets=()),
        lambda cut: replace(cut, codec=PCMU),
        lambda cut: replace(
            cut, packets=tuple(AudioPacket(at * 960, 960, b"\xf8") for at in range(1_001))
        ),
    ],
)
def test_what_a_codec_may_be_needed_for_or_takes_long_is_not_light(
    change: Callable[[AudioCut], AudioCut],
) -> None:
    assert not is_light(change(opus_cut()), ImageFormat.WEBP)


def test_a_keyframe_of_vp8_as_webp_is_light_and_no_other_picture() -> None:
    cut = PictureCut(VIDEO, VP8, 0, 0, (b"frame",), 12.5)
    assert is_light(cut, ImageFormat.WEBP)
    others = (
        replace(cut, codec=H264),
        replace(cut, frames=(b"frame", b"next")),
        replace(cut, first=1),
        replace(cut, continues=True),
        replace(cut, orientation=1),
    )
    assert not any(is_light(other, ImageFormat.WEBP) for other in others)
    assert not is_light(cut, ImageFormat.JPEG)


def length(file: bytes) -> float:
    """Seconds that FFmpeg's demuxer, and so most players, shows."""
    with av.open(io.BytesIO(file), "r") as container:
        return float((container.duration or 0) / av.time_base)


@pytest.mark.parametrize("preroll", [0, 0.02, 0.08, PREROLL])
@pytest.mark.parametrize("start", [48_000, 48_480])
def test_preroll_is_in_the_length_that_is_shown_and_not_in_what_is_heard(
    preroll: float, start: int
) -> None:
    """A packet that straddles the cut is needed in any case: 10 ms here."""
    kept = start - round(PREROLL * 48_000)
    packets = tuple(one for one in encode(make_audio(3)) if one.timestamp + 960 > kept)
    cut = AudioCut(AUDIO_TRACK, OPUS, start, start + 48_000, packets, 12.5, level=37)
    made = make(cut, SLICE, preroll=preroll)
    assert made.level == 37
    assert len(decode(made.data)) == 48_000
    assert length(made.data) == pytest.approx(1 + preroll + (start - 48_000) / 48_000)


@pytest.mark.parametrize(("preroll", "shown"), [(0, 1.0), (0.02, 1.02), (PREROLL, 1.08)])
def test_the_preroll_of_telephone_codecs(preroll: float, shown: float) -> None:
    """At most 80 ms, and beside it the encoder's own 6.5 ms."""
    packets = tuple(AudioPacket(at, 160, bytes(160)) for at in range(6_720, 16_000, 160))
    cut = AudioCut(AUDIO_TRACK, PCMU, 8_000, 16_000, packets, 12.5)
    made = make(cut, SLICE, preroll=preroll)
    assert len(decode(made.data)) == 48_000
    assert length(made.data) == pytest.approx(shown + 312 / 48_000)


@pytest.mark.parametrize("codec", [PCMU, PCMA, G722])
def test_telephone_codecs_become_ogg_slices(codec: Codec) -> None:
    packets = tuple(AudioPacket(at, 160, bytes(160)) for at in range(0, 8_000, 160))
    made = make(AudioCut(AUDIO_TRACK, codec, 0, 8_000, packets, 12.5), SLICE)
    assert made.content_type == "audio/ogg"
    assert len(decode(made.data)) == 48_000


@pytest.mark.parametrize(
    ("image_format", "content_type"),
    [
        (ImageFormat.PNG, "image/png"),
        (ImageFormat.JPEG, "image/jpeg"),
        (ImageFormat.WEBP, "image/webp"),
    ],
)
@pytest.mark.parametrize("codec", [VP8, H264])
def test_a_frame_becomes_a_picture(
    codec: Codec, image_format: ImageFormat, content_type: str
) -> None:
    frames = tuple(encode_pictures(codec.name, [Painter(width=320, height=180).draw(4)]))
    made = make(PictureCut(VIDEO, codec, 0, 0, frames, 1.0), PICTURE, image_format)
    assert made.info == SliceInfo("k.png", VIDEO, BEGAN, 0.0, len(made.data))
    assert made.content_type == content_type
    assert (made.width, made.height) == (320, 180)
    assert read_frame_number(read_image(made.data)) == 4


@pytest.mark.parametrize("image_format", ImageFormat)
@pytest.mark.parametrize("codec", [VP8, H264])
def test_a_picture_that_nobody_wants_is_decoded_and_not_encoded(
    codec: Codec, image_format: ImageFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = encode_pictures(codec.name, [Painter().draw(7)])[0]
    cut, asked = PictureCut(VIDEO, codec, 0, 0, (frame,), 12.5), list[bytes]()
    info = replace(PICTURE, key=f"k.{image_format.value}")

    def wanted(small: bytes) -> bool:
        asked.append(small)
        return False

    made = make_unless(cut, info, image_format, wanted)
    assert made == make(cut, info, image_format, with_thumbnail=True)
    assert isinstance(made, File)
    if codec is VP8 and image_format is ImageFormat.WEBP:
        assert asked == [], "it is stored as it came: there is nothing to be spared"
        return
    assert asked == [made.thumbnail]
    monkeypatch.setattr("slicer.media.image.encode", lambda *_: pytest.fail("it was encoded"))
    assert make_unless(cut, info, image_format, lambda _small: True) == made.thumbnail


def test_what_cannot_be_made_says_so() -> None:
    with pytest.raises(MediaError):
        make(PictureCut(VIDEO, VP8, 0, 0, (b"no frame",), 1.0), PICTURE)
    with pytest.raises(MediaError):
        make(AudioCut(AUDIO_TRACK, OPUS, 0, 960, (), 1.0), SLICE)


def test_a_cut_is_named_and_timed() -> None:
    names = Names((), "task", 1, "room")
    audio = describe(opus_cut(), names, BEGAN, ImageFormat.JPEG)
    assert audio.key == "task/anna/audios/1_room_anna_20250106143143.ogg"
    assert (audio.track, audio.began, audio.seconds, audio.size) == (AUDIO_TRACK, BEGAN, 1.0, 0)
    assert (audio.task, audio.anchor, audio.kind) == ("task", "anna", Kind.AUDIO)
    cut = PictureCut(VIDEO, VP8, 0, 0, (), 1.0)
    picture = describe(cut, names, BEGAN, ImageFormat.JPEG)
    assert (picture.key[-4:], picture.kind, picture.seconds) == (".jpg", Kind.VIDEO, 0.0)


def test_a_process_pool_can_carry_cuts_and_slices() -> None:
    made = make(pickle.loads(pickle.dumps(opus_cut())), SLICE)
    assert pickle.loads(pickle.dumps(made)) == made


def test_what_a_store_may_keep_beside_the_file() -> None:
    began = {"task": "task", "anchor": "anna", "start": "2025-01-06T14:31:43.250+00:00"}
    assert File(SLICE, b"", "audio/ogg").metadata == {**began, "duration": "1.000"}
    assert File(PICTURE, b"", "image/png").metadata == began
    manifest = ManifestInfo("task/manifest.json", "task", BEGAN)
    del began["anchor"]
    assert File(manifest, b"", "application/json").metadata == began


def test_slices_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        SLICE.key = "other"  # type: ignore[misc]
