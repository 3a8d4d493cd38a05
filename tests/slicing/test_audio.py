"""Sound becomes slices of exactly N seconds: over an hour, over loss, silence and odd clocks."""

import struct
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from slicer.rtp.parameters import OPUS, PCMU, Kind, RtpParameters
from slicer.slicing.audio import HELD_UP, HOLE, MAX_SLICE_BYTES, PACKET_OVERHEAD, PREROLL
from slicer.slicing.outputs import AudioCut
from slicer.slicing.spec import AudioSpec
from tests.harness.rtp.audio_bench import SECOND, Bench, check, level
from tests.harness.rtp.call import (
    AUDIO,
    AUDIO_TRACK,
    Call,
    Network,
    Sender,
    heard,
    number_of,
    opus,
)
from tests.harness.rtp.parts import bundle_of

NACK = replace(AUDIO, feedback=frozenset({"nack"}))
RTX = replace(NACK, rtx={112: 111})


def call(
    sender: Sender, network: Network | None = None, seconds: int = 15, tick: float = 0.01
) -> Call:
    """One microphone, cut every *seconds*."""
    bundle = bundle_of("ann", [sender.parameters])
    made = Call(bundle, [sender], network or Network(), tick=tick)
    made.take(bundle.attach(AUDIO_TRACK, AudioSpec(seconds), 0.0))
    return made


def nominal(slices: list[AudioCut], seconds: int = 15) -> bool:
    """Whether all but the last are exactly so long, and contiguous."""
    full = all(cut.end - cut.start == seconds * SECOND for cut in slices[:-1])
    return full and all(a.end == b.start for a, b in pairwise(slices))


@pytest.mark.parametrize(("ppm", "reports"), [(0, 0), (100, 5), (-100, 0)])
def test_half_an_hour_over_all_wraps_is_cut_exactly_and_in_its_place(
    ppm: int, reports: int
) -> None:
    """Timestamps wrap after a minute, sequence numbers after ten seconds and 22 minutes."""
    sender = Sender(AUDIO, sequence=65_000, timestamp=2**32 - 60 * SECOND, ppm=ppm, reports=reports)
    talk = call(sender, tick=0.1).run(1800)
    talk.end()
    slices = talk.slices
    check(slices)
    assert len(slices) == (121 if ppm == 100 else 120)
    assert nominal(slices)
    assert heard(slices) == sender.sent
    for cut in slices[1:]:
        assert cut.start - cut.packets[0].timestamp == PREROLL * SECOND
    drift = [cut.began - number_of_start(cut) * 0.02 / (1 + ppm * 1e-6) for cut in slices]
    assert max(drift) - min(drift) < 0.03  # frames are 20 ms apart, and the clock 6 ms in a minute
    # The first report comes before the first packet tells whose it is.
    # Without a report no name is ever settled.
    assert set(talk.bundle.counters) == {"unknown_ssrc" if reports else "unsettled_full"}


@pytest.mark.parametrize("ppm", [-200, 200])
def test_a_long_slice_begins_where_it_did_before_clocks_drifted(ppm: int) -> None:
    """Ten minutes: read at the cut, the start would be 100 ms off."""
    talk = call(Sender(AUDIO, ppm=ppm, reports=5), seconds=600, tick=0.02).run(605)
    (cut,) = talk.slices
    captured = number_of_start(cut) * 0.02 / (1 + ppm * 1e-6)
    assert cut.began - captured == pytest.approx(0.02, abs=0.01)


def number_of_start(cut: AudioCut) -> float:
    """The number of the frame at the start, read from the nearest packet."""
    packet = cut.packets[0]
    return number_of(packet) + (cut.start - packet.timestamp) / 960


