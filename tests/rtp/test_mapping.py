"""Media time becomes *now*: by arrivals, by reports, over drift, and not by reports that lie."""

import pytest

from slicer.rtp.mapping import STEP, TRUST, WINDOW
from tests.harness.rtp.parts import SenderClock, SlidingMinimum, TimestampMapper

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
    mapper = SenderClock().begin("audio", RATE)
    for i, delay in enumerate((0.05, 0.02, 0.2, 0.07)):
        mapper.arrived(RATE * i, 10.0 + i + delay)
    assert mapper.at(0) == pytest.approx(10.02)
    assert mapper.at(5 * RATE) == pytest.approx(15.02)
    assert mapper.skew(2 * RATE, 12.2) == pytest.approx(0.18)


@pytest.mark.parametrize("ppm", [-100, 100])
def test_a_drifting_clock_is_followed(ppm: int) -> None:
    mapper = SenderClock().begin("audio", RATE)
    for second in range(3600):
        timestamp = round(second * RATE * (1 + ppm * 1e-6))
        mapper.arrived(timestamp, second + 0.02)
        assert abs(mapper.at(timestamp) - second - 0.02) < 2 * WINDOW * 101e-6


def streams() -> tuple[TimestampMapper, TimestampMapper]:
    sender = SenderClock()
    return sender.begin("audio", RATE), sender.begin("video", 90_000)


def test_streams_of_one_sender_agree_by_its_reports() -> None:
    audio, video = streams()
    audio.reported(1000.0, 0, 0.0)
    video.reported(1000.0, 777, 0.0)
    for i in range(50):
        audio.arrived(960 * i, 0.02 * i + 0.02)
        video.arrived(777 + 1800 * i, 0.02 * i + 0.22)
    assert audio.at(RATE) == pytest.approx(1.02)
    assert video.at(777 + 90_000) == pytest.approx(1.02)


def test_reports_of_a_busy_sender_do_not_make_time_tremble() -> None:
    audio, video = streams()
    for second in range(120):
        late = 0.3 * (second % 3 != 0)  # two of three are written long after what they speak of
        audio.reported(1000.0 + second + late, RATE * second, float(second))
        video.reported(1000.0 + second, 90_000 * second, float(second))
        audio.arrived(RATE * second, second + 0.02)
        video.arrived(90_000 * second, second + 0.22)
        assert audio.at(RATE * second) == pytest.approx(second + 0.02)
        assert video.at(90_000 * second) == pytest.approx(second + 0.02)


def test_without_reports_each_stream_stands_alone() -> None:
    audio, video = streams()
    audio.reported(1000.0, 0, 0.0)
    audio.arrived(0, 5.0)
    video.arrived(0, 5.2)
    assert audio.at(0) == pytest.approx(5.0)
    assert video.at(0) == pytest.approx(5.2)


def test_a_sender_whose_wall_clock_is_set_is_believed_anew() -> None:
    audio, video = streams()
    for second, ntp in enumerate((1000.0, 1001.0, 1002.0 - 3600, 1003.0 - 3600)):
        now = 5.0 + second
        audio.reported(ntp, RATE * second, now)
        audio.arrived(RATE * second, now)
        video.arrived(90_000 * second, now + 0.2)
        # Between the two reports the streams are on two clocks: neither moves the other far.
        assert audio.at(RATE * second) == pytest.approx(now)
        assert now - 1e-6 <= video.at(90_000 * second) <= now + 0.2001
        video.reported(ntp, 90_000 * second, now)
    assert audio.at(4 * RATE) == pytest.approx(9.0)
    assert video.at(4 * 90_000) == pytest.approx(9.0)


@pytest.mark.parametrize("error", [-3600, -TRUST - 1, TRUST + 1, 3600])
def test_a_report_that_cannot_be_true_is_not_used(error: float) -> None:
    audio, video = streams()
    audio.reported(1000.0, 0, 0.0)
    video.reported(1000.0 + error, 0, 0.0)
    audio.arrived(0, 5.0)
    video.arrived(0, 5.1)
    assert audio.at(0) == pytest.approx(5.0)
    assert video.at(0) == pytest.approx(5.1)


def test_a_step_of_the_clock_is_more_than_drift() -> None:
    audio, video = streams()
    for mapper, arrival in ((audio, 5.0), (video, 5.3)):
        mapper.reported(1000.0, 0, 0.0)
        mapper.arrived(0, arrival)
    assert video.at(0) == pytest.approx(5.0)
    # A little later by its report is the sender's pen; much later is a clock that was set.
    video.reported(1000.0 + STEP - 0.01, 0, 1.0)
    assert video.at(0) == pytest.approx(5.0)
    video.reported(1000.0 + STEP + 0.01, 0, 2.0)
    assert video.at(0) == pytest.approx(5.3)


def test_a_new_epoch_takes_the_old_one_s_place() -> None:
    sender = SenderClock()
    old, video = sender.begin("audio", RATE), sender.begin("video", 90_000)
    for mapper, arrival in ((old, 4.0), (video, 5.2)):
        mapper.reported(1000.0, 0, 0.0)
        mapper.arrived(0, arrival)
    assert video.at(0) == pytest.approx(4.0)
    fresh = sender.begin("audio", RATE)
    fresh.reported(1000.0, 0, 0.0)
    fresh.arrived(0, 5.0)
    assert video.at(0) == pytest.approx(5.0)
