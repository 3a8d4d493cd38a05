"""What a receiver report says of one source (RFC 3550 6.4.1, A.3, A.8)."""

from slicer.rtp.rtcp import ReportBlock


class Reception:
    """Counts one source's packets. Sequence numbers and timestamps are unwrapped."""

    def __init__(self, ssrc: int, clock_rate: int) -> None:
        self.ssrc, self._rate = ssrc, clock_rate
        self._base: int | None = None
        self._highest = 0
        self._received = 0
        self._expected_prior = self._received_prior = 0
        self._transit = 0.0
        self._jitter = 0.0
        self._last_report = 0
        self._last_report_at = 0.0

    def receive(self, sequence: int, timestamp: int, arrival: float) -> None:
        """A packet came."""
        transit = arrival * self._rate - timestamp
        if self._base is None:
            self._base = self._highest = sequence
        else:
            self._jitter += (abs(transit - self._transit) - self._jitter) / 16
        self._transit = transit
        self._highest = max(self._highest, sequence)
        self._received += 1

    def reported(self, ntp: int, now: float) -> None:
        """A sender report with this 64-bit NTP time came."""
        self._last_report, self._last_report_at = (ntp >> 16) & 0xFFFFFFFF, now

    def report(self, now: float) -> ReportBlock:
        """The block about this source; the fraction lost counts since the last one."""
        expected = self._highest - (self._base or 0) + 1 if self._received else 0
        lost = expected - self._received
        interval = expected - self._expected_prior
        interval_lost = interval - (self._received - self._received_prior)
        self._expected_prior, self._received_prior = expected, self._received
        fraction = (interval_lost << 8) // interval if interval > 0 and interval_lost > 0 else 0
        delay = int((now - self._last_report_at) * 65_536) if self._last_report else 0
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=min(fraction, 255),
            packets_lost=max(-(1 << 23), min(lost, (1 << 23) - 1)),
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=min(int(self._jitter), 0xFFFFFFFF),
            lsr=self._last_report,
            dlsr=min(max(delay, 0), 0xFFFFFFFF),
        )
