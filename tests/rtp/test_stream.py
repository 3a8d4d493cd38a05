"""Sources, epochs, repair and sleep of one m-line."""

from itertools import pairwise

import pytest

from slicer.rtp.parameters import PCMU, VP8, Kind, RtpParameters
from slicer.rtp.ring import CAPACITY
from slicer.rtp.stream import (
    CHANGES,
    COMES_BACK,
    EARLY,
    EARLY_AFTER_LOSS,
    MAX_CANDIDATES,
    MAX_HELD,
    MAX_RETIRED,
    NEARBY,
    OPENING,
    PATIENCE,
    PATIENCE_NACK,
)
from tests.harness.rtp.line import AUDIO, PACE, Line

VIDEO = RtpParameters(Kind.VIDEO, {96: VP8}, {97: 96}, feedback=frozenset({"nack"}))


def test_nothing_of_the_beginning_is_lost() -> None:
    line = Line()
    for sequence in (2, 0, 1, 3):
        line.put(sequence)
    line.wait(OPENING)
    assert line.sequences == [0, 1, 2, 3]
    assert not line.stream.counters


def test_one_packet_alone_is_no_source() -> None:
    line = Line()
    line.put(5)
    line.wait(1.0)
    assert line.out == []
    assert line.stream.source is None


def test_two_packets_far_apart_are_no_source_but_near_ones_are() -> None:
    line = Line()
    line.put(0)
    line.put(NEARBY + 1)
    assert line.stream.source is None
    assert line.stream.counters["probation"] == 1
    line.put(1)
    line.put(1)  # the same packet twice proves nothing
    assert line.stream.source is not None  # 1 is near NEARBY + 1


def test_duplicates_are_no_source() -> None:
    line = Line()
    line.put(5)
    line.put(5)
    assert line.stream.source is None


def test_both_counters_wrap_unnoticed() -> None:
    line = Line()
    for sequence in range(65_500, 65_600):
        line.put(sequence, 2**32 - 960 * 50 + 960 * (sequence - 65_500))
    assert line.sequences == list(range(65_500, 65_600))
    timestamps = [ordered.packet.timestamp for ordered in line.out]
    assert [b - a for a, b in pairwise(timestamps)] == [960] * 99
    assert line.epochs == [0]


@pytest.mark.parametrize(
    ("parameters", "patience"), [(AUDIO, PATIENCE), (VIDEO, PATIENCE_NACK)], ids=["plain", "nack"]
)
def test_a_hole_is_given_up_in_time(parameters: RtpParameters, patience: float) -> None:
    line = Line(parameters)
    line.begin()
    line.put(11)
    found = line.now
    assert line.stream.deadline() is not None
    line.wait(patience - PACE)
    assert line.sequences[-1] == 9
    line.wait(found + patience - line.now)
    assert line.sequences[-1] == 11
    assert not line.out[-1].contiguous


def test_a_new_source_takes_over_and_nothing_is_lost() -> None:
    line = Line()
    line.begin()
    line.put(11)  # behind a hole
    for sequence in range(500, 510):
        line.put(sequence, ssrc=2)
    line.wait(1.0)
    assert line.sequences == [*range(10), 11, *range(500, 510)]
    assert [ordered.epoch for ordered in line.out] == [0] * 11 + [1] * 10
    assert line.stream.counters["ssrc_changed"] == 1


def test_a_replaced_source_is_not_listened_to_while_the_new_one_speaks() -> None:
    line = Line()
    for sequence in range(300):  # both at once
        for ssrc in (1, 2):
            line.put(sequence, round(line.now * 48_000), ssrc)
    line.wait(COMES_BACK)
    assert line.epochs == [0]
    assert line.sequences == list(range(300))
    assert line.stream.counters["parallel_ssrc"] == pytest.approx(300, abs=5)


def test_slow_sources_side_by_side_do_not_take_turns() -> None:
    line = Line(VIDEO)
    for second in range(60):  # two layers at one frame of three packets a second
        for ssrc in (1, 2):
            for i in range(3):
                line.put(3 * second + i, timestamp=90_000 * second, ssrc=ssrc)
            line.wait(0.5 - 3 * PACE)
    assert line.stream.counters["ssrc_changed"] <= 1


