"""Maps media time to *now*, by arrivals; sender reports align the streams of one sender.

Packets are late by a varying delay, never early; so the smallest (arrival - media time) seen lately
is the best guess of the constant part. The minimum is kept over a sliding window, for clocks drift.
What it cannot know is how much of that delay one stream has and another has not: a video encoder's,
a pacer's. Reports put the streams on the sender's one clock (RFC 3550 6.4.1), and the stream that
comes soonest after it sets the delay for all. Reports are late, too, where a sender is busy while
it writes them; so of them the smallest counts as well.
"""

from collections.abc import Hashable

WINDOW = 30.0
# Reports of one stream that disagree by more: the sender's clock was set, it did not drift.
STEP = 0.5
# Streams of one sender that differ by more were not reported on one clock.
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


class TimestampMapper:
    """Media time of one source and epoch → *now* of its capture (plus the path's least delay)."""

    def __init__(self, clock_rate: int, sender: "SenderClock") -> None:
        self._rate, self._sender = clock_rate, sender
        self._arrivals = SlidingMinimum()
        self._reports = SlidingMinimum()

    @property
    def delay(self) -> float | None:
        """Least seconds from the sender's clock to our *now*; None before the first report."""
        if self._reports.value == float("inf"):
            return None
        return self._arrivals.value - self._reports.value

    def arrived(self, timestamp: int, arrival: float) -> None:
        """A packet of this media time came."""
        self._arrivals.add(arrival - timestamp / self._rate, arrival)

    def reported(self, ntp: float, timestamp: int, now: float) -> None:
        """A sender report: *ntp* seconds of the sender's clock belong to this media time."""
        offset = ntp - timestamp / self._rate
        if abs(offset - self._reports.value) > STEP:
            self._reports = SlidingMinimum()
        self._reports.add(offset, now)

    def skew(self, timestamp: int, arrival: float) -> float:
        """Seconds this packet is later (or, negative, earlier) than the earliest of late."""
        return arrival - timestamp / self._rate - self._arrivals.value

    def at(self, timestamp: int) -> float:
        """The *now* of this media time; call after the first packet."""
        arrived = timestamp / self._rate + self._arrivals.value
        delay = self.delay
        return arrived if delay is None else arrived - self._sender.behind(delay)


class SenderClock:
    """The streams of one sender, so that its audio and video agree."""

    def __init__(self) -> None:
        self._mappers: dict[Hashable, TimestampMapper] = {}

    def begin(self, stream: Hashable, clock_rate: int) -> TimestampMapper:
        """The mapper of a stream's new epoch, in place of its last one's."""
        mapper = self._mappers[stream] = TimestampMapper(clock_rate, self)
        return mapper

    def end(self, stream: Hashable) -> None:
        """This stream sets nobody's delay any more."""
        self._mappers.pop(stream, None)

    def behind(self, delay: float) -> float:
        """Seconds by which a stream of this delay comes after the sender's soonest one."""
        delays = (mapper.delay for mapper in self._mappers.values())
        comparable = [one for one in delays if one is not None and abs(delay - one) < TRUST]
        return max(delay - min(comparable), 0.0) if comparable else 0.0
