"""The loop's clock: *now* is the loop's time, wall time follows it and nothing else."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from slicer.clock import LoopClock


async def test_now_is_the_loops_time() -> None:
    clock = LoopClock()
    time = asyncio.get_running_loop().time
    earliest, now, latest = time(), clock.now(), time()
    assert earliest <= now <= latest


async def test_wall_time_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = LoopClock()
    before = clock.wall(clock.now())
    assert abs(before - datetime.now(UTC)) < timedelta(seconds=1)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert clock.wall(clock.now()) - before < timedelta(seconds=1)
    assert clock.wall(100.0) - clock.wall(98.5) == timedelta(seconds=1.5)


async def test_wall_time_is_right_where_others_run_between_the_two_clocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delays, real = iter([0.1, 0.05]), time.time
    monkeypatch.setattr(time, "time", lambda: real() - next(delays, 0.0))
    clock = LoopClock()
    assert abs(clock.wall(clock.now()) - datetime.now(UTC)) < timedelta(seconds=0.04)


async def test_a_call_comes_when_it_is_due_and_not_when_called_off() -> None:
    clock = LoopClock()
    due = clock.now() + 0.01
    called: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    clock.call_at(due, lambda: called.set_exception(AssertionError("called off"))).cancel()
    clock.call_at(due, lambda: called.set_result(clock.now()))
    # The loop may call up to its timer's resolution early.
    assert await called >= due - time.get_clock_info("monotonic").resolution


async def test_sleep_ends_when_its_time_is_over() -> None:
    clock = LoopClock()
    due = clock.now() + 0.01
    await clock.sleep(0.01)
    assert clock.now() >= due - time.get_clock_info("monotonic").resolution


def test_there_is_no_clock_without_a_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        LoopClock()
