"""Waits before a room connects again."""

from slicer.rooms.backoff import FIRST, LONGEST, wait


def test_waits_grow_to_a_bound_with_jitter() -> None:
    longest = [wait(failures, 1.0) for failures in (1, 2, 3, 100, 10**9)]
    assert longest == [FIRST, 2 * FIRST, 4 * FIRST, LONGEST, LONGEST]
    assert [wait(failures, 0.0) for failures in (1, 2, 100)] == [FIRST / 2, FIRST, LONGEST / 2]