@pytest.mark.parametrize("seconds", [1, 2, 7, 15, 60])
def test_any_length(seconds: int) -> None:
    talk = call(Sender(AUDIO), seconds=seconds).run(121)
    talk.end()
    assert nominal(talk.slices, seconds)
    assert len(talk.slices) == -(-121 // seconds)
    assert heard(talk.slices) == talk.senders[0].sent


def test_a_packet_across_the_cut_is_in_both_slices() -> None:
    sender = Sender(AUDIO, every=0.02)
    talk = call(sender, seconds=1).run(0.02)
    talk.senders[0].timestamp += 480  # a hole of 10 ms: from now on cuts fall inside packets
    talk.run(3)
    one, two = talk.slices[:2]
    across = next(p for p in one.packets if p.timestamp + p.duration > one.end)
    assert across in two.packets
    assert nominal(talk.slices, 1)


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("parameters", [RTX, NACK], ids=["rtx", "same ssrc"])
def test_with_retransmission_nothing_is_missing(parameters: RtpParameters, loss: float) -> None:
    sender = Sender(parameters)
    network = Network(delay=0.03, loss=loss)
    talk = call(sender, network).run(120)
    network.loss = 0
    talk.run(2)
    talk.end()
    assert nominal(talk.slices)
    missing = set(sender.sent) - set(heard(talk.slices))
    assert missing <= {0, *sender.sent[-3:]}  # nobody knows of a first packet that was lost
    assert talk.bundle.counters["retransmitted"] > 0  # by RTX, or as they were


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.1])
def test_without_retransmission_holes_are_where_packets_were_lost(loss: float) -> None:
    sender = Sender(AUDIO)
    lost = {number for number in range(6000) if hash((number, loss)) % 1000 < loss * 1000}
    lost -= {0, 1, 5998, 5999}
    talk = call(sender, Network(lose=lost.__contains__)).run(120)
    talk.end()
    check(talk.slices)
    assert nominal(talk.slices)
    assert heard(talk.slices) == [number for number in sender.sent if number not in lost]
    for cut in talk.slices:
        for packet in cut.packets:
            assert packet.timestamp == 960 * number_of(packet)


@pytest.mark.parametrize("apart", [2, 10, 40])
def test_reordering_loses_nothing_while_it_is_within_patience(apart: int) -> None:
    late = Network(late=lambda number: 0.005 * apart - 0.006 if number % 50 == 7 else 0.0)
    sender = Sender(AUDIO, every=0.005, toc=0xE8)
    talk = call(sender, late, tick=0.005).run(20)
    talk.end()
    assert nominal(talk.slices)
    assert heard(talk.slices) == sender.sent


def test_duplicates_change_nothing() -> None:
    talk = call(Sender(AUDIO), Network(duplicate=1.0, jitter=0.03)).run(60)
    talk.end()
    assert nominal(talk.slices)
    assert heard(talk.slices) == talk.senders[0].sent[: len(heard(talk.slices))]
    assert talk.bundle.counters["late"] + talk.bundle.counters["duplicate"] > 2500


@pytest.mark.parametrize("burst", [50, 99])
def test_a_burst_of_losses_within_a_hole_stays_in_its_slice(burst: int) -> None:
    lost = Network(lose=lambda number: 1000 <= number < 1000 + burst)
    talk = call(Sender(AUDIO), lost).run(60)
    talk.end()
    assert nominal(talk.slices)


def test_a_burst_of_losses_longer_than_a_hole_ends_the_slice_there() -> None:
    lost = Network(lose=lambda number: 1000 <= number < 1102)
    talk = call(Sender(AUDIO), lost).run(60)
    talk.end()
    check(talk.slices)
    assert [cut.end - cut.start for cut in talk.slices[:3]] == [
        15 * SECOND,
        5 * SECOND,
        15 * SECOND,
    ]
    assert talk.slices[2].start == 1102 * 960
    assert {cut.epoch for cut in talk.slices} == {0}


