"""Processes that are killed, crash, hang, or are left alone."""

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from slicer.moderation.local.worker import NICE
from slicer.moderation.local.workers import Workers

LONG = 60.0
"""Seconds that no test waits for."""
FOREVER = partial(time.sleep, 600)
PARENT = """
import asyncio, os
from slicer.moderation.local.workers import Workers
async def main():
    workers = Workers(1, os.getpid)
    print(await workers.run(os.getpid, 60), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())  # without a guard: it is not run again in the worker
"""


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    made = Workers(1, os.getpid)
    yield made
    await made.close()


def ended(process: int) -> bool:
    """Wait for the end of a process that may not be a child."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    try:
        return bool(poll.poll(LONG * 1000))
    finally:
        os.close(handle)


async def test_one_process_does_one_call_after_the_other(workers: Workers) -> None:
    await workers.start()
    calls = [workers.run(os.getpid, LONG) for _ in range(3)]
    processes = set(await asyncio.gather(*calls))
    assert len(processes) == 1
    assert processes != {os.getpid()}
    with pytest.raises(ValueError, match="invalid literal"):
        await workers.run(partial(int, "x"), LONG)
    (process,) = processes
    os.kill(process, signal.SIGTERM)  # which the whole group gets when a service is stopped
    os.kill(process, signal.SIGINT)
    assert await workers.run(os.getpid, LONG) == process
    assert await workers.run(partial(os.nice, 0), LONG) == min(os.nice(0) + NICE, 19)
    await workers.close()
    assert ended(process)


async def test_a_call_that_takes_too_long_is_ended(workers: Workers) -> None:
    process = await workers.run(os.getpid, LONG)
    with pytest.raises(TimeoutError):
        await workers.run(FOREVER, 0.01)
    assert ended(process)
    assert await workers.run(os.getpid, LONG) != process


async def test_a_call_that_nobody_waits_for_is_ended(workers: Workers, tmp_path: Path) -> None:
    process = await workers.run(os.getpid, LONG)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    waiting = asyncio.ensure_future(workers.run(fifo.read_bytes, LONG))
    with await asyncio.to_thread(fifo.open, "wb"):  # it reads: it is at work
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert ended(process)


async def test_a_process_that_ends_in_idleness_is_replaced(workers: Workers) -> None:
    process = await workers.run(os.getpid, LONG)
    os.kill(process, signal.SIGKILL)
    assert ended(process)
    with contextlib.suppress(EOFError):  # it may not be known yet
        await workers.run(os.getpid, LONG)
    assert await workers.run(os.getpid, LONG) != process


async def test_a_crash_costs_its_call_alone(tmp_path: Path) -> None:
    workers = Workers(2, os.getpid)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    other = asyncio.ensure_future(workers.run(fifo.read_bytes, LONG))
    with await asyncio.to_thread(fifo.open, "wb") as end:
        with pytest.raises(EOFError):
            await workers.run(partial(os._exit, 3), LONG)
        end.write(b"unharmed")
    assert await other == b"unharmed"
    assert await workers.run(partial(abs, -1), LONG) == 1
    await workers.close()


@pytest.mark.parametrize("load", [partial(int, "x"), partial(os._exit, 3)])
async def test_a_process_that_cannot_load(load: partial[object]) -> None:
    workers = Workers(1, load)
    with pytest.raises(ChildProcessError, match="no worker process"):
        await workers.start()
    await workers.close()


async def test_a_process_that_does_not_begin_in_time(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("slicer.moderation.local.workers.START_TIMEOUT", 0.001)
        with pytest.raises(ChildProcessError, match="TimeoutError"):
            await workers.start()
    await workers.start()


async def test_a_call_ends_when_all_is_closed(workers: Workers, tmp_path: Path) -> None:
    process = await workers.run(os.getpid, LONG)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    waiting = asyncio.ensure_future(workers.run(fifo.read_bytes, LONG))
    with await asyncio.to_thread(fifo.open, "wb"):
        await workers.close()
        with pytest.raises(EOFError):
            await waiting
        assert ended(process)


def test_workers_end_with_their_parent() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        process = int(parent.stdout.readline())
        parent.kill()
    assert ended(process)
