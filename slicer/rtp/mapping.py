"""Maps media time to *now* by what the sender says of its clocks, and by arrivals until it does.

    media time ──regimes of the stream──▶ sender's NTP ──one offset a connection──▶ *now*

Theory of operation. Sender reports (RFC 3550 6.4.1) tie a stream's media time to the sender's NTP
clock. The tie holds in *regimes*: a media clock that stood still (a frozen browser) or leapt begins
another one, and is not mended by it. All streams of a sender share its NTP clock, so one
`ClockOffset` leads from there to our *now*: the same moment has one name in all of them, and what a
path delays is not taken for time that went by.

A report that disagrees with its stream's regime by more than AGREE says one of these, and what the
packets did since the last one that agreed tells which:

    the media clock stood still   from one packet on all are as much later as the report says:
                                  a regime begins with that packet, and with each at which they
                                  became later by a step before it
    it leapt                      packets come before they were sent: a regime begins where they
                                  first did
    the sender's clock was set    packets go on as before, and another report says the same, of this
                                  stream or another: the offset and all regimes move against each
                                  other, and no name moves
    nothing                       it is wrong, or it comes from another time: dropped, as is one
                                  whose media has not come yet

A regime is *confirmed* by two reports that agree. Until then a report is believed as far as
arrivals bear it out, and one that they do not bear out settles nothing: a sender that is behind
from the first frame on (a busy encoder, a queue before the handshake) is seen to be so by the
second report, and what was named by then can still be corrected. And however sure a regime is:
nothing came before it was sent.

What this cannot know: a path whose delay was longer from the first packet on; a stall of which the
sender's reports know nothing; reports that are all written late.
"""

from collections.abc import Hashable

from slicer.rtp.clock_offset import ClockOffset
from slicer.rtp.minima import SlidingMinimum, SuffixMinima

# Seconds by which two reports of a stream agree.
AGREE = 0.02
# A clock that drifts moves its reports by less, in seconds a second.
CREEP = 700e-6
# Seconds that a stream may take longer than the report that is not confirmed yet says.
PLAUSIBLE = 0.5
# A stream that is earlier or later than the sender's others by more is not on their clock. Later it
# may be by a queue.
TOO_EARLY = 0.5
TOO_LATE = 3.0
# Seconds by which the least delay falls where the media clock leapt.
FALL = 0.05
# Seconds by which it rises from one packet to the next where the clock stood still, and no queue
# grew.
STEP = 0.1
# Seconds by which a report may be ahead of the newest packet. Behind a hold-up it is by more, and
# cannot be judged by what packets did.
UNSEEN = 0.5
MAX_REGIMES = 32
# Before any media time.
NONE = -(1 << 62)


