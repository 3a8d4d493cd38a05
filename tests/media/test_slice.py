"""Cuts become slices: the right maker, type and name, and an error that says why not."""

import pickle
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime

import pytest

from slicer.errors import MediaError
from slicer.media.slice import extension, make
from slicer.rtp.parameters import G722, H264, OPUS, PCMA, PCMU, VP8, Codec, Kind
from slicer.slicing.outputs import AudioCut, AudioPacket, PictureCut, TrackKey
from slicer.slicing.spec import ImageFormat
from tests.harness.media.audio import make_audio
from tests.harness.media.encoder import encode_pictures, read_image
from tests.harness.media.opus import decode, encode
from tests.harness.media.picture import Painter, read_frame_number

BEGAN = datetime(2025, 1, 6, 14, 31, 43, 250_000, UTC)
AUDIO_TRACK = TrackKey("task", "anna", Kind.AUDIO)
VIDEO = TrackKey("task", "anna", Kind.VIDEO)


def opus_cut() -> AudioCut:
    return AudioCut(AUDIO_TRACK, OPUS, 480, 48_480, tuple(encode(make_audio(2))), 12.5)


def test_opus_becomes_an_ogg_slice() -> None:
    made = make(opus_cut(), "k.ogg", BEGAN)
    assert (made.key, made.content_type, made.track) == ("k.ogg", "audio/ogg", AUDIO_TRACK)
    assert (made.kind, made.began, made.seconds) == (Kind.AUDIO, BEGAN, 1.0)
    assert (made.width, made.height, made.size) == (None, None, len(made.data))
    assert len(decode(made.data)) == 48_000
    assert b"ANCHOR=anna" in made.data
    assert b"DATE=2025-01-06T14:31:43.250+00:00" in made.data


@pytest.mark.parametrize("codec", [PCMU, PCMA, G722])
def test_telephone_codecs_become_ogg_slices(codec: Codec) -> None:
    packets = tuple(AudioPacket(at, 160, bytes(160)) for at in range(0, 8_000, 160))
    made = make(AudioCut(AUDIO_TRACK, codec, 0, 8_000, packets, 12.5), "k.ogg", BEGAN)
    assert made.seconds == 1.0
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
    made = make(PictureCut(VIDEO, codec, 0, 0, frames, 1.0), "k", BEGAN, image_format)
    assert (made.content_type, made.kind, made.seconds) == (content_type, Kind.VIDEO, 0.0)
    assert (made.width, made.height) == (320, 180)
    assert read_frame_number(read_image(made.data)) == 4


def test_what_cannot_be_made_says_so() -> None:
    with pytest.raises(MediaError):
        make(PictureCut(VIDEO, VP8, 0, 0, (b"no frame",), 1.0), "k", BEGAN)
    with pytest.raises(MediaError):
        make(AudioCut(AUDIO_TRACK, OPUS, 0, 960, (), 1.0), "k", BEGAN)


def test_extensions() -> None:
    assert extension(opus_cut(), ImageFormat.JPEG) == "ogg"
    assert extension(PictureCut(VIDEO, VP8, 0, 0, (), 1.0), ImageFormat.JPEG) == "jpg"


def test_a_process_pool_can_carry_cuts_and_slices() -> None:
    made = make(pickle.loads(pickle.dumps(opus_cut())), "k.ogg", BEGAN)
    assert pickle.loads(pickle.dumps(made)) == made


def test_what_a_store_may_keep_beside_the_file() -> None:
    began = {"task": "task", "anchor": "anna", "start": "2025-01-06T14:31:43.250+00:00"}
    assert make(opus_cut(), "k.ogg", BEGAN).facts == {**began, "duration": "1.000"}
    frames = tuple(encode_pictures(VP8.name, [Painter(width=320, height=180).draw(4)]))
    assert make(PictureCut(VIDEO, VP8, 0, 0, frames, 1.0), "k", BEGAN).facts == began


def test_slices_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        make(opus_cut(), "k.ogg", BEGAN).key = "other"  # type: ignore[misc]
