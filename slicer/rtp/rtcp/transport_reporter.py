"""Acknowledges every packet of a connection to the sender's congestion control.

Transport-wide sequence numbers count over all sections of a connection, so each connection has one
reporter. Packets of a sleeping stream are acknowledged, too: to the sender they would be lost, and
it would lower its bit rate.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from slicer.rtp.parameters import TRANSPORT_WIDE_CC, RtpParameters
from slicer.rtp.rtcp.transport_feedback import MAX_PACKETS, TransportFeedback, feedback_for
from slicer.rtp.unwrap import Unwrapper

# libwebrtc sends one each 50 to 250 ms. A little under 100, so that a look every 100 ms is in time.
TRANSPORT_INTERVAL = 0.09


class TransportReporter:
    """Notes arrivals by their transport-wide numbers and makes the feedback. *ssrc*: ours."""

    def __init__(self, ssrc: int) -> None:
        self.counters: Counter[str] = Counter()
        self._ssrc = ssrc
        self._extension_ids: frozenset[int] = frozenset()
        self._arrivals: dict[int, float] = {}
        self._arrivals_at: float | None = None
        self._next: int | None = None
        self._sequences = Unwrapper(16)
        self._count = 0

    @property
    def is_agreed(self) -> bool:
        """Whether any section of the connection takes transport-wide feedback."""
        return bool(self._extension_ids)

    def replace(self, sections: Iterable[RtpParameters]) -> None:
        """Replace the connection's sections; the sequence goes on."""
        self._extension_ids = frozenset(
            number
            for parameters in sections
            for number, uri in parameters.extensions.items()
            if uri == TRANSPORT_WIDE_CC and "transport-cc" in parameters.feedback
        )

    def arrived(self, elements: Mapping[int, bytes], arrival: float) -> None:
        """A packet with these header extension elements came."""
        for number, value in elements.items():
            if number in self._extension_ids and len(value) == 2:
                self._acknowledge(int.from_bytes(value), arrival)

    def handle_timer(self, media_ssrc: int, now: float) -> list[TransportFeedback]:
        """The feedback due now; *media_ssrc*: any source of the connection, or 0."""
        if self._arrivals_at is None or self._arrivals_at > now:
            return []
        arrivals: list[tuple[int, float | None]] = [*sorted(self._arrivals.items())]
        self._arrivals, self._arrivals_at = {}, None
        # What was lost between two feedbacks is in neither unless the second begins with it.
        begin, first = self._next, arrivals[0][0]
        if begin is not None and begin < first < begin + MAX_PACKETS:
            arrivals.insert(0, (begin, None))
        self._next = max(begin or 0, arrivals[-1][0] + 1)
        feedbacks = feedback_for(self._ssrc, media_ssrc, self._count, arrivals)
        self._count += len(feedbacks)
        return feedbacks

    def deadline(self) -> float | None:
        """When the next feedback is due."""
        return self._arrivals_at

    def _acknowledge(self, sequence: int, arrival: float) -> None:
        if self._arrivals_at is None:
            self._arrivals_at = arrival + TRANSPORT_INTERVAL
        if len(self._arrivals) < MAX_PACKETS:
            self._arrivals.setdefault(self._sequences.unwrap(sequence), arrival)
        else:
            self.counters["unacknowledged"] += 1
