"""Filling for lost and silent stretches: as long as the hole, and what a decoder makes of it."""

from collections import Counter
from functools import cache
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.media import fec, holes, libopus, ogg
from slicer.media.holes import MAX_PRE_ROLL, filling, lay
from slicer.media.libopus import Setting
from slicer.rtp.codecs.opus import duration
from slicer.slicing.outputs import AudioPacket
from tests.harness.media.audio import make_speech
from tests.harness.media.opus import DECODERS, decode, encode_with_fec, snr

SILK_60, HYBRID_20, CELT_20, CELT_2_5 = 11 << 3, 13 << 3, 31 << 3, 28 << 3
STEREO, TWO_FRAMES = 0x04, 0x01


def packets(*timestamps: int, ticks: int = 960, toc: int = CELT_20) -> list[AudioPacket]:
    return [AudioPacket(timestamp, ticks, bytes([toc, 7])) for timestamp in timestamps]


@given(hole=st.integers(0, 20_000), toc=st.none() | st.integers(0, 255))
def test_filling_lasts_as_long_as_the_hole(hole: int, toc: int | None) -> None:
    filled = list(filling(hole, toc))
    assert sum(ticks for ticks, _ in filled) == hole - hole % 120
    assert all(duration(payload) == ticks for ticks, payload in filled)


@pytest.mark.parametrize(
    ("toc", "hole", "expected"),
    [
        (CELT_20 | STEREO, 1920, [CELT_20 | STEREO] * 2),
        (CELT_20 | TWO_FRAMES, 1920, [CELT_20] * 2),
        (CELT_20, 1080, [CELT_20, CELT_2_5]),
        (SILK_60, 2880 + 960, [SILK_60, 9 << 3]),
        (HYBRID_20 | STEREO, 1440, [HYBRID_20 | STEREO, 12 << 3 | STEREO]),
        (CELT_2_5, 360, [CELT_2_5] * 3),
    ],
)
def test_a_short_hole_is_left_to_the_decoder_in_the_mode_before_it(
    toc: int, hole: int, expected: list[int]
) -> None:
    assert [payload for _, payload in filling(hole, toc)] == [bytes([b]) for b in expected]


def test_after_120_ms_there_is_silence() -> None:
    filled = list(filling(48_000, CELT_20 | STEREO))
    assert filled[:6] == [(960, bytes([CELT_20 | STEREO]))] * 6
    assert filled[6:] == [(960, b"\xf8\xff\xfe")] * 44


def test_without_a_neighbour_there_is_silence() -> None:
    assert list(filling(1080, None)) == [(960, b"\xf8\xff\xfe"), (120, b"\xe0\xff\xfe")]


def test_before_its_first_packet_a_decoder_is_left_fresh() -> None:
    laid = lay(packets(48_000, toc=HYBRID_20), 0, 48_960)
    assert laid.payloads[:50] == [bytes([HYBRID_20])] * 50


def test_packets_without_holes_are_laid_as_they_are() -> None:
    given_packets = packets(0, 960, 1920, 2880)
    laid = lay(given_packets, 1000, 2000)
    assert laid.pre_skip == 1000
    assert laid.payloads == [packet.payload for packet in given_packets[:3]]


def test_a_hole_keeps_the_positions_behind_it() -> None:
    laid = lay(packets(0, 2880), 0, 3840)
    assert laid.durations == [960, 960, 960, 960]
    assert laid.payloads[1:3] == [bytes([CELT_20])] * 2


def test_a_late_first_packet_is_preceded_by_silence_to_the_sample() -> None:
    laid = lay(packets(1000), 0, 1960)
    assert laid.pre_skip == 80
    assert laid.durations == [960, 120, 960]


def test_an_early_last_packet_is_followed_by_filling_beyond_the_end() -> None:
    laid = lay(packets(0), 0, 2000)
    assert laid.durations == [960, 960, 120]


def test_what_comes_long_before_the_slice_is_left_out() -> None:
    far = -MAX_PRE_ROLL - 960
    laid = lay(packets(far, far + 960, -960, 0), 0, 960)
    assert laid.pre_skip == MAX_PRE_ROLL


def test_without_any_packet_there_is_silence() -> None:
    assert lay([], 500, 980)[:3] == (0, [480], [b"\xf0\xff\xfe"])


def test_repeated_packets_are_laid_once() -> None:
    assert lay(packets(0, 0, 960, 960), 0, 1920).durations == [960, 960]


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 5000), st.sampled_from([120, 480, 960, 2880])), max_size=30
    ),
    start=st.integers(-3000, 30_000),
    length=st.integers(1, 20_000),
)
def test_the_slice_is_always_covered(steps: list[tuple[int, int]], start: int, length: int) -> None:
    came, position = [], 0
    for gap, ticks in steps:
        came += packets(position + gap, ticks=ticks)
        position += gap + ticks
    laid = lay(came, start, start + length)
    total = sum(laid.durations)
    assert 0 <= laid.pre_skip < MAX_PRE_ROLL + 5760
    assert total >= laid.pre_skip + length
    # The last packet is the one the slice ends in, or there would be nothing to trim it by.
    assert total - laid.durations[-1] < laid.pre_skip + length