@pytest.mark.parametrize(
    ("parameters", "silent"), [(AUDIO, CHANGES), (VIDEO, COMES_BACK)], ids=["audio", "video"]
)
def test_a_replaced_source_comes_back_and_nothing_is_lost(
    parameters: RtpParameters, silent: float
) -> None:
    line = Line(parameters)
    line.begin()
    for sequence in range(10):
        line.put(sequence, ssrc=2)
    line.wait(CHANGES)
    for sequence in range(100, 110):
        line.put(sequence)
    assert line.sequences == [*range(10), *range(10)]
    assert line.stream.deadline() == pytest.approx(line.now - 9 * PACE + silent)
    line.wait(silent)
    assert line.sequences == [*range(10), *range(10), *range(100, 110)]
    assert line.epochs == [0, 1, 2]
    assert not {"probation", "parallel_ssrc"} & {*line.stream.counters}


def test_speakers_that_take_turns_lose_nothing() -> None:
    """As a mixer sends them: one section, the SSRC of who speaks."""
    line, sent = Line(), list[int]()
    for turn in range(10):
        for sequence in range(100 * turn, 100 * turn + 50):  # a second each
            line.put(sequence, ssrc=turn % 2 + 1)
            sent.append(sequence)
    line.out += line.stream.flush()
    assert line.sequences == sent
    assert line.epochs == list(range(10))


def test_the_last_packet_of_a_source_may_come_behind_the_first_ones_of_the_next() -> None:
    line = Line()
    line.begin()
    for sequence in range(500, 505):
        if sequence == 502:
            line.put(10)
        line.put(sequence, ssrc=2)
    line.wait(CHANGES)
    assert line.sequences == [*range(11), *range(500, 505)]


def test_at_the_end_a_source_that_was_to_take_over_is_given_too() -> None:
    line = Line()
    line.begin()
    line.put(500, ssrc=2)
    line.put(501, ssrc=2)
    assert [one.packet.sequence for one in line.stream.flush()] == [500, 501]


def test_at_the_end_a_source_beside_the_current_one_is_not_given() -> None:
    line = Line()
    for sequence in range(100):
        for ssrc in (1, 2):
            line.put(sequence, round(line.now * 48_000), ssrc)
    line.put(100)
    assert line.stream.flush() == []


def test_what_is_held_is_bounded() -> None:
    line = Line(VIDEO)
    line.begin()
    line.now += PACE
    for sequence in range(MAX_HELD + 5):
        line.now -= PACE
        line.put(sequence, ssrc=2)
    line.wait(CHANGES)
    assert line.sequences[10:] == list(range(5, MAX_HELD + 5))
    assert line.stream.counters["probation"] == 5


def test_three_layers_from_the_start_end_with_one_of_them() -> None:
    line = Line()
    for sequence in range(100):
        for ssrc in (1, 2, 3):
            line.put(sequence, round(line.now * 48_000), ssrc)
    assert line.stream.source is not None
    assert line.stream.source.ssrc == 1
    assert line.sequences == list(range(100))
    assert line.epochs == [0]


def test_candidates_and_retired_sources_are_bounded() -> None:
    line = Line()
    for ssrc in range(1, 100):
        line.put(0, ssrc=ssrc)
    assert len(line.stream.candidates) == MAX_CANDIDATES
    assert line.stream.counters["probation"] == 99 - MAX_CANDIDATES
    for ssrc in range(100, 140):
        line.put(0, ssrc=ssrc)
        line.put(1, ssrc=ssrc)
        line.wait(CHANGES)
    assert len(line.stream.retired) == MAX_RETIRED


def test_a_new_codec_begins_an_epoch() -> None:
    line = Line()
    line.begin()
    line.put(10, payload_type=0)
    assert line.out[-1].codec is PCMU
    assert line.epochs == [0, 1]


@pytest.mark.parametrize(
    ("seconds", "epochs"),
    [
        (EARLY - 0.1, 1),
        (EARLY + 0.1, 2),
        (1.5, 2),
        (3600, 2),
        (-0.001, 2),
        (-1, 2),
        (-3.1, 2),
        (-3600, 2),
    ],
)
def test_a_jump_of_the_senders_clock_begins_an_epoch(seconds: float, epochs: int) -> None:
    line = Line()
    line.begin()
    jump = round(seconds * 48_000) - (960 if seconds < 0 else 0)
    for sequence in range(10, 20):
        line.put(sequence, 960 * sequence + jump)
    assert len(line.epochs) == epochs
    assert line.sequences == list(range(20))
    assert line.stream.counters["clock_jumped"] == epochs - 1


@pytest.mark.parametrize(("seconds", "epochs"), [(1.5, 1), (EARLY_AFTER_LOSS + 0.1, 2)])
def test_after_a_loss_more_haste_is_allowed(seconds: float, epochs: int) -> None:
    line = Line()
    line.begin()
    line.put(11, 960 * 11 + round(seconds * 48_000))
    line.wait(PATIENCE)
    assert len(line.epochs) == epochs


