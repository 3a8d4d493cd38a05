"""Speech told from silence by the sizes of packets, in files that a real encoder made."""

import io

import av
import numpy as np
import pytest

from slicer.console.speech import heard, packet_sizes

RATE = 48_000
SAMPLES = 960


def ogg(loud: float, seconds: float = 2.0) -> bytes:
    """Opus of a voice-like noise for the share *loud* of the time, and of digital silence after."""
    buffer, noise = io.BytesIO(), np.random.default_rng(1)
    frames = int(seconds * RATE / SAMPLES)
    with av.open(buffer, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE)
        for number in range(frames):
            level = 4_000 if number < loud * frames else 0
            samples = (noise.normal(0, 1, SAMPLES) * level).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, number * SAMPLES
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize(("loud", "expected"), [(1.0, True), (0.4, True), (0.0, False)])
def test_speech_and_silence(loud: float, expected: bool) -> None:
    assert heard(ogg(loud)) is expected


def test_sizes_are_those_of_the_packets() -> None:
    data = ogg(0.5)
    with av.open(io.BytesIO(data), "r") as container:
        sizes = [packet.size for packet in container.demux() if packet.size]
    assert list(packet_sizes(data))[2:] == sizes


# Named, for each encoding has a serial of its own, and workers must agree on a test's name.
@pytest.mark.parametrize(
    "data",
    [b"", b"RIFF", b"OggS", ogg(1.0, 0.1)[:40], b"OggS" + bytes(23)],
    ids=["nothing", "WAV", "a capture pattern alone", "a first page cut off", "zeros"],
)
def test_what_is_no_opus_says_nothing(data: bytes) -> None:
    assert not heard(data)


def test_a_file_that_is_cut_off_ends() -> None:
    data = ogg(1.0)
    assert list(packet_sizes(data[: len(data) // 2]))
    assert heard(data[: len(data) // 2])
