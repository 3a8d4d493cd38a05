"""Maps media time to *now*: by sender reports where there are any, else by arrivals.

Packets are late by a varying delay, never early; so the smallest (arrival - sent) seen lately is
the best guess of the constant part. The minimum is kept over a sliding window, for clocks drift.
"""

WINDOW = 30.0
# Two reports that disagree by more than this: the sender's clock was set, not drifting.
STEP = 0.5
# A report that puts a packet so far from its arrival is wrong, or not about this stretch of time.
TRUST = 3.0


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


class SenderClock:
    """One sender's NTP clock, shared by its streams, so that its audio and video agree."""

    def __init__(self) -> None:
        self.offset = SlidingMinimum()


class TimestampMapper:
    """Media time of one source and epoch → *now* of its capture (plus the path's least delay)."""

    def __init__(self, clock_rate: int, sender: SenderClock) -> None:
        self._rate, self._sender = clock_rate, sender
        self._arrivals = SlidingMinimum()
        self._report: tuple[float, int] | None = None

    def arrived(self, timestamp: int, arrival: float) -> None:
        """A packet of this media time came."""
        self._arrivals.add(arrival - timestamp / self._rate, arrival)
        if self._report is not None:
            self._sender.offset.add(arrival - self._sent(timestamp), arrival)

    def reported(self, ntp: float, timestamp: int) -> None:
        """A sender report: *ntp* seconds of the sender's clock belong to this media time."""
        if self._report is not None and abs(ntp - self._sent(timestamp)) > STEP:
            self._sender.offset = SlidingMinimum()
        self._report = (ntp, timestamp)

    def skew(self, timestamp: int, arrival: float) -> float:
        """Seconds this packet is later (or, negative, earlier) than the earliest of late."""
        return arrival - timestamp / self._rate - self._arrivals.value

    def at(self, timestamp: int) -> float:
        """The *now* of this media time; call after the first packet."""
        arrived = timestamp / self._rate + self._arrivals.value
        if self._report is None:
            return arrived
        reported = self._sent(timestamp) + self._sender.offset.value
        return reported if abs(reported - arrived) < TRUST else arrived

    def _sent(self, timestamp: int) -> float:
        assert self._report is not None
        ntp, reported = self._report
        return ntp + (timestamp - reported) / self._rate
