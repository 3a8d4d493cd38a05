"""Media time becomes *now*: by reports, in regimes, over one clock; and not by reports that lie.

The first half is simulated: what a name is wrong by, in milliseconds, once a report has settled it.
"""

import functools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rtp.mapping import AGREE, MAX_REGIMES, NONE, PLAUSIBLE, TOO_EARLY, TOO_LATE
from tests.harness.rtp.clocks import Clocks, Named, names
from tests.harness.rtp.parts import SenderClock, TimestampMapper

RATE = 48_000
OPENING = 20.0  # seconds in which the least delay is still being found
CALL = Clocks()
LONG = replace(CALL, sparse=5)  # the least delay is then harder to see, and cheaper to simulate


def grown(at: float) -> float:
    """A path whose delay grows to 1.5 s in 30 s, and stays."""
    return min(max(at - 120.0, 0.0) / 20.0, 1.5)


def emptied(at: float) -> float:
    """A queue that is there for 10 s, and is sent while the clock behind it stands still."""
    return 1.0 * (52.0 <= at < 62.0)


def held_up(at: float) -> float:
    """All that is sent within 5 s comes at their end."""
    return 65.0 - at if 60.0 <= at < 65.0 else 0.0


CASES = {
    "quiet": CALL,
    "its NTP an hour off": replace(CALL, ntp=lambda at: at - 3600.0),
    "slewed by 500 ppm": replace(LONG, seconds=600.0, ntp=lambda at: at * (1 + 500e-6)),
    "slewed by -500 ppm": replace(LONG, seconds=600.0, ntp=lambda at: at * (1 - 500e-6)),
    "a hold-up of 5 s": replace(CALL, delay=held_up),
    **{
        f"its audio's clock stands still for {stall} s": replace(CALL, freezes=((61.33, stall),))
        for stall in (0.05, 0.3, 0.8, 1.5, 2.5, 10.0)
    },
    "both clocks stand still": replace(CALL, freezes=((61.33, 0.8),), frozen=(0, 1)),
    "six stalls": replace(
        CALL, seconds=200.0, freezes=tuple((40.013 + 20.7 * stall, 0.8) for stall in range(6))
    ),
    "three stalls in 6 s": replace(CALL, freezes=((61.33, 0.8), (63.7, 0.8), (66.1, 0.8))),
    "two stalls, of both clocks": replace(CALL, freezes=((61.33, 2.5), (65.1, 0.3)), frozen=(0, 1)),
    "a stall in a queue": replace(CALL, delay=lambda _: 0.3, freezes=((61.33, 0.8),)),
    "a stall that empties a queue": replace(CALL, delay=emptied, freezes=((60.33, 6.0),)),
    "a stall among late reports": replace(
        CALL,
        late=2.0,
        freezes=tuple((40.517 + 9.1 * stall, 0.8) for stall in range(8)),
        frozen=(1,),
    ),
    "all held up as they stand still": replace(
        CALL, jitter=0.03, delay=held_up, freezes=((57.33, 6.0),), frozen=(0, 1)
    ),
    "set while all is held up": replace(
        CALL, jitter=0.03, delay=held_up, ntp=lambda at: at + 0.3 * (at > 62.0)
    ),
    "a delay that grows to 1.5 s": replace(CALL, seconds=275.0, delay=grown),
    "for an hour": replace(LONG, seconds=3600.0, delay=lambda at: 1.5 * (at > 300.0)),
    "media clocks that drift by 200 ppm": replace(LONG, seconds=1000.0, drift=200e-6),
    "by -200 ppm": replace(LONG, seconds=1000.0, drift=-200e-6),
    "its NTP set forward by 2 s": replace(CALL, ntp=lambda at: at + 2.0 * (at > 60.0)),
    "set back by 2 s": replace(CALL, ntp=lambda at: at - 2.0 * (at > 60.0)),
    "set by an hour": replace(CALL, ntp=lambda at: at + 3600.0 * (at > 60.0)),
    "one report wrong by 1 s": replace(CALL, wrong=lambda at, one: 1.0 * (one and 60 < at < 61)),
    "by -1 s": replace(CALL, wrong=lambda at, one: -1.0 * (one and 60 < at < 61)),
    "8 s of them": replace(CALL, wrong=lambda at, one: 1.0 * (one and 60 < at < 68)),
    "of both": replace(CALL, wrong=lambda at, _: -1.0 * (60 < at < 68)),
    "the first reports wrong": replace(CALL, wrong=lambda at, _: -1.0 * (at < 2)),
    "half of the reports, twice and late": replace(CALL, kept=0.5, twice=True, late=2.0),
    "jitter of 30 ms": replace(CALL, jitter=0.03),
    "no jitter": replace(CALL, jitter=0.0),
}
# Milliseconds; a stall apart, a name that waits for no report is as good.
AT_ONCE = 12.0


