"""What rounds come to: medians with their spread, quantiles, ratios between contestants."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The least, the middle and the greatest of several rounds."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Raises ValueError without any value."""
        if not values:
            raise ValueError("a spread of no rounds")
        return cls(min(values), statistics.median(values), max(values))

    def __format__(self, form: str) -> str:
        low, median, high = (format(value, form) for value in (self.low, self.median, self.high))
        return median if low == median == high else f"{median} ({low}…{high})"


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this *share* of all does not exceed; NaN of none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def ratios(rounds: Mapping[str, Sequence[float]], base: str) -> dict[str, Spread]:
    """How many times cheaper each contestant was than *base*, round by round.

    Of one round with the same round of the other: both had the machine as it was then. Contestants
    that share no round with *base* are left out.
    """
    found = {}
    for name, costs in rounds.items():
        pairs = [(theirs / ours) for theirs, ours in zip(rounds.get(base, ()), costs, strict=False)]
        if pairs:
            found[name] = Spread.of(pairs)
    return found


def per_anchor_minute(cpu: float, seconds: float, anchors: int) -> float:
    """CPU seconds for one minute of one anchor's media."""
    return cpu / seconds * 60 / anchors