def test_frames_out_of_display_order_are_no_jump() -> None:
    line = Line(VIDEO)
    for sequence, frame in enumerate((0, 3, 1, 2, 6, 4, 5)):
        line.put(sequence, 3000 * frame)
    line.wait(OPENING)
    assert line.epochs == [0]


def test_pausing_with_the_clock_running_on_is_no_jump() -> None:
    line = Line()
    line.begin()
    line.now += 60
    line.put(10, 960 * 10 + 60 * 48_000)
    assert line.epochs == [0]


@pytest.mark.parametrize("seconds", [2.1, 10, 3600])
def test_pausing_with_the_clock_standing_still_is_continuous(seconds: float) -> None:
    line = Line()
    line.begin()
    line.now += seconds
    for sequence in range(10, 20):
        line.put(sequence)
    assert line.epochs == [0]
    assert line.sequences == list(range(20))


@pytest.mark.parametrize("step", [EARLY, EARLY_AFTER_LOSS])
def test_a_small_step_is_continuous_however_early_or_late_it_comes(step: float) -> None:
    line = Line()
    line.begin()
    for at in range(1, 10):  # faster than the time that passes
        line.now -= PACE
        line.put(9 + at * (1 if step == EARLY else 2), 960 * 9 + round(at * step * 48_000))
    line.now += 20
    line.put(9 + 10 * (1 if step == EARLY else 2), 960 * 9 + round(10 * step * 48_000))
    line.wait(PATIENCE)
    assert line.epochs == [0]


def test_a_clock_that_steps_back_after_a_hold_up_begins_an_epoch() -> None:
    line = Line()
    line.begin(100)
    line.now += 5
    line.put(100)
    line.put(101, 960 * 50)
    assert line.epochs == [0, 1]


def test_five_seconds_of_delayed_packets_lose_nothing() -> None:
    line = Line()
    line.begin()
    line.now += 5
    late = line.now
    for sequence in range(10, 260):
        line.now = late - PACE
        line.put(sequence)
    for sequence in range(260, 300):
        line.put(sequence)
    assert line.sequences == list(range(300))
    assert line.epochs == [0]


