"""Beeps are found where they are, bare and through Opus."""

from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.audio.codeccontext import AudioCodecContext

from tests.harness.media.audio import BED_LEVEL, OPUS_DELAY, SAMPLE_RATE, find_beeps, make_audio


def opus_packets(seconds: int, bit_rate: int = 32_000) -> list[bytes]:
    """Test audio as 20 ms packets of libopus."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.bit_rate, encoder.format = bit_rate, av.AudioFormat("s16")
    encoder.sample_rate, encoder.layout = SAMPLE_RATE, av.AudioLayout("mono")
    audio = make_audio(seconds)
    packets = []
    for start in range(0, audio.size, 960):
        frame = av.AudioFrame.from_ndarray(audio[None, start : start + 960], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


def audio_of_packets(packets: list[bytes], decoder: str = "libopus") -> npt.NDArray[np.float32]:
    """Decode packets as RTP carries them: nothing is trimmed."""
    context = av.CodecContext.create(decoder, "r")
    assert isinstance(context, AudioCodecContext)
    context.sample_rate, context.layout = SAMPLE_RATE, av.AudioLayout("mono")
    frames = [frame for packet in packets for frame in context.decode(av.Packet(packet))]
    heard = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    return np.asarray(heard / (32_768 if heard.dtype == np.int16 else 1), np.float32)


def test_bare_beeps_are_exact_to_a_tenth_of_a_millisecond() -> None:
    # The first beep begins with the first sample: nothing lies before it, so it is not reported.
    assert find_beeps(make_audio(8)) == pytest.approx(range(1, 8), abs=1e-4)


@pytest.mark.parametrize("bit_rate", [24_000, 32_000, 64_000])
def test_beeps_through_opus_are_exact_after_its_fixed_delay(bit_rate: int) -> None:
    heard = audio_of_packets(opus_packets(10, bit_rate))
    beeps = [beep - OPUS_DELAY for beep in find_beeps(heard)]
    assert beeps == pytest.approx(range(10), abs=3e-4)


@pytest.mark.parametrize("offset", [1, 4_801, 40_000])
def test_beeps_are_found_wherever_a_slice_begins(offset: int) -> None:
    beeps = find_beeps(make_audio(5)[offset:])
    assert beeps == pytest.approx(np.arange(1, 5) - offset / SAMPLE_RATE, abs=1e-4)


def test_a_beep_cut_by_the_edge_is_not_reported_at_a_wrong_place() -> None:
    audio = make_audio(3)
    assert find_beeps(audio[SAMPLE_RATE + 480 :]) == pytest.approx([0.99], abs=1e-4)
    assert find_beeps(audio[: SAMPLE_RATE + 480]) == []


def test_floats_are_read_like_integers() -> None:
    audio = make_audio(3)
    assert find_beeps((audio / 32_768).astype(np.float32)) == find_beeps(audio)


def test_nothing_is_found_in_silence_noise_or_next_to_nothing() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, SAMPLE_RATE)
    for audio in (np.zeros(SAMPLE_RATE), noise, np.zeros(3), np.zeros(0)):
        assert find_beeps(audio) == []


def test_the_bed_never_falls_silent_and_loops_without_a_click() -> None:
    audio = make_audio(4) / 32_768
    between = audio.reshape(4, SAMPLE_RATE)[:, 2_400:]
    loudness = np.sqrt(np.mean(between.reshape(-1, 4_800)[:, :] ** 2, axis=1))
    assert loudness.min() > BED_LEVEL / 4
    assert abs(audio[-1]) < 0.1
    assert np.array_equal(make_audio(4), make_audio(4))
    assert not np.array_equal(make_audio(4, seed=2), make_audio(4))
