"""Threads with lanes: who goes first, what is never begun, and how they end."""

import asyncio
import gc
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from slicer.threads import ThreadPool


async def test_answers_and_errors_come_back() -> None:
    pool = ThreadPool("hand", 2)
    assert await pool.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 // 0)
    pool.join()


async def test_threads_are_hired_when_needed_and_no_more_than_told() -> None:
    pool, gate = ThreadPool("hand", 2), threading.Event()
    assert pool.threads == []
    await pool.run(lambda: None)
    await pool.run(lambda: None)
    assert len(pool.threads) == 1, "it was free again"
    waiting = [pool.run(gate.wait) for _ in range(5)]
    assert len(pool.threads) == 2
    gate.set()
    assert all(await asyncio.gather(*waiting))
    pool.join()
    assert not any(thread.name.startswith("hand_") for thread in threading.enumerate())


async def test_a_lower_lane_goes_first_and_each_keeps_its_order() -> None:
    pool, gate, done = ThreadPool("hand", 1, lanes=2), threading.Event(), list[str]()
    busy = pool.run(gate.wait, 1)
    runs = [
        pool.run(lambda name=name: done.append(name), lane)  # type: ignore[misc]
        for name, lane in (("p0", 1), ("p1", 1), ("s0", 0), ("p2", 1), ("s1", 0))
    ]
    gate.set()
    await asyncio.gather(busy, *runs)
    assert done == ["s0", "s1", "p0", "p1", "p2"]
    pool.join()


async def test_what_is_cancelled_before_it_began_is_never_begun() -> None:
    pool, gate, done = ThreadPool("hand", 1), threading.Event(), list[int]()
    busy = pool.run(gate.wait)
    cancelled, kept = pool.run(lambda: done.append(1)), pool.run(lambda: done.append(2))
    cancelled.cancel()
    gate.set()
    await asyncio.gather(busy, kept)
    assert done == [2]
    pool.join()


async def test_a_cancelled_call_under_way_ends_by_itself() -> None:
    pool, started, gate = ThreadPool("hand", 1), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        gate.wait(20)

    run = pool.run(work)
    assert started.wait(20)
    run.cancel()
    gate.set()
    assert await pool.run(lambda: 3) == 3, "the thread is free again"
    pool.join()


@pytest.mark.parametrize("finish", [True, False])
async def test_shut_down_they_do_what_waits_or_not(finish: bool) -> None:
    pool, gate, done = ThreadPool("hand", 1), threading.Event(), list[int]()
    pool.run(gate.wait)
    waiting = pool.run(lambda: done.append(1))
    pool.shut_down(finish=finish)
    gate.set()
    await asyncio.to_thread(pool.join)
    assert done == ([1] if finish else [])
    assert waiting.cancelled() != finish
    with pytest.raises(RuntimeError, match="hand were shut down"):
        pool.run(lambda: None)


async def test_posted_work_is_done_and_counted_and_its_faults_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool, gate, done = ThreadPool("hand", 1), threading.Event(), list[int]()

    def work() -> None:
        gate.wait()
        done.append(1)

    pool.post(work)
    pool.post(lambda: print(1 // 0))
    assert pool.under_way == 2
    gate.set()
    assert await pool.run(lambda: 3) == 3, "the thread goes on"
    assert (done, pool.under_way) == ([1], 0)
    assert "ZeroDivisionError" in caplog.text
    pool.join()
    with pytest.raises(RuntimeError, match="hand were shut down"):
        pool.post(work)


async def test_posted_work_that_waits_is_dropped_at_a_hurried_end() -> None:
    pool, gate, done = ThreadPool("hand", 1), threading.Event(), list[int]()
    pool.post(lambda: print(gate.wait(20)))
    pool.post(lambda: done.append(1))
    pool.shut_down(finish=False)
    gate.set()
    await asyncio.to_thread(pool.join)
    assert done == []


async def test_never_used_it_ends_as_well() -> None:
    pool = ThreadPool("hand", 1)
    pool.shut_down()
    pool.join()
    pool.join()


async def test_what_nobody_has_any_more_ends() -> None:
    pool = ThreadPool("hand", 1)
    await pool.run(lambda: None)
    (thread,) = pool.threads
    del pool
    gc.collect()
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()


FORGETFUL = """
import asyncio, sys, time
from slicer.threads import ThreadPool

async def main():
    pool = ThreadPool("hand", 2)
    await pool.run(lambda: None)
    pool.run(lambda: (time.sleep(0.2), print("done", flush=True)))

asyncio.run(main())
"""


def test_who_forgets_them_is_waited_for_and_ends() -> None:
    root = Path(__file__).parents[1]
    command = [sys.executable, "-c", FORGETFUL]
    ended = subprocess.run(command, cwd=root, capture_output=True, timeout=30, check=True)
    assert ended.stdout == b"done\n"
    assert ended.stderr == b""
