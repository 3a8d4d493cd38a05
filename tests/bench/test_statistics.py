"""Spreads, quantiles and ratios of rounds."""

import math

import pytest

from bench.peers.statistics import Spread, per_anchor_minute, quantile, ratios


def test_a_spread_has_least_middle_and_greatest() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(1.0, 2.0, 3.0)
    assert Spread.of([1.0, 2.0]) == Spread(1.0, 1.5, 2.0)


def test_a_spread_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no rounds"):
        Spread.of([])


def test_one_round_is_written_without_a_spread() -> None:
    assert format(Spread.of([0.5]), ".2f") == "0.50"
    assert format(Spread(1.0, 2.0, 3.0), ".1f") == "2.0 (1.0…3.0)"


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.501, 51), (0.99, 99), (1.0, 100)]
)
def test_quantiles(share: float, value: int) -> None:
    assert quantile(list(range(100, 0, -1)), share) == value


def test_no_quantile_of_nothing() -> None:
    assert math.isnan(quantile([], 0.5))


def test_ratios_are_taken_within_a_round() -> None:
    rounds = {"slow": [8.0, 4.0], "fast": [2.0, 0.5]}
    assert ratios(rounds, "slow") == {
        "slow": Spread(1.0, 1.0, 1.0),
        "fast": Spread(4.0, 6.0, 8.0),
    }


def test_no_ratios_to_who_took_no_part() -> None:
    assert ratios({"fast": [1.0]}, "slow") == {}


def test_the_cost_is_for_a_minute_of_one_anchor() -> None:
    assert per_anchor_minute(cpu=8.0, seconds=30.0, anchors=4) == 4.0
