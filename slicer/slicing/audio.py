"""The audio cutter: packets in order become slices of exactly N seconds of media time.

Theory of operation. The slice that is open covers [start, end) of media time, and holds the packets
that cover it. Three positions tell everything: `start` and `end` of the slice, and `next`, the end
of the last packet taken.

    a packet that reaches `end`              cut at `end`; the next slice is open at once
    a hole of up to HOLE seconds             stays inside the slice; whoever makes the file fills it
    a longer hole, or a new epoch            cut at `next`; the next slice begins with this packet
    no packet for ABANDONED seconds          the same, by the timer

Media time cuts. *now* only closes what the media has abandoned: arrival trembles with the network,
and a slice cut by it would not have its exact length. The ABANDONED seconds count while other media
of the connection is heard. Where nothing at all comes, the path may be held up, and the slice waits
HELD_UP seconds for its packets.

When a slice began is read before it is cut: clocks drift, and the mapping at an hour's end is not
that of its beginning (0.7 s at 200 ppm). It is read once a report has settled the slice's first
SETTLING seconds.

A cut keeps the packets of its last PREROLL seconds: the next slice needs them, because an Opus
decoder that starts in the middle of a stream takes that long to give the same samples.
"""

from collections import Counter

from slicer.rtp.codecs import AUDIO
from slicer.rtp.mapping import TimestampMapper
from slicer.rtp.parameters import OPUS, Codec
from slicer.rtp.stream import Ordered
from slicer.slicing.activity import Activity
from slicer.slicing.outputs import AudioCut, AudioPacket, TrackKey
from slicer.slicing.spec import AudioSpec

HOLE = 2.0
# Longer than HOLE and the wait for retransmissions together: where packets still come, media time
# decides, and not the timer.
ABANDONED = 3.0
# As long as a peer's consent lasts (RFC 7675 5.1): after that a WebRTC connection is over.
HELD_UP = 30.0
# Long enough for the path's least delay to be found; 200 ppm make 4 ms of it.
SETTLING = 20
# Packets before the cut, for a decoder to settle. RFC 7845 4.6 asks for at least 80 ms; that leaves
# CELT as little as 22 dB in the first 20 ms after a cut, 120 ms 35 dB, 160 ms 51 dB (measured).
PREROLL = 0.16
# An hour at 70 kbit/s. PACKET_OVERHEAD: what a packet takes in memory beside its payload.
MAX_SLICE_BYTES = 64 << 20
PACKET_OVERHEAD = 150
# Below all levels: a packet that does not tell its own may be as loud as can be.
NO_LEVEL = -1
SILENCE = 127