def test_discontinuous_transmission_does_not_shorten_slices() -> None:
    sender = Sender(AUDIO)
    talk = call(sender)
    for _ in range(150):  # one packet in 400 ms
        sender.muted = False
        talk.run(0.02)
        sender.muted = True
        talk.run(0.38)
    talk.end()
    assert nominal(talk.slices)
    assert sum(len(cut.packets) for cut in talk.slices) == 150


@pytest.mark.parametrize("frozen", [False, True], ids=["timestamps run on", "they stand still"])
@pytest.mark.parametrize("seconds", [1.9, 2.1, 60])
def test_a_mute_and_its_end(seconds: float, frozen: bool) -> None:
    sender = Sender(AUDIO, frozen=frozen)
    talk = call(sender).run(20)
    sender.muted = True
    talk.run(seconds)
    sender.muted = False
    talk.run(20)
    talk.end()
    check(talk.slices)
    assert heard(talk.slices) == sender.sent
    if seconds < HOLE or (frozen and seconds < HELD_UP):
        assert nominal(talk.slices)  # to media time nothing happened, or a hole that is filled
    else:
        ends = [round((cut.end - cut.start) / SECOND, 2) for cut in talk.slices]
        assert ends == [15, 5, 15, 5]
        assert talk.slices[2].began == pytest.approx(20 + seconds + 0.02, abs=0.03)


def test_silence_ends_a_slice_when_the_media_has_abandoned_it() -> None:
    talk = call(Sender(AUDIO)).run(1)
    talk.senders[0].muted = True
    talk.run(HELD_UP - 0.1)
    assert talk.slices == []
    talk.run(0.2)
    assert [cut.end for cut in talk.slices] == [50 * 960]
    assert talk.end() == talk.cuts[:1]


def test_bye_is_no_end() -> None:
    talk = call(Sender(AUDIO)).run(10)
    talk.carry(talk.senders[0].bye(), talk.now)
    talk.run(20)
    talk.end()
    assert nominal(talk.slices)
    assert talk.bundle.counters["bye"] == 1


def test_a_stalled_sender_begins_anew_where_it_goes_on() -> None:
    sender = Sender(AUDIO)
    talk = call(sender).run(20)
    sender.muted = True
    talk.run(10)
    sender.muted = False
    talk.run(20)
    talk.end()
    check(talk.slices)
    assert heard(talk.slices) == sender.sent
    assert {cut.epoch for cut in talk.slices} == {0}
    assert talk.slices[2].began == pytest.approx(30, abs=0.05)


@pytest.mark.parametrize("duplicate", [0.0, 0.3])
def test_a_new_source_loses_nothing_and_begins_an_epoch(duplicate: float) -> None:
    sender = Sender(AUDIO)
    talk = call(sender, Network(duplicate=duplicate)).run(20)
    sender.ssrc, sender.sequence, sender.timestamp = 77, 40_000, 123_456
    talk.run(20)
    talk.end()
    check(talk.slices)
    assert heard(talk.slices) == sender.sent
    assert [cut.epoch for cut in talk.slices] == [0, 0, 1, 1]


def test_two_sources_at_once_make_no_storm_of_slices() -> None:
    talk = call(Sender(AUDIO))
    talk.senders.append(Sender(AUDIO, ssrc=2, timestamp=99_999, number=1_000_000))
    talk.run(60)
    talk.end()
    check(talk.slices)
    assert len(talk.slices) <= 6
    assert sum(cut.end - cut.start for cut in talk.slices) > 59 * SECOND


@pytest.mark.parametrize("jump", [3600, 1.5, -3600, -1])
def test_a_jump_of_timestamps_ends_the_slice_and_loses_nothing(jump: float) -> None:
    sender = Sender(AUDIO, timestamp=5000 * SECOND)
    talk = call(sender).run(20)
    sender.timestamp += round(jump * SECOND)
    talk.run(20)
    talk.end()
    check(talk.slices)
    assert heard(talk.slices) == sender.sent
    assert [round((cut.end - cut.start) / SECOND) for cut in talk.slices] == [15, 5, 15, 5]
    assert [cut.epoch for cut in talk.slices] == [0, 0, 1, 1]
    assert talk.slices[2].began == pytest.approx(20, abs=0.05)


