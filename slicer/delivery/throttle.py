"""Counts what happens, and reports how often at most once a second."""

from collections.abc import Callable

from slicer.clock import Clock, Timer


class Throttle:
    """Reports the first at once, then how many there were, once a second at most."""

    INTERVAL = 1.0

    def __init__(self, clock: Clock, tell: Callable[[int], None]) -> None:
        self._clock, self._tell = clock, tell
        self._unreported = 0
        self._timer: Timer | None = None

    def add(self) -> None:
        """It happened once more."""
        self._unreported += 1
        if self._timer is None:
            self._report()

    def close(self) -> None:
        """Report what is not reported yet."""
        if self._timer is not None:
            self._timer.cancel()
        self._report()

    def _report(self) -> None:
        count, self._unreported, self._timer = self._unreported, 0, None
        if count:
            self._timer = self._clock.call_at(self._clock.now() + self.INTERVAL, self._report)
            self._tell(count)
