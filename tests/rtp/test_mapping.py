"""Media time becomes *now*: by arrivals, by reports, over drift, and not by reports that lie."""

import pytest

from slicer.rtp.mapping import STEP, TRUST, WINDOW, SenderClock, SlidingMinimum, TimestampMapper

RATE = 48_000


def test_the_minimum_slides() -> None:
    minimum = SlidingMinimum()
    assert minimum.value == float("inf")
    minimum.add(5.0, 0.0)
    minimum.add(1.0, 1.0)
    minimum.add(3.0, WINDOW)  # the second half: the first one's minimum still counts
    assert minimum.value == 1.0
    minimum.add(4.0, 2 * WINDOW)
    assert minimum.value == 3.0
    minimum.add(9.0, 5 * WINDOW)  # nothing came for long: nothing older counts
    assert minimum.value == 9.0


def test_by_arrivals_the_least_delay_counts() -> None:
    mapper = TimestampMapper(RATE, SenderClock())
    for i, delay in enumerate((0.05, 0.02, 0.2, 0.07)):
        mapper.arrived(RATE * i, 10.0 + i + delay)
    assert mapper.at(0) == pytest.approx(10.02)
    assert mapper.at(5 * RATE) == pytest.approx(15.02)
    assert mapper.skew(2 * RATE, 12.2) == pytest.approx(0.18)


@pytest.mark.parametrize("ppm", [-100, 100])
def test_a_drifting_clock_is_followed(ppm: int) -> None:
    mapper = TimestampMapper(RATE, SenderClock())
    for second in range(3600):
        timestamp = round(second * RATE * (1 + ppm * 1e-6))
        mapper.arrived(timestamp, second + 0.02)
        assert abs(mapper.at(timestamp) - second - 0.02) < 2 * WINDOW * 101e-6


def test_streams_of_one_sender_agree_by_its_reports() -> None:
    sender = SenderClock()
    audio, video = TimestampMapper(RATE, sender), TimestampMapper(90_000, sender)
    audio.reported(1000.0, 0)
    video.reported(1000.0, 777)
    for i in range(50):
        audio.arrived(960 * i, 0.02 * i + 0.02)
        video.arrived(777 + 1800 * i, 0.02 * i + 0.22)
    assert audio.at(RATE) == pytest.approx(1.02)
    assert video.at(777 + 90_000) == pytest.approx(1.02)


def test_a_sender_whose_wall_clock_is_set_is_believed_anew() -> None:
    sender = SenderClock()
    audio, video = TimestampMapper(RATE, sender), TimestampMapper(90_000, sender)
    for second, ntp in enumerate((1000.0, 1001.0, 1002.0 - 3600, 1003.0 - 3600)):
        audio.reported(ntp, RATE * second)
        video.reported(ntp, 90_000 * second)
        audio.arrived(RATE * second, 5.0 + second)
        video.arrived(90_000 * second, 5.2 + second)
    assert audio.at(4 * RATE) == pytest.approx(9.0)
    assert video.at(4 * 90_000) == pytest.approx(9.0)


def test_reports_that_disagree_by_less_are_drift_and_keep_what_was_learned() -> None:
    mapper = TimestampMapper(RATE, SenderClock())
    mapper.reported(1000.0, 0)
    mapper.arrived(0, 5.0)
    mapper.reported(1001.0 + STEP / 2, RATE)
    assert mapper.at(RATE) == pytest.approx(6.0 + STEP / 2)


@pytest.mark.parametrize("error", [-3600, -TRUST, TRUST, 3600])
def test_a_report_that_cannot_be_true_is_not_used(error: float) -> None:
    mapper = TimestampMapper(RATE, SenderClock())
    mapper.arrived(0, 5.0)
    mapper.reported(1000.0, 0)
    mapper.arrived(960, 5.02)
    mapper.reported(1000.0 + error, 0)
    mapper._sender.offset.add(-995.0, 5.03)
    assert mapper.at(0) == pytest.approx(5.0)
