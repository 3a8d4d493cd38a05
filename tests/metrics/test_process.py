"""The event loop's lag, by a clock that a test moves; the CPU time of this thread."""

import time

from slicer.engine.sample import Sample
from slicer.hot import IMPLEMENTATION
from slicer.metrics.process import EVERY, METRICS, EventLoop, build_info
from tests.harness.clock import ManualClock


def value(loop: EventLoop, name: str) -> float:
    (found,) = [one.value for one in loop.samples() if one.name == name and not one.labels]
    return found


def test_the_lag_of_each_look() -> None:
    clock = ManualClock()
    loop = EventLoop(clock)
    clock.advance(EVERY)
    assert value(loop, "event_loop_lag_seconds_count") == 1
    assert value(loop, "event_loop_lag_seconds_sum") == 0
    loop.close()
    clock.advance(10 * EVERY)
    assert value(loop, "event_loop_lag_seconds_count") == 1


def test_a_look_that_comes_late() -> None:
    class Late(ManualClock):
        def now(self) -> float:
            return super().now() + self.behind

        behind = 0.0

    clock = Late()
    loop = EventLoop(clock)
    clock.behind = 0.25
    clock.advance(EVERY)
    assert value(loop, "event_loop_lag_seconds_sum") == 0.25
    loop.close()


def test_cpu_and_build() -> None:
    loop = EventLoop(ManualClock())
    before = time.thread_time()
    assert before <= value(loop, "event_loop_cpu_seconds_total") <= time.thread_time()
    loop.close()
    labels = (("version", "1.2"), ("plane", IMPLEMENTATION))
    assert build_info("1.2") == Sample("build_info", 1, labels)
    assert {"event_loop_lag_seconds", "event_loop_cpu_seconds_total", "build_info"} == set(METRICS)
