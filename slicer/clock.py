"""The clock: *now* in seconds that never step back, wall time, and timers.

Only the shell has one. The core gets *now* as an argument.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """A scheduled callback that can be cancelled."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Where *now* comes from."""

    def now(self) -> float:
        """Seconds since an arbitrary start; they never step back."""
        ...

    def wall(self, now: float) -> datetime:
        """The UTC that belongs to *now*."""
        ...

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call back once *now* has reached *when*."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once *now* is so many seconds later."""
        ...


# Times that two clocks are compared: what runs between them makes the wall time seem earlier.
READS = 10


class LoopClock:
    """The running event loop's clock. Wall time is read at first, so that it cannot step either."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wall_offset = max(time.time() - self._loop.time() for _ in range(READS))
        # The loop's own function, asked dozens of times for each slice: none of ours in between.
        self.now = self._loop.time

    def wall(self, now: float) -> datetime:
        return datetime.fromtimestamp(now + self._wall_offset, UTC)

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        return self._loop.call_at(when, callback)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
