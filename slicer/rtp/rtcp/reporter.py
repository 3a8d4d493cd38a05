"""Our side of a connection's RTCP: what we report, ask for and acknowledge, and when.

Every compound begins with a receiver report (RFC 3550 6.1); once a second it is the full one. A
sender that expects transport-wide feedback or REMB gets it even for packets nobody looks into: a
sleeping video must not look like a broken path to its congestion control.
"""

from collections import Counter
from collections.abc import Sequence

from slicer.rtp import rtcp
from slicer.rtp.packet import Packet, extensions
from slicer.rtp.parameters import TRANSPORT_WIDE_CC
from slicer.rtp.rtcp.feedback import FullIntraRequest, Nack, PictureLossIndication, Remb
from slicer.rtp.rtcp.reports import (
    Bye,
    ReceiverReport,
    SenderReport,
    SourceDescription,
    ntp_seconds,
)
from slicer.rtp.rtcp.transport_feedback import MAX_PACKETS, feedback_for
from slicer.rtp.stream import Stream
from slicer.rtp.unwrap import Unwrapper

REPORT_INTERVAL = 1.0
# libwebrtc's, 50 to 250 ms; a little less than 100, so that who looks every 100 ms is on time.
TRANSPORT_INTERVAL = 0.09
# Two requests closer than this are one to an encoder, and a flood to a network.
KEYFRAME_INTERVAL = 0.3
# No limit from us: 100 Mbit/s, more than a publisher will ever send.
REMB_BITRATE = 100_000_000


