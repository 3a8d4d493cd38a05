"""All media of one connection: datagrams in, cuts out, for every anchor that it carries.

    receive: RTP:  Demultiplexer → TransportReporter, Receiver.insert
             RTCP: by SSRC → Receiver.reported
             then handle_timer of each Receiver that got something, or that has something due

Theory of operation. A WHIP publisher's connection is a bundle with one anchor; an SFU's carries
many (RFC 8843). The bundle has what belongs to the connection: which section a packet belongs to,
transport-wide feedback, malformed datagrams. Each anchor has a Receiver, which has the rest: order,
cuts, reports, requests.

Datagrams come in batches. All of a batch are inserted first; then each receiver that got a packet
runs once, so the work that is done once for a receiver is done once for a batch. A receiver without
a packet runs only when its deadline is over. Its deadline can change only when it runs, therefore
`_deadlines` holds it: a call costs what happened, not how many anchors there are.

A section is known by its MID, and a MID is one section's for the whole connection. When it comes to
another anchor (an SFU uses its m-lines again), the first anchor loses it in the same call: at no
time do two receivers claim one packet.

This is the reference of the native plane: the same calls, the same cuts and counters.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from slicer.errors import BadInput
from slicer.rtp import rtcp
from slicer.rtp.demultiplexer import Demultiplexer
from slicer.rtp.packet import LEVEL_BITS, ORIENTATION_BITS, extensions, parse
from slicer.rtp.parameters import AUDIO_LEVEL, ORIENTATION, RtpParameters
from slicer.rtp.rtcp.reports import Bye, ReceiverReport, SenderReport
from slicer.rtp.rtcp.transport_reporter import TransportReporter
from slicer.rtp.stream import Stream
from slicer.slicing.activity import Activity
from slicer.slicing.keyframe_requests import RequestsOf
from slicer.slicing.outputs import TrackKey, TrackOutput, Transmit
from slicer.slicing.receiver import Receiver
from slicer.slicing.spec import AudioSpec, VideoSpec
from slicer.slicing.track import earliest

# Audio and video of 128 anchors. SFUs open another connection long before that.
MAX_SECTIONS = 256


class Bundle:
    """The receiving end of one connection. *ssrc*: our own, in RTCP. *requests_of*: the requests
    for keyframes to its videos; None: no other connection has the same videos."""

    def __init__(self, ssrc: int, requests_of: RequestsOf | None = None) -> None:
        self._ssrc, self._requests_of = ssrc, requests_of
        self._counters: Counter[str] = Counter()
        self._demultiplexer = Demultiplexer()
        self._transport = TransportReporter(ssrc)
        self._activity = Activity()
        self._receivers: dict[str, Receiver] = {}
        self._owners: dict[Stream, Receiver] = {}
        self._orientation_ids: frozenset[int] = frozenset()
        self._level_ids: frozenset[int] = frozenset()
        # As of each receiver's last run. Nothing else changes a deadline, so few are asked anew.
        self._deadlines: dict[Receiver, float | None] = {}

    @property
    def counters(self) -> Counter[str]:
        """What was refused, lost or odd, by reason, over all anchors there were."""
        total = self._counters.copy()
        total.update(self._demultiplexer.counters)
        total.update(self._transport.counters)
        for receiver in self._receivers.values():
            total.update(receiver.counters)
        return total

    def counters_of(self, anchor: str) -> Counter[str]:
        """Those of this anchor alone, since it came; none where it is not there."""
        receiver = self._receivers.get(anchor)
        return Counter() if receiver is None else receiver.counters

    def heard(self, anchor: str) -> float:
        """When an RTP packet of this anchor last came; -inf: none has, or it is not there."""
        receiver = self._receivers.get(anchor)
        return float("-inf") if receiver is None else receiver.heard

    def set_sections(
        self, anchor: str, sections: Sequence[RtpParameters], now: float
    ) -> list[TrackOutput | Transmit]:
        """Replace what this anchor sends; without sections it is gone. Raises BadInput.

        A section that is sent already goes on as it is. One that is sent no longer gives its last
        cuts; so does a section of another anchor whose MID is named here. Sections beyond
        MAX_SECTIONS are left out, and counted as `sections_refused`.
        """
        mids = Counter(section.mid for section in sections if section.mid)
        if mids and (most := mids.most_common(1)[0])[1] > 1:
            raise BadInput("sections", f"MID {most[0]} {most[1]} times", "each MID once")
        outputs = self._take_mids(anchor, mids.keys())
        others = (one.streams for one in self._receivers.values() if one.anchor != anchor)
        room = MAX_SECTIONS - sum(map(len, others))
        if len(sections) > room:
            self._counters["sections_refused"] += len(sections) - room
        outputs += self._replace(anchor, sections[:room])
        self._owners = {stream: one for one in self._receivers.values() for stream in one.streams}
        self._demultiplexer.replace(self._owners, now)
        self._transport.replace(stream.parameters for stream in self._owners)
        self._orientation_ids = self._extension_ids(ORIENTATION)
        self._level_ids = self._extension_ids(AUDIO_LEVEL)
        return outputs + self._run(self._named(anchor), now)

    def attach(
        self, track: TrackKey, spec: AudioSpec | VideoSpec, now: float
    ) -> list[TrackOutput | Transmit]:
        """Cut this track from now on. An anchor or track that is not there is ignored."""
        cuts = [cut for one in self._named(track.anchor) for cut in one.attach(track, spec)]
        return [*cuts, *self._run(self._named(track.anchor), now)]

    def detach(self, track: TrackKey, now: float) -> list[TrackOutput | Transmit]:
        """Cut this track no longer; gives its last cut."""
        cuts = [cut for one in self._named(track.anchor) for cut in one.detach(track)]
        return [*cuts, *self._run(self._named(track.anchor), now)]

    def receive(self, datagrams: Sequence[bytes], now: float) -> list[TrackOutput | Transmit]:
        """Take datagrams as they arrived, RTP and RTCP mixed, decrypted."""
        touched: set[Receiver] = set()
        if datagrams:
            self._activity.note(now)
        for datagram in datagrams:
            if rtcp.is_rtcp(datagram):
                touched.update(self._receive_rtcp(datagram, now))
            elif (receiver := self._receive_rtp(datagram, now)) is not None:
                touched.add(receiver)
        return self._run(touched, now)

    def handle_timer(self, now: float) -> list[TrackOutput | Transmit]:
        """Do what has become due: packets in order, holes given up, silence, reports, requests."""
        return self._run((), now)

    def flush(self, _now: float) -> list[TrackOutput | Transmit]:
        """Give everything that can still be cut: the connection is over."""
        cuts: list[TrackOutput | Transmit] = []
        for receiver in self._receivers.values():
            cuts += receiver.flush()
            self._deadlines[receiver] = receiver.deadline()
        return cuts

    def deadline(self) -> float | None:
        """When to call `handle_timer` next."""
        return earliest((*self._deadlines.values(), self._transport.deadline()))

    def _extension_ids(self, uri: str) -> frozenset[int]:
        """The ids of a header extension in all sections."""
        return frozenset(
            number
            for stream in self._owners
            for number, what in stream.parameters.extensions.items()
            if what == uri
        )

    def _named(self, anchor: str) -> list[Receiver]:
        """The anchor's receiver, if it has one."""
        return [self._receivers[anchor]] if anchor in self._receivers else []

    def _take_mids(self, anchor: str, mids: Iterable[str]) -> list[TrackOutput | Transmit]:
        """Take the sections with these MIDs from every other anchor."""
        taken, outputs = set(mids), list[TrackOutput | Transmit]()
        for other in [*self._receivers.values()]:
            sections = [stream.parameters for stream in other.streams]
            left = [section for section in sections if section.mid not in taken]
            if other.anchor != anchor and len(left) < len(sections):
                outputs += self._replace(other.anchor, left)
        return outputs

    def _replace(self, anchor: str, sections: Sequence[RtpParameters]) -> list[TrackOutput]:
        if anchor not in self._receivers:
            if not sections:
                return []
            self._receivers[anchor] = Receiver(
                anchor, self._ssrc, self._transport, self._activity, self._requests_of
            )
        receiver = self._receivers[anchor]
        cuts = receiver.set_sections(sections)
        self._deadlines[receiver] = receiver.deadline()
        if not sections:
            del self._receivers[anchor], self._deadlines[receiver]
            self._counters.update(receiver.counters)
        return cuts

    def _receive_rtp(self, datagram: bytes, now: float) -> Receiver | None:
        """Insert a packet, unless it is of a layer that is not taken; gives the receiver."""
        try:
            packet = parse(datagram)
        except ValueError as malformed:
            self._counters[str(malformed)] += 1
            return None
        packet.arrival = now
        elements = extensions(packet.profile, packet.extension) if packet.extension else {}
        # Of the connection, so also where it has no stream: the sender would take it for lost.
        self._transport.arrived(elements, now)
        stream = self._demultiplexer.route(packet, elements)
        if stream is None:
            return None
        receiver = self._owners[stream]
        receiver.heard = now
        for number, value in elements.items():
            if value and number in self._orientation_ids:
                packet.orientation = value[0] & ORIENTATION_BITS
            if value and number in self._level_ids:
                packet.level = value[0] & LEVEL_BITS
        if stream.layers is not None and not stream.layers.receive(packet, elements):
            return None
        receiver.insert(stream, packet)
        return receiver

    def _receive_rtcp(self, compound: bytes, now: float) -> list[Receiver]:
        """Take a compound; gives the receivers it is about. Malformed and unknown are counted."""
        try:
            packets = rtcp.parse(compound)
        except ValueError:
            self._counters["malformed_rtcp"] += 1
            return []
        receivers, ssrcs = list[Receiver](), list[int]()
        for packet in packets:
            if isinstance(packet, SenderReport):
                ssrcs.append(packet.ssrc)
                receivers += (about := self._about(packet.ssrc))
                for receiver in about:
                    receiver.reported(packet, now)
            elif isinstance(packet, Bye):
                # It may be a mute only: RFC 3550 6.6 lets a source come back. Packets decide.
                self._counters["bye"] += 1
                ssrcs += packet.ssrcs
        if ssrcs and all(self._demultiplexer.find(ssrc) is None for ssrc in ssrcs):
            self._counters["unknown_ssrc"] += 1
        return receivers

    def _about(self, ssrc: int) -> list[Receiver]:
        """The receiver that has this source, if there is one."""
        stream = self._demultiplexer.find(ssrc)
        return [] if stream is None else [self._owners[stream]]

    def _run(self, touched: Iterable[Receiver], now: float) -> list[TrackOutput | Transmit]:
        """Run these receivers and those with something due; gives all their outputs."""
        touched, outputs = set(touched), list[TrackOutput | Transmit]()
        for receiver, deadline in self._deadlines.items():
            if receiver in touched or (deadline is not None and deadline <= now):
                outputs += receiver.handle_timer(now)
                self._deadlines[receiver] = receiver.deadline()
        return outputs + self._transport_feedback(now)

    def _transport_feedback(self, now: float) -> list[TrackOutput | Transmit]:
        """Feedback that is due and went along with no receiver's compound: it goes alone."""
        due = self._transport.deadline()
        if due is None or due > now:
            return []
        sources = (receiver.media_ssrc for receiver in self._receivers.values())
        media_ssrc = next((ssrc for ssrc in sources if ssrc), 0)
        feedbacks = self._transport.handle_timer(media_ssrc, now)
        head = ReceiverReport(self._ssrc, ())
        return [Transmit(rtcp.build([head, *feedbacks]))] if feedbacks else []
