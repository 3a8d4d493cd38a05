"""One anchor's media: packets of its streams in, cuts out, and the RTCP that keeps them coming.

    insert: Reporter, Stream.insert;  handle_timer: Track.receive: order → cutter | grabber

Sections may come and go at any time. Of each slot (kind and role) the first stream is cut; the
others sleep.
"""

from collections import Counter
from collections.abc import Sequence

from slicer.rtp.mapping import SenderClock
from slicer.rtp.packet import Packet
from slicer.rtp.parameters import Kind, RtpParameters, Slot
from slicer.rtp.rtcp.reporter import Reporter
from slicer.rtp.rtcp.reports import SenderReport
from slicer.rtp.rtcp.transport_reporter import TransportReporter
from slicer.rtp.stream import Stream
from slicer.slicing.activity import Activity
from slicer.slicing.keyframe_requests import KeyframeRequests, RequestsOf
from slicer.slicing.outputs import TrackKey, TrackOutput, Transmit
from slicer.slicing.spec import AudioSpec, VideoSpec
from slicer.slicing.track import AudioTrack, Track, VideoTrack, earliest


class Receiver:
    """The receiving end of one anchor. *ssrc*: ours; the others are the connection's."""

    def __init__(
        self,
        anchor: str,
        ssrc: int,
        transport: TransportReporter,
        activity: Activity,
        requests_of: RequestsOf | None,
    ) -> None:
        self.anchor = anchor
        self.streams: list[Stream] = []
        self.heard = float("-inf")  # when a packet of any of them last came
        self._activity, self._requests_of = activity, requests_of
        self._sender = SenderClock()
        self._tracks: dict[Slot, Track] = {}
        self._epochs: dict[Slot, int] = {}  # of the last track of a slot that has ended
        self._reporter = Reporter(ssrc, self.streams, f"slicer-{ssrc:08x}", transport)
        self._ended: Counter[str] = Counter()

    @property
    def counters(self) -> Counter[str]:
        """What was refused, lost or odd, by reason, over all streams there were."""
        total = self._ended.copy()
        total.update(self._reporter.counters)
        for stream in self.streams:
            total.update(stream.counters)
        return total

    @property
    def media_ssrc(self) -> int:
        """The SSRC of the first stream that has a source; 0 where none has."""
        return self._reporter.media_ssrc

    def set_sections(self, sections: Sequence[RtpParameters]) -> list[TrackOutput]:
        """Replace what is sent; gives the last cuts of streams that are cut no longer.

        Where a slot is still sent, but in another section, the tasks attached to it go on with that
        section, in a later epoch.
        """
        rest = list(self.streams)
        self.streams = [self._stream(parameters, rest) for parameters in sections]
        firsts: dict[Slot, Stream] = {}
        for stream in self.streams:
            firsts.setdefault(stream.parameters.slot, stream)
        cuts = self._replace_tracks(firsts)
        for stream in self.streams:
            if not stream.asleep and firsts[stream.parameters.slot] is not stream:
                stream.doze()
        for stream in rest:
            self._sender.end(stream)
            self._ended.update(stream.counters)
        self._reporter.streams = self.streams
        return cuts

    def attach(self, track: TrackKey, spec: AudioSpec | VideoSpec) -> list[TrackOutput]:
        """Cut this track from now on. What the anchor does not send is ignored."""
        if track.slot not in self._tracks:
            return []
        cuts = self._tracks[track.slot].detach(track)  # if it is attached already, it begins anew
        self._tracks[track.slot].attach(track, spec)
        return cuts

    def detach(self, track: TrackKey) -> list[TrackOutput]:
        """Cut this track no longer; gives its last cut."""
        return self._tracks[track.slot].detach(track) if track.slot in self._tracks else []

    def insert(self, stream: Stream, packet: Packet) -> None:
        """Take a packet of one of the streams, its arrival set."""
        self._reporter.arrived(packet)
        stream.insert(packet)

    def reported(self, report: SenderReport, now: float) -> None:
        """Take the peer's report of a source."""
        self._reporter.receive(report, now)

    def handle_timer(self, now: float) -> list[TrackOutput | Transmit]:
        """Do what has become due: packets in order, holes given up, silence, reports, requests."""
        outputs: list[TrackOutput | Transmit] = []
        asking = []
        for track in self._tracks.values():
            outputs += track.receive(now)
            if track.wants_keyframe(now):
                asking.append(track.stream)
        return outputs + [Transmit(data) for data in self._reporter.handle_timer(asking, now)]

    def flush(self) -> list[TrackOutput]:
        """Give everything that can still be cut."""
        return [cut for track in self._tracks.values() for cut in track.flush()]

    def deadline(self) -> float | None:
        """When to call `handle_timer` next."""
        streams = (stream.deadline() for stream in self.streams)
        tracks = (track.deadline() for track in self._tracks.values())
        return earliest((*streams, *tracks, self._reporter.deadline()))

    def _stream(self, parameters: RtpParameters, rest: list[Stream]) -> Stream:
        """The stream with these parameters, taken out of *rest*, or a new one."""
        for stream in rest:
            if stream.parameters == parameters:
                rest.remove(stream)
                return stream
        return Stream(parameters, self._sender)

    def _replace_tracks(self, firsts: dict[Slot, Stream]) -> list[TrackOutput]:
        before, cuts = self._tracks, list[TrackOutput]()
        for slot, track in before.items():
            if firsts.get(slot) is not track.stream:
                cuts += track.flush()
                self._epochs[slot] = track.stream.epoch
                track.stream.doze()
        self._tracks = {
            slot: self._track(stream, before.get(slot)) for slot, stream in firsts.items()
        }
        return cuts

    def _track(self, stream: Stream, before: Track | None) -> Track:
        """This stream's track, with everything that was attached to the last track of its slot."""
        if before is not None and before.stream is stream:
            return before
        slot = stream.parameters.slot
        audio = slot[0] is Kind.AUDIO
        track = AudioTrack(stream, self._activity) if audio else self._video_track(stream)
        if slot in self._epochs:
            stream.epoch = max(stream.epoch, self._epochs[slot] + 1)
        for key, spec in before.attached if before is not None else ():
            track.attach(key, spec)
        return track

    def _video_track(self, stream: Stream) -> VideoTrack:
        if self._requests_of is None:
            return VideoTrack(stream, KeyframeRequests())
        return VideoTrack(stream, self._requests_of(self.anchor, stream.parameters.slot))
