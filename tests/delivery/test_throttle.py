"""Refusals are told at once, then once a second at most, and none is forgotten."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from slicer.delivery.throttle import Throttle
from tests.harness.clock import ManualClock


def test_the_first_is_told_at_once_and_the_rest_together() -> None:
    clock, told = ManualClock(), list[int]()
    throttle = Throttle(clock, told.append)
    for _ in range(5):
        throttle.add()
    assert told == [1]
    clock.advance(0.999)
    assert told == [1]
    clock.advance(0.001)
    assert told == [1, 4]


def test_after_a_quiet_second_the_next_is_told_at_once() -> None:
    clock, told = ManualClock(), list[int]()
    throttle = Throttle(clock, told.append)
    throttle.add()
    clock.advance(1.0)
    assert clock.timers == []
    throttle.add()
    assert told == [1, 1]


def test_closing_tells_the_rest_and_leaves_no_timer() -> None:
    clock, told = ManualClock(), list[int]()
    throttle = Throttle(clock, told.append)
    for _ in range(3):
        throttle.add()
    throttle.close()
    throttle.close()
    assert told == [1, 2]
    assert clock.timers == []


@given(st.lists(st.floats(0, 2), max_size=50))
def test_every_refusal_is_told_and_never_twice_a_second(gaps: list[float]) -> None:
    clock, told = ManualClock(), list[tuple[float, int]]()
    throttle = Throttle(clock, lambda count: told.append((clock.now(), count)))
    for gap in gaps:
        clock.advance(gap)
        throttle.add()
    clock.advance(5)
    assert sum(count for _, count in told) == len(gaps)
    times = [when for when, _ in told]
    assert all(after - before > 0.999 for before, after in pairwise(times))