@functools.cache
def run(case: str, seed: int) -> list[Named]:
    """The names after the opening; those before 20 s are wrong by the path's jitter at most."""
    base = CASES[case].delay(0.0)  # from the first packet on: nobody can know
    made = names(replace(CASES[case], seed=seed), SenderClock())
    assert len(made) > 1.9 * CASES[case].seconds - 20
    return [one._replace(settled=one.settled - base) for one in made if one.captured > OPENING]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_a_settled_name_is_right_within_10_ms(case: str, seed: int) -> None:
    errors = [1000 * one.settled for one in run(case, seed)]
    assert min(errors) >= -10.0
    assert max(errors) <= 10.0


@pytest.mark.parametrize(
    "case", [case for case in CASES if "stall" not in case and "still" not in case]
)
def test_a_name_at_once_is_right_but_for_what_only_a_report_tells(case: str) -> None:
    base = CASES[case].delay(0.0)
    errors = [1000 * (one.at_once - base) for one in run(case, 1)]
    assert min(errors) >= -AT_ONCE
    assert max(errors) <= AT_ONCE


def test_a_stall_moves_names_at_once_until_its_report_comes() -> None:
    made = run("its audio's clock stands still for 2.5 s", 1)
    wrong = [one for one in made if abs(one.at_once) > 0.012]
    assert {one.stream for one in wrong} == {0}
    assert all(-2.51 < one.at_once < -2.49 and 61 < one.captured < 73 for one in wrong)
    assert len(wrong) < 8


def test_a_stall_before_anything_was_confirmed() -> None:
    """A microphone that is taken away and given back in the first seconds of a call."""
    for frozen in ((0,), (0, 1)):
        clocks = replace(CALL, jitter=0.0, freezes=((3.33, 5.0),), frozen=frozen)
        made = names(clocks, SenderClock())
        late = [one for one in made if one.captured > 9.0]
        assert late
        assert all(abs(one.settled) < 0.02 for one in late)


DAY = 86_400.0


def day(drift: float) -> Clocks:
    """A media clock and an NTP clock that drift, and what else may come in 24 hours."""

    def ntp(at: float) -> float:
        smeared = min(max(at - DAY / 4, 0.0) / (DAY / 2), 1.0)  # a leap second, over 12 hours
        stepped = 2.0 * (at > DAY / 8) - 0.5 * (at > 7 * DAY / 8)
        return at * (1 + drift / 2) + smeared + stepped

    return replace(CALL, seconds=DAY, drift=drift, ntp=ntp, sparse=100)


@pytest.mark.parametrize("drift", [-200e-6, 20e-6, 200e-6])
def test_a_day_of_drift_moves_no_name(drift: float) -> None:
    made = names(day(drift), SenderClock(), every=30.0)
    assert len(made) > 1.9 * DAY / 30
    errors = [1000 * one.settled for one in made if one.captured > 60.0]
    assert min(errors) >= -10.0
    assert max(errors) <= 10.0


@pytest.mark.parametrize(
    ("drift", "least"), [(0.0, -1), (100e-6, -6), (-100e-6, -10), (-200e-6, -12), (-300e-6, -16)]
)
@pytest.mark.parametrize("seed", range(1, 5))
def test_jitter_of_100_ms_is_no_drift_and_hides_none(seed: int, drift: float, least: float) -> None:
    """Few packets come undelayed: the least delay of a few is not the path's."""
    shaken = replace(CALL, jitter=0.1, seconds=300.0, seed=seed, drift=drift, sparse=2)
    made = names(replace(shaken, ntp=lambda at: at * (1 + drift)), SenderClock())
    errors = [1000 * one.settled for one in made if one.captured > OPENING]
    assert min(errors) >= least
    assert max(errors) <= 12.0


