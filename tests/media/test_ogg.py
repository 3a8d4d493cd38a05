"""Ogg pages and Opus slices: the RFC's checksums, lacing, and audio that decodes to the sample."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from struct import unpack_from
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import MediaError
from slicer.media import ogg
from slicer.slicing.outputs import AudioPacket
from tests.harness.media.audio import find_beeps, make_audio
from tests.harness.media.opus import DECODERS, Samples, decode, encode, snr

SECOND = 48_000
FIRST = (1 << 32) - 70_000
"""Streams begin here: media time is unwrapped, and passes 32 bits soon after."""
PRE_ROLL = 7_680
FIRST_20_MS = 960

STREAMS = {
    "celt-20-stereo": (2, 20, "audio", 64_000, 0),
    "celt-20": (1, 20, "audio", 64_000, 0),
    "celt-10": (1, 10, "audio", 64_000, 0),
    "celt-2.5": (1, 2.5, "lowdelay", 96_000, 0),
    "silk-10": (1, 10, "voip", 24_000, 8_000),
    "silk-20-stereo": (2, 20, "voip", 32_000, 8_000),
    "silk-60": (1, 60, "voip", 24_000, 8_000),
    "hybrid-20": (1, 20, "voip", 28_000, 0),
    "hybrid-60-stereo": (2, 60, "voip", 48_000, 0),
}
SILK, HYBRID, CELT = range(12), range(12, 16), range(16, 32)


@cache
def stream(name: str) -> tuple[AudioPacket, ...]:
    """Four seconds; of the mode the name says, but for a few packets."""
    channels, frame_ms, application, bit_rate, cutoff = STREAMS[name]
    audio = make_audio(4)
    if channels == 2:
        audio = np.stack([audio, np.roll(audio, 999)], axis=1)
    packets = tuple(encode(audio, frame_ms, application, bit_rate, FIRST, cutoff))
    mode = {"silk": SILK, "hybrid": HYBRID, "celt": CELT}[name.split("-", maxsplit=1)[0]]
    assert sum(packet.payload[0] >> 3 in mode for packet in packets) > len(packets) / 2
    return packets


def delay(name: str) -> float:
    """The encoder's, in seconds: nobody trims it from RTP, so it is heard."""
    return (120 if "lowdelay" in STREAMS[name] else 312) / SECOND


def between(packets: Sequence[AudioPacket], start: int, end: int) -> list[AudioPacket]:
    """What a cutter gives: straddling packets and pre-roll with it."""
    return [p for p in packets if start - PRE_ROLL < p.timestamp + p.duration and p.timestamp < end]


class Page(NamedTuple):
    flags: int
    position: int
    serial: int
    sequence: int
    body: bytes
    segments: bytes


def bitwise_crc(data: bytes) -> int:
    """RFC 3533 6, field 7, as the text has it: polynomial 0x04c11db7, one bit after the other."""
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7) if crc & 0x8000_0000 else crc << 1
            crc &= 0xFFFF_FFFF
    return crc


def pages(file: bytes) -> list[Page]:
    found = []
    while file:
        magic, version, flags, position, serial, sequence, crc, count = unpack_from(
            "<4sBBqIIIB", file
        )
        assert (magic, version) == (b"OggS", 0)
        segments = file[27 : 27 + count]
        size = 27 + count + sum(segments)
        assert crc == bitwise_crc(file[:22] + bytes(4) + file[26:size])
        found.append(Page(flags, position, serial, sequence, file[27 + count : size], segments))
        file = file[size:]
    return found


@given(st.binary(max_size=300))
def test_checksum_is_the_one_of_the_rfc(data: bytes) -> None:
    assert int.from_bytes(ogg.checksum(data), "little") == bitwise_crc(data)


def test_pages_of_a_file() -> None:
    file = ogg.write(stream("celt-20-stereo"), FIRST + 500, FIRST + 500 + SECOND, ["ANCHOR=Zoë"])
    head, tags, *audio = pages(file)
    assert head.body == b"OpusHead" + bytes([1, 2]) + (500).to_bytes(2, "little") + bytes.fromhex(
        "80bb0000 0000 00"
    )
    assert tags.body.startswith(b"OpusTags\x0b\0\0\0rtc-slicer"[:8])
    assert tags.body.endswith(b"\x01\0\0\0\x0b\0\0\0" + "ANCHOR=Zoë".encode())
    assert [page.flags for page in (head, tags, *audio)] == [2, 0, *[0] * (len(audio) - 1), 4]
    assert [page.sequence for page in (head, tags, *audio)] == list(range(len(audio) + 2))
    assert len({page.serial for page in (head, tags, *audio)}) == 1
    assert audio[-1].position == 500 + SECOND
    assert all(a.position < b.position for a, b in pairwise(audio))


def test_the_same_cut_gives_the_same_bytes() -> None:
    first, again = (ogg.write(stream("celt-20"), FIRST, FIRST + SECOND, ["A=b"]) for _ in "12")
    assert first == again


@pytest.mark.parametrize("size", [1, 254, 255, 256, 509, 510, 1276, ogg.MAX_PACKET])
def test_a_packet_of_any_size_is_laced(size: int) -> None:
    payloads = (
        [bytes([31 << 3, n]) + bytes(size)[2:] for n in range(4)] if size > 1 else [b"\xf8"] * 4
    )
    packets = [AudioPacket(n * 960, 960, payload) for n, payload in enumerate(payloads)]
    audio = pages(ogg.write(packets, 0, 4 * 960))[2:]
    assert b"".join(page.body for page in audio) == b"".join(payloads)
    assert sum(segment < 255 for page in audio for segment in page.segments) == len(payloads)
    assert all(page.segments[-1] < 255 for page in audio)


