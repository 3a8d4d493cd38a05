"""A histogram counts each value once, and tells it in every bucket above."""

from slicer.engine.sample import Histogram, Sample


def test_buckets_are_cumulative_and_a_bound_is_within_its_bucket() -> None:
    histogram = Histogram((1.0, 2.5))
    for value in (0.5, 1.0, 2.0, 7.0):
        histogram.observe(value)
    kind = ("kind", "audio")
    assert list(histogram.samples("late_seconds", (kind,))) == [
        Sample("late_seconds_bucket", 2, (kind, ("le", "1"))),
        Sample("late_seconds_bucket", 3, (kind, ("le", "2.5"))),
        Sample("late_seconds_bucket", 4, (kind, ("le", "+Inf"))),
        Sample("late_seconds_sum", 10.5, (kind,)),
        Sample("late_seconds_count", 4, (kind,)),
    ]
