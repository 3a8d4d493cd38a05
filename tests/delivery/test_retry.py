"""The schedule of tries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.delivery.retry import Backoff

BACKOFF = Backoff(first=1.0, factor=2.0, most=30.0, refused=60.0)


@pytest.mark.parametrize(
    ("failures", "longest"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (10**9, 30)]
)
def test_waits_double_up_to_a_bound(failures: int, longest: float) -> None:
    assert BACKOFF.after_failure(failures, 0.0) == longest / 2
    assert BACKOFF.after_failure(failures, 0.5) == longest * 0.75


def test_after_a_refusal() -> None:
    assert BACKOFF.after_refusal(0.0) == 60
    assert BACKOFF.after_refusal(0.5) == 63
    assert BACKOFF.after(1, 0.5, refused=True) == 63
    assert BACKOFF.after(1, 0.5, refused=False) == BACKOFF.after_failure(1, 0.5)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.floats(1, 10))
def test_no_wait_is_out_of_bounds(failures: int, chance: float, factor: float) -> None:
    backoff = Backoff(first=0.5, factor=factor, most=30.0)
    assert 0.25 <= backoff.after_failure(failures, chance) <= 30.0


def test_a_factor_of_one_ends() -> None:
    assert Backoff(first=1.0, factor=1.0).after_failure(10**4, 0.0) == 0.5