class TimestampMapper:
    """Media time of one source and epoch → *now* of capture, plus the path's least delay."""

    def __init__(self, clock_rate: int, sender: "SenderClock") -> None:
        self.offset = sender.offset
        self.pending: float | None = None
        """Seconds by which the last report disagreed, where it was dropped for that."""
        self.settled = NONE
        """The media time up to which reports have told what they can."""
        self._rate, self._sender = clock_rate, sender
        self._arrivals = SlidingMinimum()
        # (Its first media time, NTP less media time), oldest first; none before the first report.
        self._regimes: list[tuple[int, float]] = []
        self._confirmed = False
        self._report: tuple[float, int] | None = None  # the last one: NTP, media time
        # The last report that was believed: when it came, and up to which packet it tells. Of
        # (arrival - media time): the least before it, all since, and the last one that fell.
        self._believed = 0.0
        self._last = self._newest = NONE
        self._before = float("inf")
        self._delays = SuffixMinima()
        self._fell: int | None = None

    def arrived(self, timestamp: int, arrival: float) -> None:
        """A packet of this media time came."""
        delay = arrival - timestamp / self._rate
        self._arrivals.add(delay, arrival)
        if delay < min(self._delays.least, self._before) - FALL:
            self._fell = timestamp
        self._delays.add(delay, timestamp)
        self._newest = timestamp

    def reported(self, ntp: float, timestamp: int, now: float) -> bool:
        """A sender report: *ntp* seconds of the sender's clock belong to this media time.

        False where it disagrees with everything that is known, and is dropped.
        """
        if self._report == (ntp, timestamp):  # a network sent it twice: it proves nothing
            return True
        self._report = (ntp, timestamp)
        value = ntp - timestamp / self._rate
        apart = value - self._regimes[-1][1] if self._regimes else 0.0
        if self._regimes and abs(apart) <= AGREE:
            # Of its two clocks, either may be read a little early.
            self._agree(apart, now - ntp + max(apart, 0.0), now)
        elif self._confirmed and timestamp - self._newest > UNSEEN * self._rate:
            return False
        elif self._regimes and self._stood_still(apart, value):
            pass
        elif not self._confirmed:
            self._regimes = [(NONE, value)]
            if not self.offset.confirmed:
                self.offset.assume(min(now - ntp, self._arrivals.value - value))
        elif not self._leapt(apart, value):
            believed = self._sender.set_clock(self, apart)
            self.pending = None if believed else apart
            if not believed:
                return False
        self._believe(timestamp, now)
        return True

    def skew(self, timestamp: int, arrival: float) -> float:
        """Seconds this packet is later than the earliest of the window; may be negative."""
        return arrival - timestamp / self._rate - self._arrivals.value

    def at(self, timestamp: int) -> float:
        """The *now* of this media time; call after the first packet."""
        index = len(self._regimes) - 1
        if index < 0:
            return timestamp / self._rate + self._arrivals.value
        while index > 0 and timestamp < self._regimes[index][0]:
            index -= 1
        zero = self._regimes[index][1] + self.offset.value
        if index == len(self._regimes) - 1:
            late = self._arrivals.value - zero
            if late < 0.0 or not self._borne_out(late):
                zero = self._arrivals.value
        return timestamp / self._rate + zero

    def set_clock(self, seconds: float) -> None:
        """The sender's NTP clock was set forward by so many seconds."""
        self._regimes = [(since, value + seconds) for since, value in self._regimes]
        self.pending = None

    def _borne_out(self, late: float) -> bool:
        """Whether the last regime is believed, by which all packets are so many seconds late."""
        return self._confirmed or late <= PLAUSIBLE

    def _agree(self, apart: float, delay: float, now: float) -> None:
        """Go on with the regime; *delay*: the report's own (arrival - NTP)."""
        since, value = self._regimes[-1]
        most = CREEP * (now - self._believed)
        value += min(max(apart, -most), most)
        self._regimes[-1] = (since, value)
        delay = min(delay, self._delays.least - value)
        if not self._confirmed:
            self._confirm(delay, now)
        self.offset.add(delay, now)

    def _confirm(self, delay: float, now: float) -> None:
        self._confirmed = True
        if self.offset.confirmed and not -TOO_EARLY <= delay - self.offset.value <= TOO_LATE:
            self.offset = ClockOffset()
        if not self.offset.confirmed:
            self.offset.confirm(delay, now)

    def _stood_still(self, apart: float, value: float) -> bool:
        """Whether all packets from one on are as late as the report says; begins a regime.

        Later by so much than before, or else than any can be: a queue may have gone meanwhile.
        """
        last, least = self._delays.rise(self._before + apart - AGREE)
        late = self._regimes[-1][1] + self.offset.value + apart - AGREE
        if least == float("inf") and self._confirmed and self._before < late:
            last, least = self._delays.rise(late)
        if apart < 0.0 or least == float("inf"):
            return False
        self._begin_regimes_between(value - least, least)
        self._begin_regime((self._last if last is None else last) + 1, value, least)
        return True

    def _leapt(self, apart: float, value: float) -> bool:
        """Whether packets came before they were sent; begins a regime, or corrects this one.

        A report that says they were sent even later is no answer to that.
        """
        least = self._delays.least
        before = self._regimes[-1][1] + self.offset.value
        if apart > 0.0 or least > before + min(apart / 2, -AGREE):
            return False
        if self._fell is None:
            self._regimes[-1] = (self._regimes[-1][0], value)
        else:
            self._begin_regime(self._fell, value, least)
        return True

    def _begin_regimes_between(self, value: float, least: float) -> None:
        """Where a clock stood still more than once since the last report: at each step up to
        *least*. *value*: NTP less arrivals."""
        before, last = self._before, self._last
        for delay, timestamp in self._delays.levels:
            if delay < least and delay - before >= STEP:
                self._add_regime(last + 1, value + delay)
            before, last = delay, timestamp

    def _add_regime(self, since: int, value: float) -> None:
        self._regimes.append((since, value))
        del self._regimes[:-MAX_REGIMES]

    def _begin_regime(self, since: int, value: float, least: float) -> None:
        self._add_regime(since, value)
        # Packets before the step may be as late as those after it: they are no measure of it.
        least = max(least, value + self.offset.value)
        self._arrivals.begin_at(least)
        self._delays = SuffixMinima()
        self._delays.add(least, self._newest)

    def _believe(self, timestamp: int, now: float) -> None:
        """Look from here on at what packets do: a report that was on the way for long tells nothing
        of those sent after it."""
        newest = min(timestamp, self._newest)
        if self._borne_out(self._arrivals.value - (self._regimes[-1][1] + self.offset.value)):
            self.settled = max(self.settled, newest)
        self.pending, self._believed, self._last = None, now, newest
        if self._delays.levels:
            self._before = self._delays.least
        self._delays.forget(newest)
        if self._fell is not None and self._fell <= newest:
            self._fell = None


class SenderClock:
    """The streams of one sender, and the offset of its NTP clock, which outlives them."""

    def __init__(self) -> None:
        self.offset = ClockOffset()
        self._mappers: dict[Hashable, TimestampMapper] = {}

    def begin(self, stream: Hashable, clock_rate: int) -> TimestampMapper:
        """The mapper of a stream's new epoch, in place of its last one's."""
        mapper = self._mappers[stream] = TimestampMapper(clock_rate, self)
        return mapper

    def end(self, stream: Hashable) -> None:
        """Leave this stream out from now on."""
        self._mappers.pop(stream, None)

    def set_clock(self, mapper: TimestampMapper, seconds: float) -> bool:
        """Set the clock that this mapper is on, if another report has said the same."""
        others = [one for one in self._mappers.values() if one.offset is mapper.offset]
        if not any(_same(one.pending, seconds) for one in others):
            return False
        for one in others:
            one.set_clock(seconds)
        mapper.offset.move(-seconds)
        return True


def _same(pending: float | None, seconds: float) -> bool:
    return pending is not None and abs(pending - seconds) <= AGREE