@given(
    durations=st.lists(st.sampled_from([120, 240, 480, 960, 1920, 2880]), min_size=1, max_size=60),
    began=st.integers(-5_000, 5_000),
    start=st.integers(-3_000, 3_000),
    length=st.integers(1, 60_000),
)
def test_packets_without_holes_are_laid_as_any_others(
    durations: list[int], began: int, start: int, length: int
) -> None:
    timestamps = accumulate(durations[:-1], initial=began)
    packets = [
        AudioPacket(timestamp, duration, bytes([0xF8, number]))
        for number, (timestamp, duration) in enumerate(zip(timestamps, durations, strict=True))
    ]
    laid = holes.lay_whole(packets, start, start + length)
    assert laid is None or laid == holes.lay_holed(packets, start, start + length)
    assert (laid is not None) == (began <= start and began < start + length)


SECONDS = 10
SAMPLES = SECONDS * 48_000
WIDE_BAND_SILK = {
    Setting.BIT_RATE: 24_000,
    Setting.MODE: libopus.SILK_ONLY,
    Setting.BANDWIDTH: libopus.NARROW_BAND + 2,
}


@cache
def with_copies() -> list[AudioPacket]:
    return encode_with_fec(make_speech(SECONDS), WIDE_BAND_SILK)


def repairable(first: int = 20) -> int:
    """A packet, from *first* on, that the next one has a copy of."""
    return next(n for n in range(first, 400) if fec.carries(with_copies()[n + 1].payload))


@pytest.mark.parametrize(("loss", "margin"), [(0.05, 3.0), (0.1, 2.0), (0.2, 1.5)])
@pytest.mark.parametrize("decoder", DECODERS)
def test_repaired_holes_sound_better_than_concealed_ones(
    decoder: str, loss: float, margin: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.Generator(np.random.PCG64(1))
    lost = {n for n in range(10, 499) if random.random() < loss}
    came = [packet for n, packet in enumerate(with_copies()) if n not in lost]
    reference = decode(ogg.write(with_copies(), 0, SAMPLES), decoder)
    repaired = decode(ogg.write(came, 0, SAMPLES), decoder)
    monkeypatch.setattr(holes, "MAX_RECOVERED", 0)
    concealed = decode(ogg.write(came, 0, SAMPLES), decoder)
    assert len(repaired) == len(concealed) == len(reference) == SAMPLES
    assert snr(reference, repaired) > snr(reference, concealed) + margin


def test_only_the_lost_packet_is_coded_anew() -> None:
    came = with_copies().copy()
    lost = came.pop(n := repairable())
    whole, laid = (lay(packets, 0, SAMPLES) for packets in (with_copies(), came))
    assert laid.durations == whole.durations
    assert [i for i, each in enumerate(laid.payloads) if each != whole.payloads[i]] == [n]
    assert laid.payloads[n][0] == lost.payload[0]
    assert len(laid.payloads[n]) > 10


def test_what_was_done_about_each_hole_is_told() -> None:
    first, gap = repairable(), repairable() + 40
    came = [p for n, p in enumerate(with_copies()) if n != first and not gap <= n < gap + 3]
    laid = lay(came, 0, len(SPEECH))
    assert (laid.recovered, laid.concealed) == ([first], [gap])
    counters = Counter[str]()
    ogg.write(came, 0, len(SPEECH), (), counters)
    assert counters == {"recovered": 1, "concealed": 1}
    # In the slice behind the first hole, that one is pre-roll.
    ogg.write(came, came[first].timestamp, len(SPEECH), (), counters)
    assert counters == {"recovered": 1, "concealed": 2}


def test_a_hole_of_more_than_one_packet_is_concealed() -> None:
    came = with_copies().copy()
    del came[(n := repairable()) - 1 : n + 1]
    laid = lay(came, 0, SAMPLES)
    assert [len(payload) for payload in laid.payloads[n - 1 : n + 1]] == [1, 1]


def test_packets_coded_anew_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    first = repairable()
    second = repairable(first + 10)
    came = [p for n, p in enumerate(with_copies()) if n not in (first, second)]
    monkeypatch.setattr(holes, "MAX_RECOVERED", 1)
    laid = lay(came, 0, SAMPLES)
    assert len(laid.payloads[first]) > 10
    assert len(laid.payloads[second]) == 1


def test_without_libopus_a_hole_is_concealed(monkeypatch: pytest.MonkeyPatch) -> None:
    came = with_copies().copy()
    del came[n := repairable()]
    monkeypatch.setattr(libopus, "library", lambda: None)
    assert len(lay(came, 0, SAMPLES).payloads[n]) == 1


def test_what_libopus_does_not_take_is_concealed() -> None:
    came = with_copies().copy()
    del came[n := repairable()]
    # The packet before cannot be decoded: two frames of equal size in an odd number of bytes.
    came[n - 1] = came[n - 1]._replace(payload=bytes([came[n - 1].payload[0] | 1, 7, 7, 7]))
    laid = lay(came, 0, SAMPLES)
    assert len(laid.payloads[n]) == 1
    assert sum(laid.durations) == SAMPLES
