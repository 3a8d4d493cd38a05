"""One stream and all tasks that cut it: the tasks of one room share one anchor's packets.

Audio and video tracks have the same verbs. While no task needs its packets, the stream sleeps.

A source is asked for keyframes once for all of its tasks: while the interval since the last request
is not over, a grabber that needs one waits, and may be given what another one asked for, perhaps on
another connection to the same source. Where no keyframe begins here within ANSWER of a request of
another connection, or we had to ask after it twice, its keyframes are not ours (there is an encoder
for each viewer, or a layer of simulcast for each height): for ALONE this track asks by itself. So
no task starves by what another one does. Of layers of simulcast and of SVC, the tasks of one track
share one: the one that is enough for all.
"""

import math
from collections.abc import Iterable

from slicer.rtp.codecs import video_format
from slicer.rtp.codecs.frame import Frame, VideoDepacketizer
from slicer.rtp.packet import Packet
from slicer.rtp.parameters import Codec
from slicer.rtp.stream import Ordered, Stream
from slicer.slicing.activity import Activity
from slicer.slicing.audio import AudioCutter
from slicer.slicing.keyframe_requests import KeyframeRequests
from slicer.slicing.outputs import Missing, TrackKey, TrackOutput
from slicer.slicing.report_wait import ReportWait
from slicer.slicing.spec import AudioSpec, VideoSpec
from slicer.slicing.video import FrameGrabber

ALONE = 600.0
"""Seconds that a track asks by itself, once another connection's request was no good to it."""


def earliest(deadlines: Iterable[float | None]) -> float | None:
    """The first of several deadlines, some of which are none."""
    return min((deadline for deadline in deadlines if deadline is not None), default=None)


class AudioTrack:
    """One audio stream and its cutters."""

    def __init__(self, stream: Stream, activity: Activity) -> None:
        self.stream = stream
        self._activity = activity
        self._cutters: dict[TrackKey, AudioCutter] = {}
        self._wait = ReportWait(stream)
        stream.doze()

    @property
    def attached(self) -> list[tuple[TrackKey, AudioSpec]]:
        """The tasks' tracks, each with its spec."""
        return [(track, cutter.spec) for track, cutter in self._cutters.items()]

    def attach(self, track: TrackKey, spec: AudioSpec | VideoSpec) -> None:
        """Cut for this task from the next packet on."""
        assert isinstance(spec, AudioSpec)
        self._cutters[track] = AudioCutter(track, spec, self._activity, self.stream.counters)
        self.stream.wake()

    def detach(self, track: TrackKey) -> list[TrackOutput]:
        """Cut no longer; gives the last, shorter slice."""
        if track not in self._cutters:
            return []
        last = len(self._cutters) == 1
        if last:
            self._cut(self.stream.flush(), 0.0)
        self._wait.add(self._cutters.pop(track).flush(), 0.0, 0.0)
        cuts = self._wait.flush(track)
        if last:
            self.stream.doze()
        return cuts

    def receive(self, now: float) -> list[TrackOutput]:
        """Cut what the stream has put in order by now, and what silence has ended; gives the cuts
        that wait no longer."""
        self._cut(self.stream.drain(now), now)
        for cutter in self._cutters.values():
            self._wait.add(cutter.handle_timer(now), cutter.spec.waits, now)
        return self._wait.release(now)

    def flush(self) -> list[TrackOutput]:
        """Give everything that can still be cut: the connection is over."""
        self._cut(self.stream.flush(), 0.0)
        for cutter in self._cutters.values():
            self._wait.add(cutter.flush(), 0.0, 0.0)
        return self._wait.flush()

    def deadline(self) -> float | None:
        """When to see whether silence ends a slice, or a wait for a report is over."""
        silences = (cutter.deadline() for cutter in self._cutters.values())
        return earliest((*silences, self._wait.deadline()))

    def wants_keyframe(self, _now: float) -> bool:
        """Audio has none."""
        return False

    def _cut(self, packets: list[Ordered], now: float) -> None:
        for packet in packets:
            for cutter in self._cutters.values():
                if cuts := cutter.receive(packet):
                    self._wait.add(cuts, cutter.spec.waits, now)


