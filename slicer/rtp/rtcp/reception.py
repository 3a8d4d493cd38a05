"""What a receiver report says of one source (RFC 3550 6.4.1, A.3, A.8)."""

from slicer.rtp.rtcp.reports import ReportBlock, dlsr_units, ntp_middle


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
        self._last_report: tuple[int, float] | None = None

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

    def restart(self) -> None:
        """The source's sequence numbers begin elsewhere (RFC 3550 A.1, init_seq)."""
        self._base = None
        self._received = self._expected_prior = self._received_prior = 0

    def reported(self, ntp: int, now: float) -> None:
        """A sender report with this 64-bit NTP time came."""
        self._last_report = (ntp_middle(ntp), now)

    def report(self, now: float) -> ReportBlock:
        """The block about this source; the fraction lost counts since the last one."""
        expected = self._highest - self._base + 1 if self._base is not None else 0
        interval = expected - self._expected_prior
        interval_lost = interval - (self._received - self._received_prior)
        self._expected_prior, self._received_prior = expected, self._received
        fraction = min((interval_lost << 8) // interval, 255) if interval_lost > 0 else 0
        lsr, at = self._last_report or (0, now)
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=fraction,
            packets_lost=expected - self._received,
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=min(int(self._jitter), 0xFFFFFFFF),
            lsr=lsr,
            dlsr=dlsr_units(now - at),
        )
