"""The offset falls at once, rises as clocks drift, holds against queues, and forgets nothing."""

import pytest

from slicer.rtp.clock_offset import (
    ALIKE,
    BLOCK,
    CHANCE,
    FORGET,
    LEARN,
    LONGEST,
    MAX_SLOPE,
    NEAR,
    OPENING,
    RISE,
    SURE,
)
from tests.harness.rtp.parts import ClockOffset


def confirmed(value: float = 5.0) -> ClockOffset:
    offset = ClockOffset()
    offset.confirm(value, 0.0)
    return offset


def feed(offset: ClockOffset, since: int, until: int, ppm: float = 0.0, queue: float = 0.0) -> None:
    """One least delay a second, of a clock that was at 5 in the beginning."""
    for second in range(since, until):
        offset.add(5.0 + second * ppm * 1e-6 + queue, float(second))


def test_before_it_is_confirmed_the_least_of_those_alike_counts() -> None:
    offset = ClockOffset()
    assert not offset.confirmed
    offset.assume(5.0)
    offset.assume(5.0 + ALIKE)
    assert offset.value == 5.0
    offset.assume(4.9)
    assert offset.value == 4.9
    offset.assume(4.9 + 2 * ALIKE)  # one of the two is wrong, and nobody knows which
    assert offset.value == 4.9 + 2 * ALIKE
    offset.confirm(6.0, 0.0)
    assert (offset.confirmed, offset.value) == (True, 6.0)


def test_it_falls_at_once() -> None:
    offset = confirmed()
    offset.add(4.0, 1.0)
    assert offset.value == 4.0


def test_it_rises_slowly_and_only_where_a_whole_block_is_near() -> None:
    offset = confirmed()
    for second in range(1, int(BLOCK) + 1):
        offset.add(5.0 + NEAR, float(second))
    assert offset.value == pytest.approx(5.0 + RISE * BLOCK)
    far = confirmed()
    for second in range(1, int(BLOCK) + 1):
        far.add(5.0 + NEAR + 0.001, float(second))
    assert far.value == 5.0


@pytest.mark.parametrize(("most", "seconds"), [(0.05, 18), (0.1, int(LONGEST))])
def test_the_more_delays_vary_the_more_of_them_tell_a_rise(most: float, seconds: int) -> None:
    """And the less of it counts: the least of a few is above the path's by chance."""
    offset = confirmed()
    offset.add(5.012, 1.0)
    for second in range(2, seconds + 1):
        assert offset.value == 5.0
        offset.add(5.0 + most, float(second))
    chance = (most - 0.012) * (seconds - 1) / seconds**2
    assert (chance <= CHANCE) == (seconds < LONGEST)
    assert offset.value == pytest.approx(5.012 - SURE * chance)


def test_what_is_taken_for_drift_as_a_queue_comes_does_not_go_on() -> None:
    offset = confirmed()
    begun = 26 * int(BLOCK) + 1
    assert begun > OPENING + LEARN
    feed(offset, 0, begun)
    offset.add(5.03, float(begun))
    feed(offset, begun + 1, begun + 40, queue=0.1)
    risen = offset.value
    assert 5.01 < risen < 5.02
    feed(offset, begun + 40, 3900, queue=0.1)
    assert offset.value == risen


@pytest.mark.parametrize("queue", [0.02, 1.5, 60.0])
def test_a_queue_of_an_hour_moves_nothing(queue: float) -> None:
    offset = confirmed()
    feed(offset, 0, 300)
    feed(offset, 300, 3900, queue=queue)
    assert offset.value == pytest.approx(5.0, abs=0.001)


@pytest.mark.parametrize("ppm", [-200, -50, 50, 200])
def test_drift_is_followed_and_goes_on_while_a_queue_hides_it(ppm: int) -> None:
    offset = confirmed()
    for second in range(600):
        offset.add(5.0 + second * ppm * 1e-6, float(second))
        assert abs(offset.value - 5.0 - second * ppm * 1e-6) < NEAR
    feed(offset, 600, 4200, ppm, queue=1.5)
    assert offset.value == pytest.approx(5.0 + 4200 * ppm * 1e-6, abs=0.015)


def test_a_slope_is_learned_anew_and_bounded() -> None:
    offset = confirmed()
    known = int(OPENING + LEARN) + 20
    feed(offset, 0, known, 600)
    before = offset.value
    offset.add(before + 60.0, known + 1000.0)  # behind a queue: the slope alone
    assert offset.value == pytest.approx(before + MAX_SLOPE * 1001, abs=0.01)
    other = confirmed()
    feed(other, 0, 4 * int(FORGET), 100)
    for second in range(4 * int(FORGET), 8 * int(FORGET)):  # the quartz is cold now
        other.add(5.0 + 4 * FORGET * 100e-6, float(second))
    before = other.value
    other.add(before + 60.0, 8 * FORGET + 1000.0)
    assert other.value == pytest.approx(before, abs=0.001)


def test_what_is_found_in_the_opening_is_no_drift() -> None:
    """The first reports were late by 70 ms; over 120 s that would be a slope of -500 ppm."""
    offset = confirmed(5.07)
    feed(offset, 0, 8, queue=0.07)
    feed(offset, 12, int(OPENING + LEARN) + 60)
    offset.add(65.0, 4000.0)  # behind a queue: the slope alone
    assert offset.value == pytest.approx(5.0, abs=0.001)


def test_a_clock_that_is_set_takes_what_was_learned_along() -> None:
    offset = confirmed()
    feed(offset, 0, 600, 100)
    before = offset.value
    offset.move(-3600.0)
    assert offset.value == before - 3600.0
    offset.add(before + 60.0, 1599.0)
    assert offset.value == pytest.approx(before - 3600.0 + 0.1, abs=0.002)
    for second in range(1600, 1800):
        offset.add(5.0 + second * 100e-6 - 3600.0, float(second))
    assert offset.value == pytest.approx(5.0 + 0.18 - 3600.0, abs=0.001)


def test_a_time_that_steps_back_moves_nothing() -> None:
    offset = confirmed()
    feed(offset, 0, 600, 100)
    before = offset.value
    offset.add(before + 60.0, 1.0)
    assert offset.value == before