class VideoTrack:
    """One video stream, its depacketizer and its grabbers. *requests*: those to its source, by
    whichever connection."""

    def __init__(self, stream: Stream, requests: KeyframeRequests) -> None:
        self.stream = stream
        self._shared = self._requests = requests
        self._own, self._alone_until = KeyframeRequests(), -math.inf
        self._can_ask = bool(stream.parameters.feedback & {"nack pli", "ccm fir"})
        self._grabbers: dict[TrackKey, FrameGrabber] = {}
        self._wait = ReportWait(stream)
        self._codec: Codec | None = None
        self._depacketizer: VideoDepacketizer | None = None
        self._height = 0  # that is enough for every task; 0: all there is
        self._decodable = False
        self._missing = Missing.KEYFRAME
        self._orientation = 0
        self._epoch = -1
        stream.doze()

    @property
    def attached(self) -> list[tuple[TrackKey, VideoSpec]]:
        """The tasks' tracks, each with its spec."""
        return [(track, grabber.spec) for track, grabber in self._grabbers.items()]

    def attach(self, track: TrackKey, spec: AudioSpec | VideoSpec) -> None:
        """Take pictures for this task from the next packet on."""
        assert isinstance(spec, VideoSpec)
        counters = self.stream.counters
        can_ask = self._can_ask and spec.asks_every < math.inf
        self._grabbers[track] = FrameGrabber(track, spec, can_ask, counters)
        self._choose_layer()
        self.stream.wake()

    def detach(self, track: TrackKey) -> list[TrackOutput]:
        """Take no more pictures; one that is still due is not taken."""
        self._grabbers.pop(track, None)
        self._choose_layer()
        self._rest()
        return self._wait.flush(track)

    def receive(self, now: float) -> list[TrackOutput]:
        """Grab from what the stream has put in order by now; gives the cuts that wait no longer,
        and says where a picture is overdue. Silence makes none, and none is missed then."""
        if self._grab(self.stream.drain(now), now):
            self._rest()
        reason = self._missing
        missing = [output for one in self._grabbers.values() for output in one.missing(reason)]
        return [*self._wait.release(now), *missing]

    def flush(self) -> list[TrackOutput]:
        """Give the pictures in the packets still held: the connection is over."""
        self._grab(self.stream.flush(), 0.0)
        return self._wait.flush()

    def deadline(self) -> float | None:
        """When to ask for a keyframe, or a wait for a report is over."""
        asking = earliest(grabber.deadline() for grabber in self._grabbers.values())
        if asking is not None:
            asking = max(asking, self._requests.last + self._interval())
        return earliest((asking, self._wait.deadline()))

    def wants_keyframe(self, now: float) -> bool:
        """Whether any grabber asks now, and may."""
        grabbers = self._grabbers.values()
        if sum(grabber.forsaken() for grabber in grabbers):  # each is asked, and says it once
            self._requests, self._alone_until = self._own, now + ALONE
        elif now >= self._alone_until:
            self._requests = self._shared
        interval, last = self._interval(), self._requests.last
        if now < last + interval:
            if last != self._own.last:
                for grabber in grabbers:
                    grabber.borrow(last, now)
            return False
        asking = [grabber for grabber in grabbers if grabber.wants_keyframe(now)]
        if not asking or not self._requests.claim(now, interval):
            return False
        self._own.last = now
        return True

    def _interval(self) -> float:
        """Seconds from one request to the next: as long as any task wants them to be."""
        every = (grabber.spec.asks_every for grabber in self._grabbers.values())
        return max((one for one in every if one < math.inf), default=0.0)

    def _choose_layer(self) -> None:
        """Have the layer taken that is high enough for every task; without tasks, as before."""
        heights = [grabber.spec.max_height or 0 for grabber in self._grabbers.values()]
        if not heights:
            return
        self._height = max(heights) if all(heights) else 0
        for layered in (self.stream.layers, self._depacketizer):
            if layered is not None:
                layered.height = self._height

    def _rest(self) -> None:
        """Sleep until the first grabber needs packets again."""
        until = [grabber.wakes_at for grabber in self._grabbers.values()]
        if None not in until:
            self.stream.doze(min((at for at in until if at is not None), default=float("inf")))
            self._decodable = False

    def _grab(self, packets: list[Ordered], now: float) -> bool:
        """Whether a grabber may have fallen asleep: there was a picture, or a keyframe began."""
        grabbed = False
        for ordered in packets:
            grabbed |= self._observe(ordered)
            frame = self._assemble(ordered)
            if frame is None:
                continue
            if frame.keyframe:
                self._decodable, self._missing = True, Missing.KEYFRAME
            for grabber in self._grabbers.values():
                if cuts := grabber.receive(frame, self._decodable, ordered):
                    self._wait.add(cuts, grabber.spec.waits, now)
                    grabbed = True
            # A frame that ended before a hole says nothing about what comes after the hole.
            if not ordered.contiguous and frame.timestamp != ordered.packet.timestamp:
                self._decodable = False
        return grabbed

    def _observe(self, ordered: Ordered) -> bool:
        """Whether a keyframe began."""
        packet = ordered.packet
        starts = video_format(ordered.codec).starts_keyframe(packet.payload)
        for grabber in self._grabbers.values():
            grabber.observe(packet.timestamp, ordered.epoch, ordered.contiguous, packet.arrival)
            if starts:
                grabber.keyframe_began(packet.timestamp, packet.arrival)
        if starts and self._missing is Missing.KEYFRAME:
            self._missing = Missing.WHOLE_KEYFRAME
        return starts

    def _assemble(self, ordered: Ordered) -> Frame | None:
        """The frame this packet completes, if any."""
        packet = ordered.packet
        if ordered.codec is not self._codec or self._depacketizer is None:
            self._codec = ordered.codec
            self._depacketizer = video_format(ordered.codec).depacketizer(ordered.codec)
            self._depacketizer.height = self._height
        fresh, self._epoch = ordered.epoch != self._epoch, ordered.epoch
        try:
            frame = self._depacketizer.push(
                packet.payload, packet.timestamp, packet.marker, ordered.contiguous
            )
        except ValueError:
            self._refuse(video_format(ordered.codec).unsupported(packet.payload))
            frame = None
        before = frame is not None and frame.timestamp != packet.timestamp
        if not ordered.contiguous and not before:
            self._decodable = False
        orientation = self._note_orientation(packet, fresh)
        if frame is None or (before and fresh):
            # A frame of the last epoch has no place in this one's media time.
            return None
        if frame.bare:
            self.stream.counters["no_parameter_sets"] += 1
            self._decodable, self._missing = False, Missing.PARAMETER_SETS
            return None
        frame.orientation = orientation if before else self._orientation
        return frame

    def _refuse(self, unsupported: bool) -> None:
        """A payload that cannot be read."""
        self._decodable = False
        if unsupported:
            self.stream.counters["unsupported_payload"] += 1
            self._missing = Missing.PACKETIZATION
        else:
            self.stream.counters["malformed_payload"] += 1

    def _note_orientation(self, packet: Packet, fresh: bool) -> int:
        """Note the orientation that a packet tells; gives the one before. A sender need not repeat
        what has not changed (3GPP TS 26.114 7.4.5)."""
        before = self._orientation
        if fresh:
            self._orientation = 0
        if packet.orientation is not None:
            self._orientation = packet.orientation
        return before


Track = AudioTrack | VideoTrack
