"""Opus durations against the encoder, the decoder and the table of RFC 6716."""

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rtp.codecs.opus import MAX_DURATION, SHORTEST_FRAME, is_stereo
from tests.harness.media.opus import encode
from tests.harness.rtp.parts import AUDIO
from tests.harness.rtp.parts import opus_frame_size as frame_size

duration = AUDIO["opus"].duration
NOISE = np.random.default_rng(1).integers(-9000, 9000, 48_000, np.int16)


def test_frame_sizes_are_those_of_table_2() -> None:
    # RFC 6716 table 2, a row a mode and bandwidth, in tenths of a millisecond.
    silk, hybrid, celt = [100, 200, 400, 600], [100, 200], [25, 50, 100, 200]
    table = silk * 3 + hybrid * 2 + celt * 4
    assert [frame_size(config << 3) for config in range(32)] == [t * 48 // 10 for t in table]
    assert min(frame_size(config << 3) for config in range(32)) == SHORTEST_FRAME


def test_the_stereo_bit() -> None:
    assert is_stereo(0xFC)
    assert not is_stereo(0xF8)


@pytest.mark.parametrize("frame_ms", [2.5, 5, 10, 20, 40, 60, 80, 120])
@pytest.mark.parametrize("application", ["voip", "audio", "lowdelay"])
def test_packets_of_libopus_last_what_was_asked(frame_ms: float, application: str) -> None:
    packets = encode(NOISE, frame_ms, application)
    assert {duration(packet.payload) for packet in packets} == {round(48 * frame_ms)}


def test_stereo_packets_of_libopus_say_so() -> None:
    packets = encode(np.stack([NOISE, NOISE[::-1]], axis=1), bit_rate=128_000)
    assert all(is_stereo(packet.payload[0]) for packet in packets)


@pytest.mark.parametrize(
    ("payload", "ticks"),
    [
        (b"\xf8", 960),  # a TOC byte alone: DTX
        (b"\xf8\xff\xfe", 960),
        (b"\xf9\x01\x02", 1920),
        (b"\xf9", 1920),
        (b"\xfa\x01\xaa\xbb", 1920),
        (b"\xfa\x00", 1920),
        (b"\xfa\xfc\x00" + bytes(252), 1920),
        (b"\xfb\x03\x01\x02\x03", 2880),
        (b"\xe3\x30" + bytes(48), 48 * 120),
        (b"\xfb\x83\x01\x02\xaa\xbb\xbb\xcc", 2880),
        (b"\xfb\x43\x02\x01\x02\x03\x00\x00", 2880),
        (b"\xfb\x41\xff\x01" + bytes(255) + b"\x01", 960),
        (b"\xfb\x41\xff\x01" + bytes(255), 960),  # 254 + 1 bytes of padding and nothing else
        (b"\xf8" + bytes(1275), 960),
    ],
)
def test_every_packing_is_counted(payload: bytes, ticks: int) -> None:
    assert duration(payload) == ticks


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xf9\x01",  # R3: two equal frames in an odd number of bytes
        b"\xfa",  # R4
        b"\xfa\xfc",
        b"\xfa\x05\x01",
        b"\xfb",  # R6
        b"\xfb\x00",
        b"\xfb\x07" + bytes(7),  # R5: 140 ms
        b"\x1b\x03" + bytes(3),  # R5: 180 ms
        b"\xfb\x02\x01",  # R6: not a multiple
        b"\xfb\x41\x05",  # padding past the end
        b"\xfb\x41\xff",
        b"\xfb\x82\x05\x01",  # R7
        b"\xfb\x82",
        b"\xf8" + bytes(1276),  # R2
        b"\xfb\x01" + bytes(1276),
    ],
)
def test_malformed_packets_are_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"(?i)opus"):
        duration(payload)


@given(st.binary(max_size=300))
def test_any_bytes_last_at_most_120_ms_or_are_refused(payload: bytes) -> None:
    try:
        ticks = duration(payload)
    except ValueError:
        return
    assert 0 < ticks <= MAX_DURATION
    assert ticks % SHORTEST_FRAME == 0


@given(st.binary(min_size=1, max_size=60))
def test_the_reference_decoder_agrees(payload: bytes) -> None:
    try:
        ticks = duration(payload)
    except ValueError:
        return
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate, decoder.layout = 48_000, "mono"
    try:
        frames = decoder.decode(av.Packet(payload))
    except av.error.FFmpegError:
        return
    assert sum(frame.samples for frame in frames) == ticks
