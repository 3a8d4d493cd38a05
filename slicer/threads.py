"""A pool of threads for work that the event loop must not wait for.

A hop to a thread and back costs half of what `loop.run_in_executor` takes: the answer is the last
thing a thread does, so thread and loop do not wait for each other's turn at the interpreter.
"""

import asyncio
import atexit
import itertools
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")

_Lanes = Sequence[deque[tuple[asyncio.Future[Any], Callable[[], Any]]]]
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
        self._under_way = 0
        self._shut_down = False
        # Threads know the lanes, not the pool: a pool that nobody has any more ends its threads.
        weakref.finalize(self, _end, self._calls, self.threads).atexit = False

    @property
    def under_way(self) -> int:
        """Work that was taken and has not ended."""
        return self._under_way

    def run(self, work: Callable[[], T], lane: int = 0) -> asyncio.Future[T]:
        """Have *work* done in a thread. What is cancelled before it began is never begun.

        Raises RuntimeError where the pool was shut down.
        """
        if self._shut_down:
            raise RuntimeError(f"the threads {self._name} were shut down")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        future.add_done_callback(self._done)
        self._under_way += 1
        if self._under_way > len(self.threads) < self.count:
            self._start()
        self._lanes[lane].append((future, work))
        self._calls.put(True)
        return future

    def shut_down(self, *, finish: bool = True) -> None:
        """Have the threads end, without waiting for it: after all work, or (*finish* False) after
        what they have begun; what waits is cancelled then. May be called twice."""
        if not finish:
            for future, _ in itertools.chain(*self._lanes):
                future.cancel()
        if not self._shut_down:
            self._shut_down = True
            _end(self._calls, self.threads)

    def join(self) -> None:
        """Have the threads end, and wait for it; blocks."""
        self.shut_down()
        for thread in self.threads:
            thread.join()

    def _start(self) -> None:
        name = f"{self._name}_{len(self.threads)}"
        thread = Thread(target=_serve, args=(self._calls, self._lanes), name=name, daemon=True)
        self.threads.append(thread)
        _everybody[thread] = self._calls
        thread.start()

    def _done(self, _future: asyncio.Future[Any]) -> None:
        self._under_way -= 1


def _serve(calls: _Calls, lanes: _Lanes) -> None:
    while calls.get():
        for lane in lanes:
            with suppress(IndexError):
                _do(*lane.popleft())
                break


def _do(future: asyncio.Future[T], work: Callable[[], T]) -> None:
    if future.cancelled():
        return
    try:
        settle = partial(_give, future, work())
    except BaseException as error:
        settle = partial(_fail, future, error)
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        future.get_loop().call_soon_threadsafe(settle)


def _give(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


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
