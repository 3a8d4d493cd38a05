"""Counters go on over their wrap, forwards and backwards."""

from hypothesis import given
from hypothesis import strategies as st

from tests.harness.rtp.parts import Unwrapper


def test_the_first_value_is_itself() -> None:
    assert Unwrapper(16).unwrap(65_535) == 65_535


def test_it_goes_on_over_the_wrap_and_back_again() -> None:
    counter = Unwrapper(16)
    assert [counter.unwrap(value) for value in (65_534, 65_535, 0, 65_535, 1)] == [
        65_534,
        65_535,
        65_536,
        65_535,
        65_537,
    ]


def test_before_the_first_value_it_is_negative() -> None:
    counter = Unwrapper(16)
    counter.unwrap(0)
    assert counter.unwrap(65_535) == -1


def test_peek_does_not_move_on() -> None:
    counter = Unwrapper(32)
    counter.unwrap(2**32 - 1)
    assert counter.peek(5) == 2**32 + 5
    assert counter.last == 2**32 - 1
    assert Unwrapper(32).peek(7) == 7


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(-(2**15) + 1, 2**15 - 1)))
def test_any_walk_of_less_than_half_the_range_is_followed(start: int, steps: list[int]) -> None:
    counter, value = Unwrapper(16), start % 2**16
    counter.unwrap(value)
    for step in steps:
        value += step
        assert counter.unwrap(value % 2**16) == value
