"""What a process tells of its event loop and of its build."""

import time
from collections.abc import Iterator, Mapping

from slicer import hot
from slicer.clock import Clock, Timer
from slicer.engine.sample import Histogram, Sample

EVERY = 0.5
"""Seconds between two looks at the loop."""
BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds of lag."""

METRICS: Mapping[str, str] = {
    "event_loop_lag_seconds": "how late a timer of the event loop fires, each 0.5 s",
    "event_loop_cpu_seconds_total": "CPU time of the event loop's thread; its rate is the load, 1 "
    "a full core",
    "build_info": "always 1; version, plane (native or reference)",
}


class EventLoop:
    """Watches the running loop from its construction until it is closed."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lag = clock, Histogram(BOUNDS)
        self._timer: Timer
        self._wait()

    def samples(self) -> Iterator[Sample]:
        """To be read in the loop's thread, whose CPU time it is."""
        yield from self._lag.samples("event_loop_lag_seconds")
        yield Sample("event_loop_cpu_seconds_total", time.thread_time())

    def close(self) -> None:
        """Look no more. May be called twice."""
        self._timer.cancel()

    def _wait(self) -> None:
        self._due = self._clock.now() + EVERY
        self._timer = self._clock.call_at(self._due, self._look)

    def _look(self) -> None:
        self._lag.observe(max(0.0, self._clock.now() - self._due))
        self._wait()


def build_info(version: str) -> Sample:
    """Which version runs, and whether its packet path is native."""
    labels = (("version", version), ("plane", hot.IMPLEMENTATION))
    return Sample("build_info", 1, labels)
