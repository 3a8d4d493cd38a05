"""All media of one connection: datagrams in, cuts out, and the RTCP that keeps them coming.

    receive: demultiplex → Reporter | Stream.insert;  then Track.receive: order → cutter | grabber

This is the reference of what the native plane does: the same calls, the same cuts and counters.
"""

from collections import Counter
from collections.abc import Sequence

from slicer.rtp.codecs import AUDIO, VIDEO
from slicer.rtp.mapping import SenderClock
from slicer.rtp.packet import parse
from slicer.rtp.parameters import Kind, RtpParameters
from slicer.rtp.rtcp import is_rtcp
from slicer.rtp.rtcp.reporter import Reporter
from slicer.rtp.stream import Stream
from slicer.slicing.outputs import Cut, TrackKey, Transmit
from slicer.slicing.spec import AudioSpec, VideoSpec
from slicer.slicing.track import AudioTrack, Track, VideoTrack, earliest


class Receiver:
    """The receiving end of one anchor's connection.

    *streams*: what was negotiated, one for each m-line; *ssrc*: our own, in RTCP. Where a kind has
    several streams, the first one is cut.
    """

    def __init__(self, anchor: str, streams: Sequence[RtpParameters], ssrc: int) -> None:
        self.anchor = anchor
        sender = SenderClock()
        self._streams = [Stream(parameters, sender) for parameters in streams]
        self._by_payload_type = {
            payload_type: stream
            for stream in reversed(self._streams)
            for payload_type in _readable(stream.parameters)
        }
        self._tracks: dict[Kind, Track] = {}
        for stream in self._streams:
            kind = stream.parameters.kind
            if kind in self._tracks:
                stream.doze()
            else:
                self._tracks[kind] = (
                    AudioTrack(stream) if kind is Kind.AUDIO else VideoTrack(stream)
                )
        self._reporter = Reporter(ssrc, self._streams, f"slicer-{ssrc:08x}")
        self._refused: Counter[str] = Counter()

    @property
    def counters(self) -> Counter[str]:
        """What was refused, lost or odd, by reason, over all streams."""
        total = self._refused + self._reporter.counters
        for stream in self._streams:
            total += stream.counters
        return total

    def attach(
        self, track: TrackKey, spec: AudioSpec | VideoSpec, now: float
    ) -> list[Cut | Transmit]:
        """Cut this track from now on. A kind the anchor does not send is ignored."""
        cuts: list[Cut | Transmit] = []
        if track.kind in self._tracks:
            cuts += self._tracks[track.kind].detach(track)  # where it was cut already: begin anew
            self._tracks[track.kind].attach(track, spec)
        return cuts + self.handle_timer(now)

    def detach(self, track: TrackKey, now: float) -> list[Cut | Transmit]:
        """Cut this track no longer; gives its last cut."""
        if track.kind not in self._tracks:
            return []
        cuts: list[Cut | Transmit] = [*self._tracks[track.kind].detach(track)]
        return cuts + self.handle_timer(now)

    def receive(self, datagrams: Sequence[bytes], now: float) -> list[Cut | Transmit]:
        """Take datagrams as they arrived, RTP and RTCP mixed, decrypted."""
        for datagram in datagrams:
            if is_rtcp(datagram):
                self._reporter.receive(datagram, now)
                continue
            try:
                packet = parse(datagram)
            except ValueError as malformed:
                self._refused[str(malformed)] += 1
                continue
            stream = self._by_payload_type.get(packet.payload_type)
            if stream is None:
                self._refused["unknown_payload_type"] += 1
                continue
            packet.arrival = now
            self._reporter.arrived(packet)
            stream.insert(packet)
        return self.handle_timer(now)

    def handle_timer(self, now: float) -> list[Cut | Transmit]:
        """What has become due: packets in order, holes given up, silence, reports, requests."""
        outputs: list[Cut | Transmit] = []
        asking = []
        for track in self._tracks.values():
            outputs += track.receive(now)
            outputs += track.handle_timer(now)
            if track.wants_keyframe(now):
                asking.append(track.stream)
        return outputs + [Transmit(data) for data in self._reporter.handle_timer(asking, now)]

    def flush(self, _now: float) -> list[Cut | Transmit]:
        """Everything that can still be cut: the connection is over."""
        return [cut for track in self._tracks.values() for cut in track.flush()]

    def deadline(self) -> float | None:
        """When to call `handle_timer` next."""
        streams = (stream.deadline() for stream in self._streams)
        tracks = (track.deadline() for track in self._tracks.values())
        return earliest((*streams, *tracks, self._reporter.deadline()))


def _readable(parameters: RtpParameters) -> list[int]:
    """The payload types of codecs that are in our tables, and of what repeats them."""
    table = AUDIO if parameters.kind is Kind.AUDIO else VIDEO
    codecs = [number for number, codec in parameters.codecs.items() if codec.name in table]
    return codecs + [number for number, original in parameters.rtx.items() if original in codecs]