def test_a_codec_change_begins_an_epoch() -> None:
    parameters = replace(AUDIO, codecs={111: OPUS, 0: PCMU})
    sender = Sender(parameters)
    talk = call(sender).run(20)
    sender.payload_type, sender.ticks = 0, 5
    talk.run(2)
    talk.end()
    check(talk.slices)
    assert [cut.codec.name for cut in talk.slices] == ["opus", "opus", "pcmu"]


def test_five_seconds_that_come_at_once_are_not_lost() -> None:
    network = Network()
    talk = call(Sender(AUDIO), network).run(20)
    network.blocked_until = 25
    talk.run(40)
    talk.end()
    check(talk.slices)
    assert heard(talk.slices) == talk.senders[0].sent
    assert talk.slices[-1].began == pytest.approx(talk.slices[-1].start / SECOND, abs=0.05)


@pytest.mark.parametrize("there", [30_000, 900, 60_000])
def test_a_sender_that_restarts_its_numbers_loses_nothing(there: int) -> None:
    sender = Sender(AUDIO, sequence=10_000)
    talk = call(sender).run(20)
    sender.sequence = there
    talk.run(20)
    talk.end()
    check(talk.slices)
    assert heard(talk.slices) == sender.sent


# What no sender of the harness does.


def levels_of(told: Sequence[bytes], first: int = 0) -> list[int | None]:
    """What slices of a second say of packets of 20 ms, the first at the time *first*."""
    bench = Bench()
    for number, extension in enumerate(told):
        bench.put(first + 960 * number, extension=extension)
    return [cut.level for cut in bench.end()]


@pytest.mark.parametrize("profile", [0xBEDE, 0x1000], ids=["one byte", "two bytes"])
def test_a_slice_is_as_loud_as_its_loudest_packet(profile: int) -> None:
    told = [level(127, profile=profile)] * 150
    told[70] = level(31, True, profile)
    told[20] = level(0, True, profile)
    assert levels_of(told) == [0, 31, 127]


def test_a_slice_has_no_level_where_a_packet_does_not_tell_its_own() -> None:
    told = [level(127)] * 150
    told[99] = b""
    assert levels_of(told) == [127, None, 127]
    assert levels_of([b""] * 50) == [None]
    empty = struct.pack("!HH", 0x1000, 1) + bytes([5, 0, 0, 0])
    assert levels_of([*[level(127)] * 49, empty]) == [None]


def test_a_loud_packet_across_the_cut_is_in_both_slices() -> None:
    bench = Bench()
    for number in range(101):
        at = 960 * number + (480 if number else 0)
        bench.put(at, extension=level(5 if number == 49 else 100))
    assert [cut.level for cut in bench.end()] == [5, 5, 100]


def test_a_level_that_was_not_agreed_is_not_read() -> None:
    bench = Bench()
    bench.take(bench.bundle.set_sections("ann", [RtpParameters(Kind.AUDIO, {111: OPUS})], 0.0))
    bench.put(0, extension=level(127))
    bench.put(960, extension=level(127))
    assert [cut.level for cut in bench.end()] == [None]


def test_a_hole_longer_than_a_slice_makes_no_file_without_sound() -> None:
    bench = Bench(seconds=1)
    for timestamp in (0, 960, 1920, SECOND * 2 + 480 * 4):
        bench.put(timestamp)
    cuts = bench.end()
    assert [(cut.start, cut.end) for cut in cuts] == [
        (0, SECOND),
        (2 * SECOND, 2 * SECOND + 1920 + 960),
    ]


