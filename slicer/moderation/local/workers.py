"""Processes that do slow work, each one call at a time; one that dies is replaced.

Theory of operation. A call takes a free worker, or waits for one; it is a pickled function, written
to the process, which writes back what it gives (worker.py). A call that takes too long, or that
nobody waits for any more, has its process killed; the next call starts a new one, which loads what
it needs before it is given work. So a crash, or a call that hangs, costs that call alone.

Why not concurrent.futures: a pool gives up all its calls when one process dies, cannot stop a call
that runs, and its processes (multiprocessing, "spawn") run the program's main module again, which
would start a second engine where that module has no guard. When the program is killed they stay;
these find the end of their input and go.
"""

import asyncio
import logging
import os
import pickle
import sys
from collections.abc import Callable
from typing import TypeVar

from slicer.moderation.local.worker import LENGTH_BYTES, framed

logger = logging.getLogger(__name__)

START_TIMEOUT = 60.0
"""Seconds that a process may take to begin and to load what it needs."""
END_TIMEOUT = 5.0
"""Seconds that an idle process may take to end."""
PROGRAM = "from slicer.moderation.local.worker import main; main()"

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
        await self.run(os.getpid, START_TIMEOUT)

    async def run(self, work: Callable[[], Result], seconds: float) -> Result:
        """Do *work* in a process. Raises what it raises; TimeoutError after *seconds*, in which
        neither the wait for a worker nor its start counts; EOFError where the process ended, and
        ChildProcessError where none can be started."""
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
            if worker not in self._free:
                worker.kill()
        await asyncio.gather(*(worker.end() for worker in self._workers))


class _Worker:
    """One process, or none yet."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._killed = False

    @property
    def alive(self) -> bool:
        """Whether there is a process that can be asked."""
        return not self._killed and self._process is not None and self._process.returncode is None

    async def start(self, load: Callable[[], object]) -> None:
        """Begin a process. Raises ChildProcessError."""
        await self.end()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-c", PROGRAM),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            await self.run(load, START_TIMEOUT)
        except Exception as error:
            self.kill()
            reason = str(error) or type(error).__name__
            raise ChildProcessError(f"no worker process: {reason}") from error

    async def run(self, work: Callable[[], Result], seconds: float) -> Result:
        """As `Workers.run`."""
        try:
            async with asyncio.timeout(seconds):
                data = await self._ask(pickle.dumps(work))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            logger.warning("a worker process ended in the middle of a call")
            self.kill()
            raise EOFError("the worker process ended") from error
        except BaseException:  # too late, or nobody waits: the process still works on it
            self.kill()
            raise
        well, value = pickle.loads(data)  # noqa: S301 (of our own process)
        if not well:
            assert isinstance(value, Exception)
            raise value
        result: Result = value
        return result

    def kill(self) -> None:
        """End the process at once, if there is one."""
        if self.alive:
            assert self._process is not None
            self._process.kill()
            self._killed = True

    async def end(self) -> None:
        """Have the process end, and wait for that."""
        process, self._process, self._killed = self._process, None, False
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(END_TIMEOUT):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _ask(self, call: bytes) -> bytes:
        assert self._process is not None
        calls, answers = self._process.stdin, self._process.stdout
        assert calls is not None
        assert answers is not None
        calls.write(framed(call))
        await calls.drain()
        return await answers.readexactly(
            int.from_bytes(await answers.readexactly(LENGTH_BYTES), "big")
        )
