"""A pool of threads for work that the event loop must not wait for.

A hop to a thread and back costs half of what `loop.run_in_executor` takes: the answer is the last
thing a thread does, so thread and loop do not wait for each other's turn at the interpreter.
"""

import asyncio
import atexit
import itertools
import logging
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

logger = logging.getLogger(__name__)
T = TypeVar("T")

_Lanes = Sequence[deque["_Work | _Posted"]]
_Calls = SimpleQueue[bool]
"""One True for each piece of work, one False for each thread that shall end."""

_everybody: weakref.WeakKeyDictionary[Thread, _Calls] = weakref.WeakKeyDictionary()


class ThreadPool:
    """*count* threads, started when first needed. For one loop's thread.

    Work is queued in one of *lanes*: a lower lane goes first, and within a lane the oldest. A pool
    that is never shut down is waited for at the end of the process, as executors are.
    """

    def __init__(self, name: str, count: int, lanes: int = 1) -> None:
        self._name, self.count = name, count
        self._lanes: _Lanes = [deque() for _ in range(lanes)]
        self._calls: _Calls = SimpleQueue()
        self.threads: list[Thread] = []
        self._load = _Load()
        self._shut_down = False
        # Threads know the lanes, not the pool: a pool that nobody has any more ends its threads.
        weakref.finalize(self, _end, self._calls, self.threads).atexit = False

    @property
    def under_way(self) -> int:
        """Work that was taken and has not ended."""
        self._load.settle()
        return self._load.under_way

    def run(self, work: Callable[[], T], lane: int = 0) -> asyncio.Future[T]:
        """Have *work* done in a thread. What is cancelled before it began is never begun.

        Raises RuntimeError where the pool was shut down.
        """
        if self._shut_down:
            raise RuntimeError(f"the threads {self._name} were shut down")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._put(_Work(loop, future, work, self._load), lane)
        return future

    def post(self, work: Callable[[], None]) -> None:
        """Have *work* done of which nobody waits to hear: the loop is not woken at its end. What it
        raises is logged. Raises RuntimeError as `run` does."""
        if self._shut_down:
            raise RuntimeError(f"the threads {self._name} were shut down")
        self._put(_Posted(work, self._load), 0)

    def shut_down(self, *, finish: bool = True) -> None:
        """Have the threads end, without waiting for it: after all work, or (*finish* False) after
        what they have begun; what waits is cancelled then. May be called twice."""
        if not finish:
            for each in itertools.chain(*self._lanes):
                each.cancel()
        if not self._shut_down:
            self._shut_down = True
            _end(self._calls, self.threads)

    def join(self) -> None:
        """Have the threads end, and wait for it; blocks."""
        self.shut_down()
        for thread in self.threads:
            thread.join()

    def _put(self, work: "_Work | _Posted", lane: int) -> None:
        self._load.settle()
        self._load.under_way += 1
        if self._load.under_way > len(self.threads) < self.count:
            self._start()
        self._lanes[lane].append(work)
        self._calls.put(True)

    def _start(self) -> None:
        name = f"{self._name}_{len(self.threads)}"
        thread = Thread(target=_serve, args=(self._calls, self._lanes), name=name, daemon=True)
        self.threads.append(thread)
        _everybody[thread] = self._calls
        thread.start()


@dataclass(slots=True)
class _Load:
    """What is under way, counted on the loop's thread alone; *ended*: posted work that threads have
    done and that is not counted yet."""

    under_way: int = 0
    ended: deque[None] = field(default_factory=deque)

    def settle(self) -> None:
        while self.ended:
            self.ended.popleft()
            self.under_way -= 1


class _Work:
    """One piece of work. Here every call counts, for most work is short: no frames are made for
    what can be had without."""

    __slots__ = ("_error", "_future", "_load", "_loop", "_result", "_work")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Any],
        work: Callable[[], Any],
        load: _Load,
    ) -> None:
        self._future = future
        self._loop, self._work, self._load = loop, work, load
        self._result: Any = None
        self._error: BaseException | None = None

    def do(self) -> None:
        """In a thread: do it unless it was cancelled, and have the loop told."""
        if not self._future.cancelled():
            try:
                self._result = self._work()
            except BaseException as error:
                self._error = error
        try:
            self._loop.call_soon_threadsafe(self._settle)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    def cancel(self) -> None:
        """Never do it, unless a thread has begun."""
        self._future.cancel()

    def _settle(self) -> None:
        self._load.under_way -= 1
        if self._future.done():
            return
        if self._error is None:
            self._future.set_result(self._result)
        else:
            self._future.set_exception(self._error)
            self._error = None  # its traceback holds the frame of `do`, and so this object


class _Posted:
    """Work of which nobody waits to hear."""

    __slots__ = ("_load", "_work")

    def __init__(self, work: Callable[[], None], load: _Load) -> None:
        self._work, self._load = work, load

    def do(self) -> None:
        """In a thread: do it."""
        try:
            self._work()
        except Exception:
            logger.exception("! work of a thread failed")
        self._load.ended.append(None)

    def cancel(self) -> None:
        """Never do it."""
        self._work = _nothing


def _nothing() -> None:
    """In place of what was cancelled."""


def _serve(calls: _Calls, lanes: _Lanes) -> None:
    while calls.get():
        for lane in lanes:
            try:
                work = lane.popleft()
            except IndexError:
                continue
            work.do()
            del work  # holds a file, perhaps
            break


def _end(calls: _Calls, threads: Sequence[Thread]) -> None:
    for _ in threads:
        calls.put(False)


@atexit.register
def _end_everybody() -> None:
    there = list(_everybody.items())
    for _, calls in there:
        calls.put(False)
    for thread, _ in there:
        thread.join()
