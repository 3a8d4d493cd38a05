"""The audio cutter: packets in order become slices of exactly N seconds of media time.

Media time cuts. A hole of up to HOLE seconds stays inside its slice (the file's maker fills it);
a longer one, or a new epoch, ends the slice there, and the next begins where sound comes back.
*now* only closes what the media has abandoned.
"""

from collections import Counter

from slicer.rtp.codecs import AUDIO
from slicer.rtp.mapping import TimestampMapper
from slicer.rtp.parameters import Codec
from slicer.rtp.stream import Ordered
from slicer.slicing.outputs import AudioCut, AudioPacket, TrackKey
from slicer.slicing.spec import AudioSpec

HOLE = 2.0
# Packets before the cut, for a decoder to settle. RFC 7845 4.6 asks for at least 80 ms; that leaves
# CELT as little as 22 dB in the first 20 ms after a cut, 120 ms 35 dB, 160 ms 51 dB (measured).
PREROLL = 0.16
MAX_SLICE_BYTES = 32 << 20


class AudioCutter:
    """Cuts one track."""

    def __init__(self, track: TrackKey, spec: AudioSpec, counters: Counter[str]) -> None:
        self.track = track
        self.counters = counters
        self._seconds = spec.seconds
        self._epoch = -1
        self._codec: Codec | None = None
        self._mapper: TimestampMapper
        self._packets: list[AudioPacket] = []
        self._bytes = 0
        self._start = self._next = 0
        self._heard = 0.0

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
        cuts = self._continue(ordered, packet.timestamp, duration)
        if self._codec is None:
            self._begin(ordered)
        elif packet.timestamp < self._next:
            self.counters["overlap"] += 1
            return cuts
        self._packets.append(AudioPacket(packet.timestamp, duration, packet.payload))
        self._bytes += len(packet.payload)
        self._next = packet.timestamp + duration
        self._heard = packet.arrival
        return cuts + self._cut_full()

    def handle_timer(self, now: float) -> list[AudioCut]:
        """End the slice of a track that has been silent for longer than a hole may be."""
        deadline = self.deadline()
        return self.flush() if deadline is not None and deadline <= now else []

    def flush(self) -> list[AudioCut]:
        """End the slice where its sound ends."""
        if self._codec is None:
            return []
        cuts = [self._cut(self._next)] if self._next > self._start else []
        self._codec, self._packets, self._bytes = None, [], 0
        return cuts

    def deadline(self) -> float | None:
        """When silence ends the slice."""
        return self._heard + HOLE if self._codec is not None else None

    def _continue(self, ordered: Ordered, timestamp: int, duration: int) -> list[AudioCut]:
        """End the slice where this packet cannot be part of it."""
        codec = self._codec
        if codec is None:
            return []
        gap = timestamp - self._next
        if ordered.epoch != self._epoch or gap > HOLE * codec.clock_rate:
            return self.flush()
        repeats = gap < 0 and timestamp + duration <= self._next
        if gap < 0 and not (repeats and timestamp >= self._packets[-1].timestamp):
            self.counters["clock_fell_back"] += 1
            return self.flush()
        if gap % AUDIO[codec.name].granule:  # no filling is that short: positions would shift
            self.counters["odd_hole"] += 1
            return self.flush()
        return []

    def _begin(self, ordered: Ordered) -> None:
        self._codec, self._epoch, self._mapper = ordered.codec, ordered.epoch, ordered.mapper
        self._start = self._next = ordered.packet.timestamp

    def _cut_full(self) -> list[AudioCut]:
        assert self._codec is not None
        length = self._seconds * self._codec.clock_rate
        cuts = []
        while self._next >= self._start + length:
            cuts.append(self._cut(self._start + length))
        if self._bytes > MAX_SLICE_BYTES:
            self.counters["slice_full"] += 1
            cuts.append(self._cut(self._next))
        return cuts

    def _cut(self, end: int) -> AudioCut:
        """Cut at *end*; what the next slice needs of these packets is kept."""
        assert self._codec is not None
        start, packets = self._start, self._packets
        covering = tuple(packet for packet in packets if packet.timestamp < end)
        keep_from = end - int(PREROLL * self._codec.clock_rate)
        self._packets = [p for p in packets if p.timestamp + p.duration > keep_from]
        self._bytes = sum(len(packet.payload) for packet in self._packets)
        self._start = end
        began = self._mapper.at(start)
        return AudioCut(self.track, self._codec, start, end, covering, began, self._epoch)