class AudioCutter:
    """Cuts one track."""

    def __init__(
        self, track: TrackKey, spec: AudioSpec, activity: Activity, counters: Counter[str]
    ) -> None:
        self.track = track
        self.spec = spec
        self.counters = counters
        self._activity = activity
        self._epoch = -1
        self._codec: Codec = OPUS
        self._mapper: TimestampMapper
        self._open = False
        self._packets: list[AudioPacket] = []
        self._bytes = 0
        self._start = self._end = self._next = self._settles_at = 0
        self._began: float | None = None  # of the open slice, once it is known well
        self._last_arrival = self._looks_at = 0.0
        self._level = self._loudest = NO_LEVEL  # of the last packet; of the open slice

    def receive(self, ordered: Ordered) -> list[AudioCut]:
        """Take the next packet."""
        packet = ordered.packet
        if not packet.payload:  # padding alone
            return []
        try:
            duration = AUDIO[ordered.codec.name].duration(packet.payload)
        except ValueError:
            self.counters["malformed_payload"] += 1
            return []
        cuts = self._continue(ordered)
        timestamp = packet.timestamp
        if timestamp != self._next:
            timestamp = self._placed(timestamp, duration)
            if timestamp < self._next:
                self.counters["overlap"] += 1
                return cuts
        if not self._open:
            self._begin(timestamp)
        self._packets.append(AudioPacket(timestamp, duration, packet.payload))
        self._bytes += len(packet.payload) + PACKET_OVERHEAD
        self._next = timestamp + duration
        self._level = NO_LEVEL if packet.level is None else packet.level
        self._loudest = min(self._loudest, self._level)
        if self._began is None and self._mapper.settled >= self._settles_at:
            self._began = self._mapper.at(self._start)
        self._last_arrival = packet.arrival
        self._looks_at = packet.arrival + ABANDONED
        if self._next < self._end and self._bytes <= MAX_SLICE_BYTES:
            return cuts
        return cuts + self._cut_full()

    def handle_timer(self, now: float) -> list[AudioCut]:
        """End the slice of a track that has been silent for longer than a hole may be."""
        if not self._open or now < self._looks_at:
            return []
        since = self._last_arrival
        if now - since >= HELD_UP or self._activity.silent(since, now) >= ABANDONED:
            return self.flush()
        self._looks_at = min(now + ABANDONED, since + HELD_UP)
        return []

    def flush(self) -> list[AudioCut]:
        """End the slice where its audio ends."""
        if not self._open:
            return []
        cuts = self._cut(self._next) if self._next > self._start else []
        self._open, self._packets, self._bytes = False, [], 0
        return cuts

    def deadline(self) -> float | None:
        """When to see whether silence ends the slice."""
        return self._looks_at if self._open else None

    def _continue(self, ordered: Ordered) -> list[AudioCut]:
        """End the slice where this packet cannot be part of it."""
        if ordered.epoch != self._epoch:
            cuts = self.flush()
            self._codec, self._epoch, self._mapper = ordered.codec, ordered.epoch, ordered.mapper
            self._next = ordered.packet.timestamp
            return cuts
        hole = ordered.packet.timestamp - self._next
        return self.flush() if hole > HOLE * self._codec.clock_rate else []

    def _placed(self, timestamp: int, duration: int) -> int:
        """The media time of a packet that does not begin where the last one ended.

        Holes are filled in whole granules, and packets must not overlap. So a packet whose
        timestamp is a little off moves to the nearest place that fits. One that begins more than
        half its length too early stays where it is, and the caller drops it.
        """
        gap = timestamp - self._next
        odd = gap % AUDIO[self._codec.name].granule if gap > 0 else 0
        if odd or -duration // 2 <= gap < 0:
            self.counters["moved_into_place"] += 1
        return max(timestamp - odd, self._next) if gap >= -duration // 2 else timestamp

    def _begin(self, start: int) -> None:
        self._open, self._began = True, None
        self._settles_at = start + SETTLING * self._codec.clock_rate
        self._start, self._end = start, start + self.spec.seconds * self._codec.clock_rate
        self._loudest = self._level if self._next > start else SILENCE  # a packet across the cut

    def _cut_full(self) -> list[AudioCut]:
        cuts = []
        while self._next >= self._end:
            cuts += self._cut(self._end)
        if self._bytes > MAX_SLICE_BYTES:
            self.counters["slice_full"] += 1
            cuts += self._cut(self._next)
        return cuts

    def _cut(self, end: int) -> list[AudioCut]:
        """Cut at *end*; what the next slice needs of these packets is kept. No audio, no slice."""
        start, began, packets = self._start, self._began, self._packets
        level = None if self._loudest == NO_LEVEL else self._loudest
        covering = tuple(packet for packet in packets if packet.timestamp < end)
        keep_from = end - int(PREROLL * self._codec.clock_rate)
        self._packets = [p for p in packets if p.timestamp + p.duration > keep_from]
        self._bytes = sum(len(packet.payload) + PACKET_OVERHEAD for packet in self._packets)
        self._begin(end)
        if not covering or covering[-1].timestamp + covering[-1].duration <= start:
            return []
        if began is None:
            began = self._mapper.at(start)
        return [
            AudioCut(self.track, self._codec, start, end, covering, began, self._epoch, level=level)
        ]
