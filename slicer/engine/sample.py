"""One number of the metrics, and a histogram that is told as such numbers."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """One number, and of what."""

    name: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


class Histogram:
    """Counts of values by their size, cumulative as Prometheus has them.

    *bounds*: the upper bounds of all buckets but the last, which takes whatever is larger; they
    rise, and a value that equals one is within it.
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds, self._counts = bounds, [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Take one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def samples(self, name: str, labels: tuple[tuple[str, str], ...] = ()) -> Iterator[Sample]:
        """`name_bucket` with the label `le`, `name_sum` and `name_count`."""
        within = 0
        names = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        for bound, count in zip(names, self._counts, strict=True):
            within += count
            yield Sample(f"{name}_bucket", within, (*labels, ("le", bound)))
        yield Sample(f"{name}_sum", self._sum, labels)
        yield Sample(f"{name}_count", within, labels)
