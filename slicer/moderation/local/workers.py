"""Processes that do slow work, each one call at a time; one that dies is replaced.

Theory of operation. A call takes a free worker, or waits for one. Each worker is a
ProcessPoolExecutor of a single process, since a pool of several gives up all their calls when one
process dies: here a crash costs the call that crashed. The standard library cannot stop a call that
runs, so a call that takes too long, or that nobody waits for any more, has its process killed. The
next call starts a new one, which loads what it needs before it is given work.

Processes are spawned, not forked: a fork of a process with threads may copy a lock that is held.
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

logger = logging.getLogger(__name__)

START_TIMEOUT = 60.0
"""Seconds that a process may take to begin, and again to load what it needs."""
NICE = 10
"""Workers leave the CPU to the slicing, where that wants it."""

Result = TypeVar("Result")


class Workers:
    """At most *count* processes, started when they are needed. For the loop's thread."""

    def __init__(self, count: int, load: Callable[[], object]) -> None:
        """*load* runs in each process before its first call; it is pickled, as calls are."""
        self._load = load
        self._workers = [_Worker() for _ in range(count)]
        self._free = list(self._workers)
        self._room = asyncio.Semaphore(count)

    async def start(self) -> None:
        """Have a process ready. Raises ChildProcessError where none can be."""
        await self.run(_nothing, START_TIMEOUT)

    async def run(self, work: Callable[[], Result], seconds: float) -> Result:
        """Do *work* in a process. Raises what it raises; TimeoutError after *seconds*, in which
        neither the wait for a worker nor its start counts; BrokenProcessPool where the process
        ended, and ChildProcessError where none can be started."""
        async with self._room:
            worker = self._free.pop()
            try:
                if not worker.alive:
                    await worker.start(self._load)
                return await worker.run(work, seconds)
            finally:
                self._free.append(worker)

    async def close(self) -> None:
        """End the processes: one that is idle by itself, since libraries tidy up when they can."""
        for worker in self._workers:
            if worker in self._free:
                worker.dismiss()
            else:
                worker.kill()


class _Worker:
    """One process, or none yet."""

    def __init__(self) -> None:
        self.pool: ProcessPoolExecutor | None = None
        self._process = 0

    @property
    def alive(self) -> bool:
        """Whether there is a process; one that ended in idleness (killed for its memory, say) costs
        no call."""
        if self.pool is not None:
            try:
                self.pool.submit(_nothing)
            except BrokenProcessPool:
                self.kill()
        return self.pool is not None

    async def start(self, load: Callable[[], object]) -> None:
        """Begin a process, on a thread: that takes milliseconds. Raises ChildProcessError."""
        try:
            self.pool, self._process = await asyncio.to_thread(_begin)
            await self.run(load, START_TIMEOUT)
        except Exception as error:
            self.kill()
            reason = str(error) or type(error).__name__
            raise ChildProcessError(f"no worker process: {reason}") from error

    async def run(self, work: Callable[[], Result], seconds: float) -> Result:
        assert self.pool is not None
        future: Future[Result] = self.pool.submit(work)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.wrap_future(future)
        except BrokenProcessPool:
            logger.warning("worker process %d ended in the middle of a call", self._process)
            self.kill()
            raise
        finally:
            if not future.done():  # too late, or nobody waits: the process still works on it
                self.kill()

    def kill(self) -> None:
        """End the process at once, if there is one."""
        if self.pool is not None:
            try:
                os.kill(self._process, signal.SIGKILL)
            except ProcessLookupError:
                logger.debug("worker process %d had ended", self._process)
        self.dismiss()

    def dismiss(self) -> None:
        """Have the process end once it has no call any more."""
        pool, self.pool = self.pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin() -> tuple[ProcessPoolExecutor, int]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(1, context, initializer=_initialize)
    try:
        return pool, pool.submit(os.getpid).result(START_TIMEOUT)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def _initialize() -> None:
    """In the new process. The signals that end a program go to all its processes: the parent
    drains, and needs its workers for that. One whose parent is gone ends by itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(NICE)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _nothing() -> None:
    """What a process does that is only to be ready."""
