"""Least delays: of a window that slides, and of all packets from each one on."""

# Seconds. A minimum holds for one to two windows: clocks drift, and an older one is none.
WINDOW = 30.0
# Delays closer than this are one level, in seconds; so many levels are kept.
GRAIN = 0.01
MAX_LEVELS = 16


class SlidingMinimum:
    """The minimum of the last WINDOW to 2 × WINDOW seconds, in two numbers."""

    __slots__ = ("_current", "_until", "value")

    def __init__(self) -> None:
        self.value = self._current = float("inf")
        """*value* is the minimum; infinity before the first one."""
        self._until = float("-inf")

    def add(self, value: float, now: float) -> None:
        """Take a value."""
        if now >= self._until:
            fresh = now < self._until + WINDOW
            self.value = min(value, self._current) if fresh else value
            self._current, self._until = value, now + WINDOW
        elif value < self._current:
            self._current = value
            self.value = min(self.value, value)

    def begin_at(self, value: float) -> None:
        """Forget everything but this value; the window's end stays."""
        self.value = self._current = value


class SuffixMinima:
    """The least delay of all packets from each packet on: where did the delay rise for good?

    Theory of operation. Levels are kept in order of delay, each with the last packet that had it;
    a packet removes the levels above its own, for after it they are no minima. So the levels
    ascend in delay and in time, and the delay has been above a level since the level's packet.
    """

    __slots__ = ("levels",)

    def __init__(self) -> None:
        self.levels: list[tuple[float, int]] = []
        """(Delay in seconds, timestamp of the last packet that had it), ascending."""

    @property
    def least(self) -> float:
        """The least delay of all; infinity where there was no packet."""
        return self.levels[0][0] if self.levels else float("inf")

    def add(self, delay: float, timestamp: int) -> None:
        """Take the next packet."""
        levels = self.levels
        while levels and levels[-1][0] > delay:
            levels.pop()
        if levels and (delay < levels[-1][0] + GRAIN or len(levels) == MAX_LEVELS):
            levels[-1] = (levels[-1][0], timestamp)
        else:
            levels.append((delay, timestamp))

    def forget(self, timestamp: int) -> None:
        """Leave out the packets up to this one."""
        self.levels = [level for level in self.levels if level[1] > timestamp]

    def rise(self, threshold: float) -> tuple[int | None, float]:
        """The last packet whose delay was below *threshold* (None: no packet's), and the least
        delay of those after it (infinity: there is none after it)."""
        after = float("inf")
        for delay, timestamp in reversed(self.levels):
            if delay < threshold:
                return timestamp, after
            after = delay
        return None, after