@pytest.mark.parametrize("wobble", [47, 1])
def test_timestamps_that_wobble_do_not_cut(wobble: int) -> None:
    bench = Bench(seconds=2)
    for i in range(500):
        bench.put(960 * i + (wobble if i % 2 else 0) * (-1 if i % 3 == 0 else 1))
    cuts = bench.end()
    assert len(cuts) == 5
    assert sum(len(cut.packets) for cut in cuts) >= 500
    assert bench.counted().keys() == {"moved_into_place"}
    assert bench.counted()["moved_into_place"] > 100


def test_holes_are_multiples_of_what_can_be_filled() -> None:
    bench = Bench()
    bench.put(0)
    bench.put(960 + 240 + 13)
    (cut,) = bench.end()
    assert [packet.timestamp for packet in cut.packets] == [0, 960 + 240]


@pytest.mark.parametrize("timestamp", [960, 960 + 300])
def test_a_packet_that_repeats_time_is_dropped(timestamp: int) -> None:
    bench = Bench()
    for at in (0, 960, timestamp, 1920):
        bench.put(at)
    (cut,) = bench.end()
    assert [packet.timestamp for packet in cut.packets] == [0, 960, 1920]
    assert bench.counted() == {"overlap": 1}


@pytest.mark.parametrize(("early", "counted"), [(81, "moved_into_place"), (82, "overlap")])
def test_a_packet_may_begin_too_early_by_half_of_it_rounded_up(early: int, counted: str) -> None:
    bench = Bench(codec=PCMU)
    for at in (0, 161, 322, 483 - early):
        bench.put(at, bytes(161))
    (cut,) = bench.end()
    assert bench.counted() == {counted: 1}
    assert len(cut.packets) == 3 + (early == 81)


def test_after_silence_nothing_goes_back_before_the_last_end() -> None:
    bench = Bench()
    bench.put(0)
    bench.put(960)
    bench.wait(HELD_UP)
    assert len(bench.cuts) == 1
    bench.put(1660)
    bench.put(1920)
    assert [(cut.start, cut.end) for cut in bench.end()] == [(0, 1920), (1920, 2880)]
    assert bench.counted() == {"moved_into_place": 1, "overlap": 1}


def test_malformed_payloads_are_counted_and_padding_is_not() -> None:
    bench = Bench()
    for payload in (b"", b"\xff", b"\xf9a", b"\xf8"):
        bench.put(0, payload)
    assert len(bench.end()) == 1
    assert bench.counted() == {"malformed_payload": 2}


def test_packets_of_any_length() -> None:
    bench = Bench(seconds=1)
    at = 0
    while at < 3 * SECOND:  # 60 ms, 2.5 ms, 120 ms
        for payload, duration in ((b"\x18", 2880), (b"\xe0", 120), (b"\x1b\x02ab", 5760)):
            bench.put(at, payload)
            at += duration
    cuts = bench.end()
    assert nominal(cuts, 1)
    assert cuts[1].packets[0].timestamp <= cuts[1].start - PREROLL * SECOND


def test_an_eight_kilohertz_clock_is_cut_on_its_own_ticks() -> None:
    bench = Bench(codec=PCMU)
    for i in range(150):
        bench.put(160 * i, bytes(160))
    assert [(cut.start, cut.end) for cut in bench.end()] == [
        (0, 8000),
        (8000, 16_000),
        (16_000, 24_000),
    ]


def test_a_slice_is_bounded_in_bytes() -> None:
    payload = opus(0, 0xE0).ljust(1276, b"\xaa")  # the longest of 2.5 ms
    fits = MAX_SLICE_BYTES // (len(payload) + PACKET_OVERHEAD)
    bench = Bench(seconds=3600)
    for i in range(0, 2 * fits + 2, 200):
        bench.put_all([120 * (i + j) for j in range(200)], payload)
    cuts = bench.end()
    assert bench.counted() == {"slice_full": 2}
    assert cuts[0].end == (fits + 1) * 120
    assert all(a.end == b.start for a, b in pairwise(cuts))