@pytest.mark.parametrize("there", [300, 20_000, 40_000])
def test_a_restart_of_sequence_numbers_loses_nothing(there: int) -> None:
    line = Line()
    for sequence in range(1000, 1100):
        line.put(sequence)
    for i in range(100):
        line.put(there + i, 960 * (1100 + i))
    line.wait(2.0)
    assert [ordered.packet.timestamp // 960 for ordered in line.out] == list(range(1000, 1200))
    assert line.stream.counters["moved"] == 1
    assert line.epochs == [0]
    assert line.stream.source is not None
    assert line.stream.source.reception.report(line.now).packets_lost == 0


def test_stray_packets_are_dropped_and_touch_nothing() -> None:
    line = Line(VIDEO)
    for sequence in range(300):
        line.put(sequence)
        if sequence % 3 == 2:
            line.put(sequence * 7919 % 40_000 + 5000, timestamp=sequence * 123_456_789)
    assert line.sequences == list(range(300))
    assert line.epochs == [0]
    assert line.stream.counters["stray"] + line.stream.counters["late"] == 100
    assert line.stream.missing(line.now) == []
    assert line.stream.source is not None
    assert line.stream.source.reception.report(line.now).highest_sequence == 299


def test_a_burst_of_losses_longer_than_the_ring() -> None:
    line = Line()
    line.begin()
    line.now += CAPACITY * PACE + 1
    for sequence in range(CAPACITY + 100, CAPACITY + 200):
        line.put(sequence, 960 * (sequence + 50))
    assert line.sequences[10:] == list(range(CAPACITY + 100, CAPACITY + 200))
    assert not line.out[10].contiguous
    assert line.epochs == [0]


def rtx(sequence: int, payload: bytes = b"x") -> bytes:
    return (sequence & 0xFFFF).to_bytes(2) + payload


def test_what_is_missing_is_repaired_by_rtx() -> None:
    line = Line(VIDEO)
    line.begin()
    line.put(12)
    assert line.stream.missing(line.now + 0.1) == [10, 11]
    line.put(0, 10 * 1800, 2000, 97, rtx(10))
    line.put(1, 11 * 1800, 2000, 97, rtx(11))
    assert line.sequences == list(range(13))
    assert all(ordered.contiguous for ordered in line.out[1:])
    assert line.stream.counters["retransmitted"] == 2
    assert line.stream.missing(line.now + 1) == []


def test_what_is_sent_again_as_it_was_is_counted_once_it_was_asked_for() -> None:
    line = Line(VIDEO)
    line.begin()
    line.put(13)
    line.put(12)  # overtaken: nobody asked for it
    assert line.stream.missing(line.now + 0.1) == [10, 11]
    line.put(11)
    line.put(10)
    line.put(10)  # the retransmission, and the one that was late
    assert line.sequences == list(range(14))
    assert line.stream.counters["retransmitted"] == 2


def test_a_repair_that_nobody_needs_changes_nothing() -> None:
    line = Line(VIDEO)
    line.begin()
    for sequence in range(40):  # probing: what came long ago, and another layer's packets
        line.put(sequence, sequence * 1800, 2000, 97, rtx(sequence - 30))
    line.put(99, 0, 2000, 97, b"")
    line.put(10)
    assert line.sequences == list(range(11))
    assert line.stream.counters["needless_retransmission"] == 40
    assert line.stream.counters["padding"] == 1


def test_missing_numbers_are_asked_for_as_on_the_wire() -> None:
    line = Line(VIDEO)
    for sequence in (65_530, 65_531, 65_538):
        line.put(sequence)
    assert line.stream.missing(line.now + 0.1) == [65_532, 65_533, 65_534, 65_535, 0, 1]


def test_after_a_restart_missing_packets_are_asked_for_again() -> None:
    line = Line(VIDEO)
    for sequence in (*range(60_000, 60_010), *range(30_000, 30_080), 30_082):
        line.put(sequence, 1800 * (len(line.out) + 5))
    assert line.stream.counters["moved"] == 1
    assert line.stream.missing(line.now + 0.1) == [30_080, 30_081]


def test_asleep_packets_are_only_counted_until_the_one_that_is_due() -> None:
    line = Line(VIDEO)
    line.begin(40)
    line.stream.doze(until=1800 * 100)
    for sequence in (2, *range(40, 50), *range(51, 100), 3):  # 2 and 3 are sent once more
        line.put(sequence)
    assert line.sequences == list(range(40))
    assert line.stream.missing(line.now + 1) == []
    assert line.stream.deadline() is None
    assert line.stream.counters == {"asleep": 59, "late": 2}
    line.put(100)
    assert (line.sequences[-1], line.epochs) == (100, [0])
    assert not line.out[-1].contiguous
    assert not line.stream.asleep
    line.put(102)
    assert line.stream.missing(line.now + 1) == [101]


def test_asleep_it_is_reported_all_the_same() -> None:
    line = Line(VIDEO)
    line.stream.doze()
    line.begin(100)
    assert line.stream.source is not None
    block = line.stream.source.reception.report(line.now)
    assert (block.packets_lost, block.highest_sequence) == (0, 99)


@pytest.mark.parametrize(
    "jump", [3600 * 90_000, -3600 * 90_000, -90_000, 2 * 90_000], ids=["+1h", "-1h", "-1s", "+2s"]
)
def test_a_jump_ends_the_sleep(jump: int) -> None:
    line = Line(VIDEO)
    line.begin()
    line.stream.doze(until=90_000 * 1000)
    for sequence in range(10, 20):
        line.put(sequence, 1800 * sequence + jump)
    assert line.sequences == list(range(20))
    assert line.epochs == [0, 1]


@pytest.mark.parametrize("there", [100, 30_000, 50_000])
def test_a_restart_of_sequence_numbers_does_not_prolong_the_sleep(there: int) -> None:
    line = Line(VIDEO)
    for sequence in range(5000, 5010):
        line.put(sequence)
    line.stream.doze(until=1800 * 5100)
    for i in range(200):
        line.put(there + i, 1800 * (5010 + i))
    assert line.out[10].packet.timestamp == 1800 * 5100
    assert len(line.out) == 10 + 110


def test_a_sleeping_stream_whose_source_changes_wakes() -> None:
    line = Line(VIDEO)
    line.begin()
    line.stream.doze(until=90_000 * 1000)
    for sequence in range(700, 710):
        line.put(sequence, ssrc=2)
    line.wait(CHANGES)
    assert line.sequences[10:] == list(range(700, 710))


def test_a_stream_that_nobody_wants_never_wakes_by_itself() -> None:
    line = Line(VIDEO)
    line.stream.doze()
    line.begin()
    for sequence in range(10, 20):
        line.put(sequence, ssrc=2)
    line.wait(CHANGES)
    assert line.out == []
    line.stream.wake()
    line.put(20, ssrc=2)
    assert line.sequences == [20]


def test_flush_gives_what_is_held() -> None:
    line = Line()
    line.begin()
    line.put(12)
    assert [ordered.packet.sequence for ordered in line.stream.flush()] == [12]
    assert line.stream.flush() == []
