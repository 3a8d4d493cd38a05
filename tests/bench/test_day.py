"""A day of media in the core: names stay where they are, and nothing is kept.

Opus comes in packets of 120 ms, so that a day is 1.2 million packets; `python -m bench.day` has
4.7 million."""

from bench.day import Day

HOURS = 24
MILLISECOND = 1e-3


def test_a_day_moves_no_name_by_a_millisecond_and_keeps_nothing() -> None:
    day = Day(0.12)
    hours = [day.hour() for _ in range(HOURS)]
    middle, last = hours[HOURS // 2].live, hours[-1].live
    assert all(one.slices > 900 for one in hours)
    assert all(abs(drift) < MILLISECOND for one in hours for drift in one.drift.values())
    assert all(one.off < 2 * MILLISECOND for one in hours)
    assert last.objects <= middle.objects
    assert last.bytes - middle.bytes < 256 * 1024
