"""Maps media time to *now* by arrivals; sender reports align the streams of one sender.

Theory of operation. A packet's delay varies, and is never negative. So the smallest difference
(arrival - media time) seen lately is the best estimate of the constant part. It is a minimum over a
sliding window, because clocks drift: an older minimum would hold for ever.

That estimate contains what one stream is slower than another, such as a video encoder's or a
pacer's delay. Sender reports put all streams of a sender on one clock (RFC 3550 6.4.1). Then each
stream's delay from that clock is known, and the least of them is taken for all: audio and video of
one moment get the same *now*. A busy sender writes its reports late, so of these, too, the minimum
counts.

Two bounds keep nonsense out. Reports of one stream that step by more than STEP mean that the
sender's clock was set: the window begins anew. Streams whose delays differ by more than TRUST are
not reported on one clock, and do not align each other.
"""

from collections.abc import Hashable

WINDOW = 30.0
# Seconds by which two reports of one stream may differ by drift.
STEP = 0.5
# Seconds by which the delays of one sender's streams may differ.
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
    """Media time of one source and epoch → *now* of capture, plus the path's least delay."""

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
        """Seconds this packet is later than the earliest of the window; may be negative."""
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
        """Leave this stream out of the alignment from now on."""
        self._mappers.pop(stream, None)

    def behind(self, delay: float) -> float:
        """Seconds by which a stream of this delay comes after the sender's soonest one."""
        delays = (mapper.delay for mapper in self._mappers.values())
        comparable = [one for one in delays if one is not None and abs(delay - one) < TRUST]
        return max(delay - min(comparable), 0.0) if comparable else 0.0
