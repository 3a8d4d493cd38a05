"""The reporter: receiver reports, NACKs and keyframe requests for one anchor's streams.

Every compound begins with a receiver report (RFC 3550 6.1); once a second it is the full one. Each
source has compounds of its own, as browsers send them: Janus takes a whole compound for the source
whose block comes first, and so a keyframe request behind the audio's report for one to the audio
(janus_rtcp_get_receiver_ssrc). The connection's transport-wide feedback and what limits all sources
go along with the first compound that is made when they are due.
"""

from collections import Counter
from collections.abc import Sequence

from slicer.rtp import rtcp
from slicer.rtp.packet import Packet
from slicer.rtp.rtcp.feedback import FullIntraRequest, Nack, PictureLossIndication, Remb
from slicer.rtp.rtcp.reports import (
    ReceiverReport,
    SenderReport,
    SourceDescription,
    ntp_seconds,
)
from slicer.rtp.rtcp.transport_reporter import TransportReporter
from slicer.rtp.stream import Stream

REPORT_INTERVAL = 1.0
# Seconds. An encoder takes two requests closer than this for one; a network takes them for a flood.
KEYFRAME_INTERVAL = 0.3
# No limit from us: 100 Mbit/s, more than a publisher will ever send.
REMB_BITRATE = 100_000_000


class Reporter:
    """Takes the peer's sender reports and makes our compounds. *ssrc*: ours.

    *streams* may be replaced by others at any time; *transport* is the connection's.
    """

    def __init__(
        self, ssrc: int, streams: Sequence[Stream], cname: str, transport: TransportReporter
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.streams = streams
        self._ssrc, self._cname, self._transport = ssrc, cname, transport
        self._report_at: float | None = None
        self._fir_count = 0
        self._keyframe_asked: dict[int, float] = {}

    def arrived(self, packet: Packet) -> None:
        """An RTP packet of any of the streams came."""
        if self._report_at is None:
            self._report_at = packet.arrival

    def receive(self, report: SenderReport, now: float) -> None:
        """Take the peer's report of a source. A source that is not of these streams is ignored."""
        for stream in self.streams:
            source = stream.source
            if source is not None and source.ssrc == report.ssrc:
                source.reception.reported(report.ntp, now)
                timestamp = source.timestamps.peek(report.rtp_timestamp)
                if not stream.mapper.reported(ntp_seconds(report.ntp), timestamp, now):
                    self.counters["report_disbelieved"] += 1

    @property
    def media_ssrc(self) -> int:
        """The SSRC of the first stream that has a source; 0 where none has."""
        sources = (stream.source for stream in self.streams)
        return next((source.ssrc for source in sources if source is not None), 0)

    def handle_timer(self, keyframes: Sequence[Stream], now: float) -> list[bytes]:
        """The compounds due now, one for each source; *keyframes*: streams that need one."""
        full = self._report_at is not None and self._report_at <= now
        description = [SourceDescription(((self._ssrc, self._cname),))] if full else []
        along: list[rtcp.RtcpPacket] = [
            *(self._remb() if full else ()),
            *self._transport.handle_timer(self.media_ssrc, now),
        ]
        if full:
            self._report_at = now + REPORT_INTERVAL
        compounds = []
        for stream in self.streams:
            if stream.source is None:
                continue
            packets = self._nack(stream, stream.source.ssrc, now)
            if stream in keyframes:
                packets += self._keyframe_request(stream, stream.source.ssrc, now)
            if full or packets:
                blocks = (stream.source.reception.report(now),) if full else ()
                head = ReceiverReport(self._ssrc, blocks)
                compounds.append(rtcp.build([head, *description, *packets, *along]))
                along = []
        if along or (full and not compounds):
            compounds.append(rtcp.build([ReceiverReport(self._ssrc, ()), *description, *along]))
        return compounds

    def deadline(self) -> float | None:
        """When the next full report is due."""
        return self._report_at

    def _remb(self) -> list[rtcp.RtcpPacket]:
        """Where there is no transport-wide feedback, by which senders estimate for themselves, and
        where we want less than the path carries: they obey that beside it."""
        sent = [
            (stream.source.ssrc, stream.parameters.max_bitrate)
            for stream in self.streams
            if stream.source is not None and "goog-remb" in stream.parameters.feedback
        ]
        if not sent or (self._transport.is_agreed and not any(limit for _, limit in sent)):
            return []
        bitrate = min(sum(limit or REMB_BITRATE for _, limit in sent), REMB_BITRATE)
        return [Remb(self._ssrc, bitrate, tuple(ssrc for ssrc, _ in sent))]

    def _nack(self, stream: Stream, ssrc: int, now: float) -> list[rtcp.RtcpPacket]:
        missing = stream.missing(now)
        return [Nack(self._ssrc, ssrc, tuple(missing))] if missing else []

    def _keyframe_request(self, stream: Stream, ssrc: int, now: float) -> list[rtcp.RtcpPacket]:
        if now - self._keyframe_asked.get(ssrc, float("-inf")) < KEYFRAME_INTERVAL:
            return []
        self._keyframe_asked = {ssrc: now}
        self.counters["keyframe_requests"] += 1
        if "nack pli" in stream.parameters.feedback:
            return [PictureLossIndication(self._ssrc, ssrc)]
        self._fir_count += 1
        return [FullIntraRequest(self._ssrc, ((ssrc, self._fir_count & 0xFF),))]