@pytest.mark.parametrize("jitter", [0.0, 0.012, 0.05])
def test_a_sender_that_is_slow_is_followed_through_jitter(jitter: float) -> None:
    """By 500 ppm, which is as fast as a clock is slewed."""
    shaken = replace(CALL, jitter=jitter, seconds=420.0, drift=-500e-6, sparse=2)
    made = names(replace(shaken, ntp=lambda at: at * (1 - 500e-6)), SenderClock())
    errors = [1000 * one.settled for one in made if one.captured > OPENING]
    assert min(errors) >= -25.0
    assert max(errors) <= 10.0


def test_what_no_rule_can_know() -> None:
    """A delay from the first packet on is taken for the path's."""
    late = names(replace(CALL, delay=lambda _: 1.5), SenderClock())
    assert all(1.49 < one.settled < 1.51 for one in late if one.captured > OPENING)


# Below: one rule each, in exact numbers.


def streams() -> tuple[TimestampMapper, TimestampMapper]:
    sender = SenderClock()
    return sender.begin("audio", RATE), sender.begin("video", 90_000)


def call(seconds: int, *mappers: TimestampMapper, since: int = 0, late: float = 0.02) -> None:
    """Packets and reports of so many seconds, ten packets a second, on the sender's time + 1000."""
    for mapper, rate, own in zip(mappers, (RATE, 90_000), (0.0, 0.2), strict=False):
        for tenth in range(10 * since, 10 * (since + seconds)):
            at = tenth / 10
            mapper.arrived(round(at * rate), at + late + own)
            if tenth % 10 == 9:
                assert mapper.reported(1000.0 + at, round(at * rate), at + late)


def test_without_reports_the_least_delay_counts() -> None:
    mapper = SenderClock().begin("audio", RATE)
    for second, delay in enumerate((0.05, 0.02, 0.2, 0.07)):
        mapper.arrived(RATE * second, 10.0 + second + delay)
    assert mapper.at(0) == pytest.approx(10.02)
    assert mapper.at(5 * RATE) == pytest.approx(15.02)
    assert mapper.skew(2 * RATE, 12.2) == pytest.approx(0.18)
    assert mapper.settled == NONE


@pytest.mark.parametrize("ppm", [-100, 100])
def test_without_reports_drift_is_followed(ppm: int) -> None:
    mapper = SenderClock().begin("audio", RATE)
    for second in range(3600):
        timestamp = round(second * RATE * (1 + ppm * 1e-6))
        mapper.arrived(timestamp, second + 0.02)
        assert abs(mapper.at(timestamp) - second - 0.02) < 60 * 101e-6


def test_streams_of_one_sender_agree_by_its_reports() -> None:
    audio, video = streams()
    call(3, audio, video)
    assert audio.at(10 * RATE) == pytest.approx(10.02)
    assert video.at(10 * 90_000) == pytest.approx(10.02)


