"""Telephone codecs become Opus: exact in length, everything in its place."""

from functools import cache

import av
import numpy as np
import pytest

from slicer.errors import MediaError
from slicer.media import transcode
from slicer.slicing.outputs import AudioPacket
from tests.harness.media.audio import find_beeps, make_audio
from tests.harness.media.opus import DECODERS, decode

ENCODERS = {"pcmu": ("pcm_mulaw", 8_000), "pcma": ("pcm_alaw", 8_000), "g722": ("g722", 16_000)}
# G.722 itself lags: its two filter banks have 24 taps each, 22 samples of 16 kHz together.
DELAY = {"pcmu": 0.0, "pcma": 0.0, "g722": 22 / 16_000}
FIRST = (1 << 32) - 9_000
SECOND = 8_000


@cache
def stream(codec: str, seconds: int = 4) -> tuple[AudioPacket, ...]:
    """Packets of 20 ms; a beep each second from the first packet on."""
    name, rate = ENCODERS[codec]
    audio = av.AudioFrame.from_ndarray(make_audio(seconds).reshape(1, -1), "s16", "mono")
    audio.sample_rate = 48_000
    resampler = av.AudioResampler("s16", "mono", rate)
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "s16"
    blocks = [frame.to_ndarray() for frame in resampler.resample(audio) + resampler.resample(None)]
    samples = np.concatenate(blocks, axis=1)
    packets = []
    for at in range(0, samples.shape[1] - rate // 50 + 1, rate // 50):
        block = np.ascontiguousarray(samples[:, at : at + rate // 50])
        frame = av.AudioFrame.from_ndarray(block, "s16", "mono")
        frame.sample_rate, frame.pts = rate, at
        payload = b"".join(bytes(packet) for packet in encoder.encode(frame))
        packets.append(AudioPacket(FIRST + at * 8_000 // rate, 160, payload))
    return tuple(packets)


def test_the_packets_are_what_rtp_carries() -> None:
    for codec in ENCODERS:
        assert {len(packet.payload) for packet in stream(codec)} == {160}


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize(("start", "length"), [(4_000, 16_000), (4_001, 15_999), (7_950, 20_007)])
def test_length_is_exact_and_beeps_are_in_place(
    codec: str, decoder: str, start: int, length: int
) -> None:
    packets = [p for p in stream(codec) if start - 640 < p.timestamp + 160 - FIRST]
    file = transcode.write(codec, packets, FIRST + start, FIRST + start + length)
    heard = decode(file, decoder)
    assert heard.shape == (length * 6, 1)
    inside = range(-(-start // SECOND), -(-(start + length) // SECOND))
    expected = [(second * SECOND - start) / SECOND + DELAY[codec] for second in inside]
    assert find_beeps(heard[:, 0]) == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize("codec", ENCODERS)
def test_holes_are_silent_and_what_follows_stays_in_place(codec: str) -> None:
    packets = [p for p in stream(codec) if not 4_000 <= p.timestamp - FIRST < 12_000]
    heard = decode(transcode.write(codec, packets, FIRST, FIRST + 4 * SECOND))[:, 0]
    assert np.sqrt(np.mean(heard[25_000:71_000] ** 2)) < 1e-3
    expected = [2 + DELAY[codec], 3 + DELAY[codec]]
    assert find_beeps(heard)[-2:] == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize("codec", ENCODERS)
def test_missing_beginning_and_end_are_silent(codec: str) -> None:
    packets = stream(codec)
    heard = decode(transcode.write(codec, packets, FIRST - 4_003, FIRST + 40_001))[:, 0]
    assert heard.size == (40_001 + 4_003) * 6
    assert np.abs(heard[:23_000]).max() < 1e-3
    assert np.abs(heard[-46_000:]).max() < 1e-3
    assert find_beeps(heard)[1] == pytest.approx(1 + 4_003 / SECOND + DELAY[codec], abs=0.001)


@pytest.mark.parametrize("codec", ENCODERS)
def test_slices_end_to_end_keep_the_level(codec: str) -> None:
    packets, level = stream(codec), []
    for start in range(FIRST + 8_000, FIRST + 24_000, 4_000):
        heard = decode(transcode.write(codec, packets, start, start + 4_000))[:, 0]
        level += [np.sqrt(np.mean(heard[:960] ** 2)), np.sqrt(np.mean(heard[-960:] ** 2))]
    assert min(level) > 0.003


def test_no_packet_is_no_file() -> None:
    with pytest.raises(MediaError):
        transcode.write("pcmu", [], 0, SECOND)


def test_a_payload_no_decoder_takes_is_an_error_of_ours() -> None:
    with pytest.raises(MediaError):
        transcode.write("pcmu", [AudioPacket(0, 0, b""), *stream("pcmu")], 0, SECOND)
