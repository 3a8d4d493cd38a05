"""Ogg/Opus as WAV."""

import io
import wave

import numpy as np
import pytest

from slicer.media import ogg
from slicer.media.wav import mono_wav
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
    with pytest.raises(ValueError, match="no audio file"):
        mono_wav(b"nonsense", 16_000)
