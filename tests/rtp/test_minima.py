"""Minima: one slides, the others tell where a delay rose for good."""

from slicer.rtp.minima import GRAIN, MAX_LEVELS, WINDOW
from tests.harness.rtp.parts import SlidingMinimum, SuffixMinima

INFINITY = float("inf")


def test_the_minimum_slides() -> None:
    minimum = SlidingMinimum()
    assert minimum.value == INFINITY
    minimum.add(5.0, 0.0)
    minimum.add(1.0, 1.0)
    minimum.add(3.0, WINDOW)  # the second half: the first one's minimum still counts
    assert minimum.value == 1.0
    minimum.add(4.0, 2 * WINDOW)
    assert minimum.value == 3.0
    minimum.add(9.0, 5 * WINDOW)  # nothing came for long: nothing older counts
    assert minimum.value == 9.0


def test_a_minimum_may_begin_anew() -> None:
    minimum = SlidingMinimum()
    minimum.add(1.0, 0.0)
    minimum.begin_at(3.0)
    assert minimum.value == 3.0
    minimum.add(4.0, WINDOW)  # what was before is not the last window's either
    assert minimum.value == 3.0


def test_a_rise_for_good_is_found_and_one_that_passed_is_not() -> None:
    minima = SuffixMinima()
    assert (minima.least, minima.rise(1.0)) == (INFINITY, (None, INFINITY))
    for timestamp, delay in enumerate((0.0, 0.9, 0.02, 0.8, 0.85, 0.83)):
        minima.add(delay, timestamp)
    assert minima.least == 0.0
    assert minima.rise(0.7) == (2, 0.8)
    assert minima.rise(0.01) == (0, 0.02)  # after the first all are above
    assert minima.rise(0.9) == (5, INFINITY)
    assert minima.rise(0.0) == (None, 0.0)


def test_packets_up_to_one_can_be_left_out() -> None:
    minima = SuffixMinima()
    for timestamp, delay in enumerate((0.0, 0.9, 0.02, 0.8, 0.85, 0.83)):
        minima.add(delay, timestamp)
    minima.forget(2)
    assert minima.levels == [(0.8, 3), (0.83, 5)]
    minima.forget(5)
    assert (minima.least, minima.levels) == (INFINITY, [])


def test_what_trembles_less_than_a_grain_is_one_level() -> None:
    minima = SuffixMinima()
    for timestamp, delay in enumerate((1.0, 1.0 + GRAIN / 2, 1.0 + GRAIN * 0.9)):
        minima.add(delay, timestamp)
    assert minima.levels == [(1.0, 2)]


def test_levels_are_bounded_and_the_lowest_are_kept() -> None:
    minima = SuffixMinima()
    for step in range(3 * MAX_LEVELS):
        minima.add(float(step), step)
    assert len(minima.levels) == MAX_LEVELS
    assert minima.levels[:2] == [(0.0, 0), (1.0, 1)]
    assert minima.levels[-1] == (MAX_LEVELS - 1.0, 3 * MAX_LEVELS - 1)
    assert minima.rise(1.5) == (1, 2.0)