def test_names_are_settled_up_to_the_last_report_and_the_newest_packet() -> None:
    mapper = SenderClock().begin("audio", RATE)
    assert mapper.reported(1000.0, 0, 0.0)
    assert mapper.settled == NONE  # there is nothing yet that it could settle
    mapper.arrived(960, 0.02)
    assert mapper.reported(1000.5, RATE // 2, 0.5)  # the sender's guess of where its clock is
    assert mapper.settled == 960
    mapper.arrived(RATE, 1.0)
    assert mapper.reported(1000.75, RATE * 3 // 4, 1.1)  # on the way for long
    assert mapper.settled == RATE * 3 // 4
    assert mapper.reported(1000.5, RATE // 2, 1.2)  # and another one for longer
    assert mapper.settled == RATE * 3 // 4


def test_one_report_is_believed_as_far_as_arrivals_bear_it_out() -> None:
    for late, believed in ((-0.1, False), (0.0, True), (PLAUSIBLE - 0.01, True), (0.6, False)):
        mapper = SenderClock().begin("audio", RATE)
        mapper.arrived(0, 5.0)
        mapper.reported(1000.0, round(late * RATE), 5.0)  # its media is that much older
        assert mapper.at(0) == pytest.approx(5.0 - late if believed else 5.0)


def test_a_report_that_arrivals_do_not_bear_out_settles_nothing() -> None:
    """A sender that is 1.2 s behind from the first frame on: what the first report cannot prove
    the second one can, and only then is anything settled."""
    mapper = SenderClock().begin("audio", RATE)
    for second in range(9):
        mapper.arrived(second * RATE, second + 1.2)
        if second == 4:
            assert mapper.reported(1004.0, 4 * RATE, 4.0)
            assert mapper.settled == NONE
            assert mapper.at(0) == pytest.approx(1.2)
    assert mapper.reported(1008.0, 8 * RATE, 8.0)
    assert mapper.settled == 8 * RATE
    assert [mapper.at(second * RATE) for second in range(9)] == pytest.approx(range(9))


@pytest.mark.parametrize("error", [-3600.0, -1.0, 1.0, 3600.0])
def test_another_report_takes_the_place_of_one_that_nothing_confirmed(error: float) -> None:
    audio, video = streams()
    assert audio.reported(1000.0 + error, 0, 0.0)
    call(3, audio, video)
    assert audio.at(RATE) == pytest.approx(1.02)
    assert video.at(90_000) == pytest.approx(1.02)


def test_reports_at_double_speed_are_never_confirmed() -> None:
    mapper = SenderClock().begin("audio", RATE)
    for second in range(60):
        mapper.arrived(RATE * second, second + 0.02)
        mapper.reported(1000.0 + second, 2 * RATE * second, second + 0.02)
    assert mapper.at(RATE * 59) == pytest.approx(59.02)


@pytest.mark.parametrize("error", [-3600.0, -TOO_LATE - 0.1, TOO_EARLY + 0.1, 3600.0])
def test_a_stream_on_another_clock_stands_alone(error: float) -> None:
    audio, video = streams()
    call(3, audio)
    for second in range(4):
        video.arrived(90_000 * second, second + 0.22)
        video.reported(1000.0 + second + error, 90_000 * second, second + 0.05)
    assert audio.at(RATE) == pytest.approx(1.02)
    assert video.at(90_000) == pytest.approx(1.05)


def test_a_report_that_is_wrong_once_is_told_and_dropped() -> None:
    audio, video = streams()
    call(3, audio, video)
    settled = audio.settled
    assert not audio.reported(1003.0 + 7.0, 3 * RATE, 3.02)
    assert not audio.reported(1003.0 + 9.0, 3 * RATE, 3.02)  # unlike the last one
    assert audio.settled == settled
    assert audio.at(RATE) == pytest.approx(1.02)
    call(1, audio, since=3)
    assert audio.settled > settled


@pytest.mark.parametrize("error", [0.5, 3600.0, 6e8])
def test_a_report_that_packets_came_before_they_were_sent_is_dropped(error: float) -> None:
    """The path has become faster; that is no leap of a clock which the report would explain."""
    (audio, _) = streams()
    call(3, audio, late=0.12)
    for tenth in range(30, 41):
        audio.arrived(round(tenth / 10 * RATE), tenth / 10 + 0.02)
    assert not audio.reported(1004.0 + error, 4 * RATE, 4.02)
    assert audio.reported(1004.0, 4 * RATE, 4.03)
    for second in range(5):
        assert audio.at(second * RATE) == pytest.approx(second + 0.02)


@given(st.lists(st.tuples(st.floats(0.0, 2.0**32), st.floats(-3.0, 3.0), st.floats(0.0, 0.3))))
def test_no_reports_move_a_name_by_more_than_packets_were_late(
    reports: list[tuple[float, float, float]],
) -> None:
    """Whatever a sender says its clock is, and however often it says something else."""
    (audio, _) = streams()
    for at, (ntp, error, late) in enumerate(reports):
        audio.arrived(at * RATE, at + late)
        sent = ntp if error < 0 else 1000.0 + at + error
        audio.reported(sent, round((at + error / 10) * RATE), at + late)
        assert at - 1.0 <= audio.at(at * RATE) <= at + late + 1.0


def test_a_report_that_the_network_repeats_proves_nothing() -> None:
    (audio, _) = streams()
    call(3, audio)
    settled = audio.settled
    assert not audio.reported(1010.0, 3 * RATE, 3.02)
    assert audio.reported(1010.0, 3 * RATE, 3.03)
    assert audio.settled == settled
    assert audio.at(RATE) == pytest.approx(1.02)


def test_a_clock_is_set_where_two_reports_say_so_of_whichever_stream() -> None:
    for second in (0, 1):
        audio, video = streams()
        call(3, audio, video)
        for at in (3.0, 3.1):
            audio.arrived(round(at * RATE), at + 0.02)
            video.arrived(round(at * 90_000), at + 0.22)
        assert not audio.reported(1003.0 + 60.0, 3 * RATE, 3.02)
        which, rate = ((audio, RATE), (video, 90_000))[second]
        assert which.reported(1003.1 + 60.0, round(3.1 * rate), 3.12)
        assert audio.at(RATE) == pytest.approx(1.02)
        assert video.at(90_000) == pytest.approx(1.02)
        assert audio.reported(1003.2 + 60.0, round(3.2 * RATE), 3.22)


def test_a_media_clock_that_leapt_begins_a_regime() -> None:
    (audio, _) = streams()
    call(3, audio)
    for tenth in range(30, 40):  # 0.3 s are missing in its count
        audio.arrived(round((tenth / 10 + 0.3) * RATE), tenth / 10 + 0.02)
    assert audio.at(round(3.8 * RATE)) == pytest.approx(3.52)  # never later than it came
    assert audio.reported(1004.0, round(4.3 * RATE), 4.02)
    assert audio.at(2 * RATE) == pytest.approx(2.02)
    assert audio.at(round(3.8 * RATE)) == pytest.approx(3.52)
    call_again = [audio.reported(1000.0 + at, round((at + 0.3) * RATE), at + 0.02) for at in (5, 6)]
    assert call_again == [True, True]


def test_regimes_are_bounded_and_the_latest_are_kept() -> None:
    (audio, _) = streams()
    call(3, audio)
    media = 3.0
    for stall in range(2 * MAX_REGIMES):
        at = media + 0.5 * (stall + 1)
        for tenth in range(10):
            audio.arrived(round((media + tenth / 10) * RATE), at + tenth / 10 + 0.02)
        assert audio.reported(1000.9 + at, round((media + 0.9) * RATE), at + 0.92)
        media += 1.0
    behind = 0.5 * 2 * MAX_REGIMES
    assert audio.at(round((media - 0.1) * RATE)) == pytest.approx(media - 0.1 + behind + 0.02)
    oldest = media - MAX_REGIMES
    assert audio.at(round(oldest * RATE)) == pytest.approx(oldest + behind / 2 + 0.52)
    assert audio.at(0) > 0.5 * MAX_REGIMES  # forgotten


def test_a_new_epoch_keeps_the_clock() -> None:
    sender = SenderClock()
    call(3, sender.begin("audio", RATE), sender.begin("video", 90_000))
    fresh = sender.begin("audio", RATE)
    fresh.arrived(7 * RATE, 3.4)
    assert fresh.at(7 * RATE) == pytest.approx(3.4)  # no report of it yet
    assert fresh.reported(1003.5, 7 * RATE + RATE // 2, 3.9)  # late itself: the clock is known
    assert fresh.at(7 * RATE) == pytest.approx(3.02)


def test_what_ended_is_not_asked_any_more() -> None:
    sender = SenderClock()
    audio, video = sender.begin("audio", RATE), sender.begin("video", 90_000)
    call(3, audio, video)
    assert not video.reported(1063.0, 3 * 90_000, 3.02)
    sender.end("video")
    sender.end("nobody")
    assert not audio.reported(1063.0, 3 * RATE, 3.02)
    assert audio.at(RATE) == pytest.approx(1.02)


def test_a_small_difference_is_drift_and_is_followed_slowly() -> None:
    (audio, _) = streams()
    call(3, audio)
    audio.arrived(3 * RATE, 3.02)
    assert audio.reported(1003.0 + AGREE - 0.001, 3 * RATE, 3.02)
    assert math.isclose(audio.at(RATE), 1.02, abs_tol=0.001)
