"""One stream and all tasks that cut it: the tasks of one room share one anchor's packets.

Audio and video tracks have the same verbs. While no task needs its packets, the stream sleeps.
"""

from collections.abc import Iterable

from slicer.rtp.codecs import video_format
from slicer.rtp.codecs.frame import Frame, VideoDepacketizer
from slicer.rtp.parameters import Codec
from slicer.rtp.stream import Ordered, Stream
from slicer.slicing.activity import Activity
from slicer.slicing.audio import AudioCutter
from slicer.slicing.outputs import Cut, TrackKey
from slicer.slicing.spec import AudioSpec, VideoSpec
from slicer.slicing.video import FrameGrabber


def earliest(deadlines: Iterable[float | None]) -> float | None:
    """The first of several deadlines, some of which are none."""
    return min((deadline for deadline in deadlines if deadline is not None), default=None)


class AudioTrack:
    """One audio stream and its cutters."""

    def __init__(self, stream: Stream, activity: Activity) -> None:
        self.stream = stream
        self._activity = activity
        self._cutters: dict[TrackKey, AudioCutter] = {}
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

    def detach(self, track: TrackKey) -> list[Cut]:
        """Cut no longer; gives the last, shorter slice."""
        if track not in self._cutters:
            return []
        last = len(self._cutters) == 1
        cuts = self._cut(self.stream.flush()) if last else []
        cuts += self._cutters.pop(track).flush()
        if last:
            self.stream.doze()
        return cuts

    def receive(self, now: float) -> list[Cut]:
        """Cut what the stream has put in order by now."""
        return self._cut(self.stream.drain(now))

    def handle_timer(self, now: float) -> list[Cut]:
        """Give the cuts of slices that silence has ended."""
        return [cut for cutter in self._cutters.values() for cut in cutter.handle_timer(now)]

    def flush(self) -> list[Cut]:
        """Give everything that can still be cut: the connection is over."""
        cuts = self._cut(self.stream.flush())
        return cuts + [cut for cutter in self._cutters.values() for cut in cutter.flush()]

    def deadline(self) -> float | None:
        """When to see whether silence ends a slice."""
        return earliest(cutter.deadline() for cutter in self._cutters.values())

    def wants_keyframe(self, _now: float) -> bool:
        """Audio has none."""
        return False

    def _cut(self, packets: list[Ordered]) -> list[Cut]:
        cutters = self._cutters.values()
        return [cut for packet in packets for cutter in cutters for cut in cutter.receive(packet)]


class VideoTrack:
    """One video stream, its depacketizer and its grabbers."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._can_ask = bool(stream.parameters.feedback & {"nack pli", "ccm fir"})
        self._grabbers: dict[TrackKey, FrameGrabber] = {}
        self._codec: Codec | None = None
        self._depacketizer: VideoDepacketizer | None = None
        self._decodable = False
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
        self._grabbers[track] = FrameGrabber(track, spec, self._can_ask, counters)
        self.stream.wake()

    def detach(self, track: TrackKey) -> list[Cut]:
        """Take no more pictures; one that is still due is not taken."""
        self._grabbers.pop(track, None)
        self._rest()
        return []

    def receive(self, now: float) -> list[Cut]:
        """Grab from what the stream has put in order by now."""
        cuts = self._grab(self.stream.drain(now))
        if cuts:
            self._rest()
        return cuts

    def handle_timer(self, _now: float) -> list[Cut]:
        """Nothing: silence makes no picture."""
        return []

    def flush(self) -> list[Cut]:
        """Give the pictures in the packets still held: the connection is over."""
        return self._grab(self.stream.flush())

    def deadline(self) -> float | None:
        """When to ask for a keyframe."""
        return earliest(grabber.deadline() for grabber in self._grabbers.values())

    def wants_keyframe(self, now: float) -> bool:
        """Whether any grabber asks now."""
        asking = [grabber for grabber in self._grabbers.values() if grabber.wants_keyframe(now)]
        return bool(asking)

    def _rest(self) -> None:
        """Sleep until the first grabber needs packets again."""
        until = [grabber.wakes_at for grabber in self._grabbers.values()]
        if None not in until:
            self.stream.doze(min((at for at in until if at is not None), default=float("inf")))
            self._decodable = False

    def _grab(self, packets: list[Ordered]) -> list[Cut]:
        cuts: list[Cut] = []
        for ordered in packets:
            self._observe(ordered)
            frame = self._assemble(ordered)
            if frame is None:
                continue
            self._decodable = self._decodable or frame.keyframe
            for grabber in self._grabbers.values():
                cuts += grabber.receive(frame, self._decodable, ordered)
            # A frame that ended before a hole says nothing about what comes after the hole.
            if not ordered.contiguous and frame.timestamp != ordered.packet.timestamp:
                self._decodable = False
        return cuts

    def _observe(self, ordered: Ordered) -> None:
        packet = ordered.packet
        starts = video_format(ordered.codec).starts_keyframe(packet.payload)
        for grabber in self._grabbers.values():
            grabber.observe(packet.timestamp, ordered.epoch, packet.arrival)
            if starts:
                grabber.keyframe_began(packet.arrival)

    def _assemble(self, ordered: Ordered) -> Frame | None:
        """The frame this packet completes, if any."""
        packet = ordered.packet
        if ordered.codec is not self._codec or self._depacketizer is None:
            self._codec = ordered.codec
            self._depacketizer = video_format(ordered.codec).depacketizer(ordered.codec)
        fresh, self._epoch = ordered.epoch != self._epoch, ordered.epoch
        try:
            frame = self._depacketizer.push(
                packet.payload, packet.timestamp, packet.marker, ordered.contiguous
            )
        except ValueError:
            self.stream.counters["malformed_payload"] += 1
            frame, self._decodable = None, False
        before = frame is not None and frame.timestamp != packet.timestamp
        if not ordered.contiguous and not before:
            self._decodable = False
        # A frame of the last epoch has no place in this one's media time.
        return None if before and fresh else frame


Track = AudioTrack | VideoTrack