class Reporter:
    """Takes the peer's RTCP and makes ours."""

    def __init__(self, ssrc: int, streams: Sequence[Stream], cname: str) -> None:
        self.counters: Counter[str] = Counter()
        self._ssrc, self._streams, self._cname = ssrc, streams, cname
        self._report_at: float | None = None
        self._arrivals: dict[int, float] = {}
        self._arrivals_at: float | None = None
        self._next_arrival: int | None = None
        self._transport_sequences = Unwrapper(16)
        self._feedback_count = 0
        self._fir_count = 0
        self._extension_ids = {
            extension
            for stream in streams
            for extension, uri in stream.parameters.extensions.items()
            if uri == TRANSPORT_WIDE_CC and "transport-cc" in stream.parameters.feedback
        }
        self._keyframe_asked: dict[int, float] = {}

    def arrived(self, packet: Packet) -> None:
        """An RTP packet of any stream came."""
        if self._report_at is None:
            self._report_at = packet.arrival
        if not self._extension_ids or not packet.extension:
            return
        for extension, value in extensions(packet.profile, packet.extension).items():
            if extension in self._extension_ids and len(value) == 2:
                self._acknowledge(int.from_bytes(value), packet.arrival)

    def receive(self, compound: bytes, now: float) -> None:
        """The peer's RTCP; what is malformed is counted."""
        try:
            packets = rtcp.parse(compound)
        except ValueError:
            self.counters["malformed_rtcp"] += 1
            return
        for packet in packets:
            if isinstance(packet, SenderReport):
                self._sender_report(packet, now)
            elif isinstance(packet, Bye):
                # Perhaps only a mute (RFC 3550 6.6 lets a source come back): packets decide.
                self.counters["bye"] += 1

    def handle_timer(self, keyframes: Sequence[Stream], now: float) -> list[bytes]:
        """The compound due now, if any; *keyframes*: streams that need one."""
        packets = [*self._nacks(now), *self._keyframe_requests(keyframes, now)]
        packets += self._transport_feedback(now)
        full = self._report_at is not None and self._report_at <= now
        if not packets and not full:
            return []
        head: list[rtcp.RtcpPacket] = [ReceiverReport(self._ssrc, ())]
        if full:
            self._report_at = now + REPORT_INTERVAL
            head = [*self._reports(now), *self._remb()]
        return [rtcp.build([*head, *packets])]

    def deadline(self) -> float | None:
        """When the next regular compound is due."""
        waits = (self._report_at, self._arrivals_at)
        return min((wait for wait in waits if wait is not None), default=None)

    def _acknowledge(self, sequence: int, arrival: float) -> None:
        """Note a transport-wide sequence number for the next feedback."""
        if self._arrivals_at is None:
            self._arrivals_at = arrival + TRANSPORT_INTERVAL
        if len(self._arrivals) < MAX_PACKETS:
            self._arrivals.setdefault(self._transport_sequences.unwrap(sequence), arrival)
        else:
            self.counters["unacknowledged"] += 1

    def _sender_report(self, report: SenderReport, now: float) -> None:
        for stream in self._streams:
            source = stream.source
            if source is not None and source.ssrc == report.ssrc:
                source.reception.reported(report.ntp, now)
                timestamp = source.timestamps.peek(report.rtp_timestamp)
                stream.mapper.reported(ntp_seconds(report.ntp), timestamp, now)

    def _reports(self, now: float) -> list[rtcp.RtcpPacket]:
        """RFC 3550 6.1: what does not fit into one report goes into another behind it."""
        sources = [stream.source for stream in self._streams]
        blocks = tuple(source.reception.report(now) for source in sources if source is not None)
        reports = (
            ReceiverReport(self._ssrc, blocks[at : at + rtcp.MAX_COUNT])
            for at in range(0, len(blocks) or 1, rtcp.MAX_COUNT)
        )
        return [*reports, SourceDescription(((self._ssrc, self._cname),))]

    def _remb(self) -> list[rtcp.RtcpPacket]:
        """Only where there is no transport-wide feedback: senders obey one of the two."""
        if self._extension_ids:
            return []
        ssrcs = tuple(
            stream.source.ssrc
            for stream in self._streams
            if stream.source is not None and "goog-remb" in stream.parameters.feedback
        )
        return [Remb(self._ssrc, REMB_BITRATE, ssrcs)] if ssrcs else []

    def _nacks(self, now: float) -> list[rtcp.RtcpPacket]:
        return [
            Nack(self._ssrc, stream.source.ssrc, tuple(missing))
            for stream in self._streams
            if stream.source is not None and (missing := stream.missing(now))
        ]

    def _keyframe_requests(self, streams: Sequence[Stream], now: float) -> list[rtcp.RtcpPacket]:
        requests: list[rtcp.RtcpPacket] = []
        for stream in streams:
            if stream.source is None:
                continue
            ssrc = stream.source.ssrc
            if now - self._keyframe_asked.get(ssrc, float("-inf")) < KEYFRAME_INTERVAL:
                continue
            self._keyframe_asked = {ssrc: now}
            self.counters["keyframe_requests"] += 1
            if "nack pli" in stream.parameters.feedback:
                requests.append(PictureLossIndication(self._ssrc, ssrc))
            else:
                self._fir_count += 1
                requests.append(FullIntraRequest(self._ssrc, ((ssrc, self._fir_count & 0xFF),)))
        return requests

    def _transport_feedback(self, now: float) -> list[rtcp.RtcpPacket]:
        if self._arrivals_at is None or self._arrivals_at > now:
            return []
        arrivals: list[tuple[int, float | None]] = [*sorted(self._arrivals.items())]
        self._arrivals, self._arrivals_at = {}, None
        # What was lost between two feedbacks is in neither unless the second begins with it.
        begin, first = self._next_arrival, arrivals[0][0]
        if begin is not None and begin < first < begin + MAX_PACKETS:
            arrivals.insert(0, (begin, None))
        self._next_arrival = max(begin or 0, arrivals[-1][0] + 1)
        source = next((s.source for s in self._streams if s.source is not None), None)
        media_ssrc = source.ssrc if source is not None else 0
        feedbacks = feedback_for(self._ssrc, media_ssrc, self._feedback_count, arrivals)
        self._feedback_count += len(feedbacks)
        return [*feedbacks]
