"""Ogg/Opus as WAV."""

import io
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from slicer.media import image, ogg, wav
from slicer.media.wav import mono_pcm, mono_wav, seconds_of, to_ogg
from slicer.slicing.spec import ImageFormat
from tests.harness.media.audio import make_audio
from tests.harness.media.opus import encode

READERS: list[Callable[[bytes], object]] = [
    lambda data: mono_pcm(data, 16_000),
    lambda data: mono_wav(data, 16_000),
    to_ogg,
    seconds_of,
]


def pcm(rate: int, seconds: float = 0.1, claimed: int = 0) -> bytes:
    """A WAV file of silence; *claimed*: the rate that stands in its header, where it is another."""
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(bytes(2 * round(seconds * rate)))
    data = made.getvalue()
    return data[:24] + struct.pack("<I", claimed) + data[28:] if claimed else data


def test_a_slice_is_as_long_and_as_loud() -> None:
    audio = make_audio(1)
    with wave.open(io.BytesIO(mono_wav(ogg.write(encode(audio), 0, 48_000), 16_000))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert abs(len(samples) - 16_000) < 160
    assert np.std(samples) == pytest.approx(np.std(audio), rel=0.2)


def test_what_is_no_audio() -> None:
    for reading in READERS:
        with pytest.raises(ValueError, match="no audio file: Invalid data"):
            reading(b"nonsense")


@pytest.mark.parametrize(
    "listed", ["ffconcat version 1.0\nfile secret.wav\n", "#EXTM3U\n#EXTINF:1,\nsecret.wav\n"]
)
def test_a_list_of_files_is_no_audio(
    listed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would be read from this machine's disk, or from a server that the list names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.wav").write_bytes(pcm(16_000))
    for reading in READERS:
        with pytest.raises(ValueError, match="no audio file"):
            reading(listed.encode())


@pytest.mark.parametrize("claimed", [1, 3_999, 400_001, 2**31 - 1])
def test_a_rate_that_no_audio_has_is_not_resampled(claimed: int) -> None:
    """One sample would become any number of samples, or the resampler's filter any size."""
    for reading in READERS:
        with pytest.raises(ValueError, match="4000 to 400000"):
            reading(pcm(16_000, claimed=claimed))


def test_audio_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A packet of two bytes may be 120 ms."""
    monkeypatch.setattr(wav, "MAX_SECONDS", 0.5)
    assert len(mono_pcm(pcm(16_000, 0.4), 16_000)) == pytest.approx(2 * 6_400, abs=64)
    bounded: list[Callable[[bytes], object]] = [*READERS[:2], lambda data: to_ogg(data, most=0.5)]
    for reading in bounded:
        with pytest.raises(ValueError, match=r"longer than 0\.5 s"):
            reading(pcm(16_000, 0.6))


def test_wav_as_if_it_was_a_slice() -> None:
    data = mono_wav(ogg.write(encode(make_audio(1)), 0, 48_000), 48_000)
    made = to_ogg(data)
    assert made.startswith(b"OggS")
    assert seconds_of(made) == pytest.approx(1, abs=0.05)
    assert len(mono_wav(made, 16_000)) == pytest.approx(32_000, abs=1_000)


def test_a_picture_has_no_seconds() -> None:
    picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
    with pytest.raises(ValueError, match="no audio file"):
        seconds_of(image.encode(picture, ImageFormat.PNG))
