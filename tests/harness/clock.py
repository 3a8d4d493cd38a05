"""A clock that stands still until a test moves it, and the patience to let a loop's tasks run."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

EPOCH = datetime(2025, 1, 6, 14, 31, 43, tzinfo=UTC)


class ManualTimer:
    """One call of a ManualClock that is still to come."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """A `slicer.clock.Clock`: *now* starts at *start* seconds, which is *wall* in UTC."""

    def __init__(self, start: float = 1000.0, wall: datetime = EPOCH) -> None:
        self._now, self._wall, self._start = start, wall, start
        self._timers: list[tuple[float, int, ManualTimer]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self._now

    def wall(self, now: float) -> datetime:
        return self._wall + timedelta(seconds=now - self._start)

    def call_at(self, when: float, callback: Callable[[], None]) -> ManualTimer:
        timer = ManualTimer(callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    async def sleep(self, seconds: float) -> None:
        over = asyncio.Event()
        timer = self.call_at(self._now + seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()

    @property
    def timers(self) -> list[float]:
        """When the calls that are still to come are due, in order."""
        return sorted(when for when, _, timer in self._timers if timer.callback)

    def advance(self, seconds: float) -> None:
        """Go on; make the calls that fall due, each at its own time, also those they add."""
        end = self._now + seconds
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                self._now = max(self._now, when)
                callback()
        self._now = end


async def settle(turns: int = 100) -> None:
    """Let the loop take *turns* turns, so that every task that can go on has gone on."""
    for _ in range(turns):
        await asyncio.sleep(0)