def test_a_packet_that_fits_no_page_is_refused() -> None:
    with pytest.raises(MediaError, match="65025 bytes"):
        ogg.write([AudioPacket(0, 960, b"\xf8" * (ogg.MAX_PACKET + 1))], 0, 960)


def test_no_packet_is_no_file() -> None:
    with pytest.raises(MediaError):
        ogg.write([], 0, SECOND)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", STREAMS)
def test_slices_end_to_end_are_the_stream(name: str, decoder: str) -> None:
    packets, length = stream(name), 61_001
    end = FIRST + 4 * SECOND
    whole = decode(ogg.write(packets, FIRST, end), decoder)
    assert len(whole) == 4 * SECOND
    slices = []
    for start in range(FIRST, end, length):
        stop = min(start + length, end)
        heard = decode(ogg.write(between(packets, start, stop), start, stop), decoder)
        assert len(heard) == stop - start
        reference = whole[start - FIRST :][:FIRST_20_MS]
        assert snr(reference, heard[:FIRST_20_MS]) >= 35
        slices.append(heard)
    assert snr(whole, np.concatenate(slices)) >= 45


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", STREAMS)
def test_files_one_behind_the_other_in_one_file_are_the_stream(name: str, decoder: str) -> None:
    """Ogg may be chained (RFC 3533 4, RFC 7845 3): `cat` joins slices, and decodes nothing."""
    packets = stream(name)
    edges = [FIRST, *(FIRST + number * SECOND + 1234 for number in (1, 2, 3))]
    files = [ogg.write(between(packets, *pair), *pair) for pair in pairwise(edges)]
    joined = decode(b"".join(files), decoder)
    whole = decode(ogg.write(between(packets, FIRST, edges[-1]), FIRST, edges[-1]), decoder)
    assert len(joined) == len(whole) == 3 * SECOND + 1234
    assert snr(whole, joined) > 50


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", STREAMS)
def test_audio_is_where_it_belongs(name: str, decoder: str) -> None:
    start = FIRST + 30_000
    file = ogg.write(between(stream(name), start, start + 2 * SECOND), start, start + 2 * SECOND)
    beeps = find_beeps(decode(file, decoder)[:, 0])
    expected = [18_000 / SECOND + delay(name), 66_000 / SECOND + delay(name)]
    assert beeps == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("lost", [1, 2, 3, 7, 50, 100])
@pytest.mark.parametrize("name", STREAMS)
def test_holes_keep_their_length(name: str, lost: int, decoder: str) -> None:
    packets = stream(name)
    lost = min(lost, len(packets) // 2)
    at = len(packets) // 4
    end = FIRST + 4 * SECOND
    whole = decode(ogg.write(packets, FIRST, end), decoder)
    heard = decode(ogg.write(packets[:at] + packets[at + lost :], FIRST, end), decoder)
    assert len(heard) == 4 * SECOND
    hole = packets[at].timestamp - FIRST, packets[at + lost].timestamp - FIRST
    # SILK hands its last 5 ms over to what follows, so the very border may differ.
    assert snr(whole[: hole[0] - 240], heard[: hole[0] - 240]) > 60
    assert snr(whole[hole[1] + 14_400 :], heard[hole[1] + 14_400 :]) > 35
    concealed_for = 5_760 + 960
    assert rms(heard[hole[0] + concealed_for : hole[1]]) < 1e-4


def rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples**2))) if samples.size else 0.0


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", STREAMS)
def test_missing_beginning_and_end(name: str, decoder: str) -> None:
    packets = stream(name)
    start, end = packets[0].timestamp - 20_011, packets[-1].timestamp + 40_033
    heard = decode(ogg.write(packets, start, end), decoder)
    assert len(heard) == end - start
    assert rms(heard[:20_000]) < 1e-4
    assert rms(heard[-30_000:]) < 1e-4
    # FFmpeg's decoder fades CELT in, and may miss the beep the stream begins with.
    expected = [20_011 / SECOND + second + delay(name) for second in range(1, 4)]
    assert find_beeps(heard[:, 0])[-3:] == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize("decoder", DECODERS)
def test_dtx_sends_one_packet_every_400_ms(decoder: str) -> None:
    talk = make_audio(1)
    audio = np.concatenate([talk, np.zeros(3 * SECOND, np.int16), talk])
    coded = encode(audio, 20, "voip", 24_000, FIRST, 8_000)
    sent = coded[:60] + coded[60:198:20] + coded[198:]
    end = FIRST + 5 * SECOND
    heard = decode(ogg.write(sent, FIRST, end), decoder)
    assert len(heard) == 5 * SECOND
    assert rms(heard[2 * SECOND : 4 * SECOND]) < 0.01
    assert find_beeps(heard[:, 0])[-1] == pytest.approx(4 + 312 / SECOND, abs=0.001)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("start", [0, 1, 959, 5000, 48_000])
@pytest.mark.parametrize("length", [961, 1920, 2000, 5761])
def test_short_slices_are_exact_too(start: int, length: int, decoder: str) -> None:
    first = FIRST + start
    packets = between(stream("celt-20"), first, first + length)
    assert len(decode(ogg.write(packets, first, first + length), decoder)) == length


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("length", [1, 119, 480, 959, 960])
def test_a_slice_of_one_packet_is_exact_without_pre_roll(length: int, decoder: str) -> None:
    # FFmpeg forgets what is left of the pre-skip in the packet it trims the end of.
    file = ogg.write(stream("celt-20"), FIRST, FIRST + length)
    assert len(decode(file, decoder)) == length
