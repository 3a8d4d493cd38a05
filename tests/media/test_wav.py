"""Ogg/Opus as WAV."""

import io
import wave

import av
import numpy as np
import pytest

from slicer.media import image, ogg
from slicer.media.wav import mono_wav, seconds_of, to_ogg
from slicer.slicing.spec import ImageFormat
from tests.harness.media.audio import make_audio
from tests.harness.media.opus import encode


def test_a_slice_is_as_long_and_as_loud() -> None:
    audio = make_audio(1)
    with wave.open(io.BytesIO(mono_wav(ogg.write(encode(audio), 0, 48_000), 16_000))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert abs(len(samples) - 16_000) < 160
    assert np.std(samples) == pytest.approx(np.std(audio), rel=0.2)


def test_what_is_no_audio() -> None:
    for reading in (lambda data: mono_wav(data, 16_000), to_ogg, seconds_of):
        with pytest.raises(ValueError, match="no audio file"):
            reading(b"nonsense")


def test_wav_as_if_it_was_a_slice() -> None:
    data = mono_wav(ogg.write(encode(make_audio(1)), 0, 48_000), 48_000)
    made = to_ogg(data)
    assert made.startswith(b"OggS")
    assert seconds_of(made) == pytest.approx(1, abs=0.05)
    assert len(mono_wav(made, 16_000)) == pytest.approx(32_000, abs=1_000)


def test_a_picture_has_no_seconds() -> None:
    picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
    with pytest.raises(ValueError, match="length"):
        seconds_of(image.encode(picture, ImageFormat.PNG))
