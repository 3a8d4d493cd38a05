"""When tries are made: one at once, a minute of tens, then waits that grow; then given up."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from slicer.webhooks.retry import DAY, LONGEST, MINUTE, RetryPolicy

TRTC_MINUTE, PATIENT = RetryPolicy(MINUTE), RetryPolicy()


def tries(policy: RetryPolicy, takes: float = 0.0, since: float = 0.0) -> list[float]:
    """When a message is tried, each try failing after *takes* seconds."""
    times: list[float] = []
    due = 0.0
    while len(times) < 1000:
        times.append(due)
        again = policy.next_try(since, len(times), due, due + takes)
        if again is None:
            return times
        due = again
    raise AssertionError("it never ends")


def test_trtcs_minute() -> None:
    assert tries(TRTC_MINUTE) == [0, 0, 10, 20, 30, 40, 50, 60]


def test_the_interval_runs_from_try_to_try() -> None:
    assert tries(TRTC_MINUTE, takes=5) == [0, 5, 15, 25, 35, 45, 55]


def test_then_waits_grow_to_an_hour_and_end_with_the_day() -> None:
    times = tries(PATIENT)
    assert times[:8] == tries(TRTC_MINUTE)
    assert times[8:12] == [80, 120, 200, 360]
    waits = [after - before for before, after in pairwise(times[7:])]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST
    assert DAY - LONGEST < times[-1] <= DAY


def test_a_message_that_stood_in_line_for_a_day_has_two_tries() -> None:
    assert tries(PATIENT, since=-DAY - 1) == [0, 0]
    assert tries(TRTC_MINUTE, since=-61) == [0, 0]


@given(
    st.floats(0, 1e9), st.integers(1, 10_000), st.floats(0, 1e6), st.floats(0, 60),
    st.sampled_from([PATIENT, TRTC_MINUTE]),
)  # fmt: skip
def test_never_in_the_past_nor_too_far_away(
    since: float, count: int, age: float, took: float, policy: RetryPolicy
) -> None:
    tried, now = since + age, since + age + took
    due = policy.next_try(since, count, tried, now)
    if due is None:
        assert count > 1
        assert now + LONGEST >= since + policy.max_age
    else:
        assert now <= due <= now + LONGEST
        assert count == 1 or due <= since + policy.max_age
