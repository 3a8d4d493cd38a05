"""One m-line's packets, from the wire to their order: which source, which original, which place.

    insert: source by SSRC → RTX undone → counters unwrapped → statistics, NACK list → ring
    drain:  ring → epoch → what a depacketizer or a cutter takes

A new SSRC takes over once two of its packets belong together (RFC 3550 A.1, probation); nothing
of it is lost. An *epoch* is a stretch of continuous media time: a new source, another codec or a
jump of the sender's clock begins the next one.
"""

from collections import Counter
from dataclasses import dataclass

from slicer.rtp.mapping import SenderClock, TimestampMapper
from slicer.rtp.packet import Packet
from slicer.rtp.parameters import Codec, Kind, RtpParameters
from slicer.rtp.ring import ReorderRing
from slicer.rtp.rtcp.nack import NackList
from slicer.rtp.rtcp.reception import Reception
from slicer.rtp.rtx import restore
from slicer.rtp.unwrap import Unwrapper

OPENING = 0.05
# Without retransmission only reordering is waited for.
PATIENCE = 0.2
PATIENCE_NACK = 0.6
# The sender's clock against arrivals, in seconds. Without a lost packet between them no network
# makes two packets come closer together than they were sent by this much; and nothing that is
# still one conversation is this late.
EARLY = 0.5
EARLY_AFTER_LOSS = 3.0
LATE = 3.0
# Media time that steps back by this much, in order, was set back; B-frames step back a little.
BACK = 0.5
# Two packets of an unknown SSRC belong together if they come within so many numbers and seconds.
NEARBY = 100
PROBATION = 2.0
MAX_CANDIDATES = 8
# A source that was replaced is listened to again only when the one after it has been silent.
COMES_BACK = 2.0
MAX_RETIRED = 16


@dataclass(slots=True)
class Ordered:
    """A packet in its place. *contiguous*: it follows the last one given without a hole."""

    packet: Packet
    codec: Codec
    contiguous: bool
    epoch: int
    mapper: TimestampMapper


class Source:
    """What is known of one SSRC."""

    def __init__(self, ssrc: int, clock_rate: int, nack: bool) -> None:
        self.ssrc = ssrc
        self.sequences = Unwrapper(16)
        self.timestamps = Unwrapper(32)
        self.reception = Reception(ssrc, clock_rate)
        self.nacks = NackList() if nack else None
        self.ring = ReorderRing(OPENING, PATIENCE_NACK if nack else PATIENCE)
        self.last_arrival = 0.0


class Stream:
    """The packets of one m-line of one connection."""

    def __init__(self, parameters: RtpParameters, sender: SenderClock) -> None:
        self.parameters = parameters
        self.counters: Counter[str] = Counter()
        self.asleep = False
        self._until = float("inf")
        self.epoch = -1
        self.mapper = sender.begin(self, 1)
        self.source: Source | None = None
        self._sender = sender
        self._codec: Codec | None = None
        self._nack = "nack" in parameters.feedback
        self._back = BACK if parameters.kind is Kind.VIDEO else 0.0
        self._oldest = 0  # media time before this is a step back
        self._candidates: dict[int, Packet] = {}
        self._retired: dict[int, None] = {}
        self._given_up: list[Ordered] = []

    def insert(self, packet: Packet) -> None:
        """Take a packet of one of our payload types, its *arrival* set."""
        source = self.source
        if packet.payload_type in self.parameters.rtx:
            self._repair(packet, self.parameters.rtx[packet.payload_type])
        elif source is None or packet.ssrc != source.ssrc:
            self._strange(packet)
        else:
            packet.sequence = source.sequences.peek(packet.sequence)
            packet.timestamp = source.timestamps.peek(packet.timestamp)
            self._insert(source, packet)

    def drain(self, now: float) -> list[Ordered]:
        """The packets whose turn it is."""
        given, self._given_up = self._given_up, []
        source = self.source
        if source is not None:
            given += [self._place(*turn) for turn in source.ring.pop(now)]
            if source.nacks is not None and source.ring.expects is not None:
                source.nacks.forget_before(source.ring.expects)
        return given

    def flush(self) -> list[Ordered]:
        """Everything held; holes are given up."""
        self._give_up()
        given, self._given_up = self._given_up, []
        return given

    def doze(self, until: float = float("inf")) -> None:
        """Until this media time, or the next epoch, packets are of no use: they are only counted.

        The packet that ends the sleep is taken; nothing before it is asked for again.
        """
        self.asleep, self._until = True, until
        if self.source is not None:
            self.source.ring.restart()
            self.source.nacks = None

    def wake(self) -> None:
        """Packets are taken again, from the next one on."""
        if not self.asleep:
            return
        self.asleep = False
        if self.source is not None:
            self.source.ring.restart()
            self.source.nacks = NackList() if self._nack else None

    def missing(self, now: float) -> list[int]:
        """Sequence numbers to ask for again now, as on the wire."""
        if self.source is None or self.source.nacks is None:
            return []
        return [lost & 0xFFFF for lost in self.source.nacks.handle_timer(now)]

    def deadline(self) -> float | None:
        """When a hole is given up or asked for again."""
        if self.source is None:
            return None
        nacks = self.source.nacks
        waits = (self.source.ring.deadline(), nacks.deadline() if nacks else None)
        return min((wait for wait in waits if wait is not None), default=None)

    def _insert(self, source: Source, packet: Packet) -> None:
        """Put an unwrapped packet of the current source where it belongs."""
        if self.asleep:
            refused = source.ring.skip(packet)
            if refused is None and self._wakes(source, packet):
                self.wake()
                refused = source.ring.insert(packet)
            elif refused is None:
                refused = "asleep"
        else:
            refused = source.ring.insert(packet)
        if refused is not None:
            self.counters[refused] += 1
        if refused == "moved":
            self._moved(source)
        elif refused != "stray":  # nothing else may hear of a packet that nobody believes yet
            self._arrived(source, packet)

    def _arrived(self, source: Source, packet: Packet) -> None:
        source.sequences.last, source.timestamps.last = packet.sequence, packet.timestamp
        source.last_arrival = packet.arrival
        source.reception.receive(packet.sequence, packet.timestamp, packet.arrival)
        if source.nacks is not None:
            source.nacks.receive(packet.sequence, packet.arrival)

    def _wakes(self, source: Source, packet: Packet) -> bool:
        """Whether this packet, the newest one, ends the sleep; media time goes on meanwhile."""
        epoch, last = self.epoch, source.sequences.last
        self._advance(packet, last is not None and packet.sequence - 1 == last)
        begins = self.epoch != epoch and self._until < float("inf")
        return begins or packet.timestamp >= self._until

    def _moved(self, source: Source) -> None:
        """The source's sequence numbers go on elsewhere; what is held and what is there is kept."""
        orphans = source.ring.orphans()
        self._give_up()
        source.reception.restart()
        if source.nacks is not None:
            source.nacks = NackList()
        for packet in orphans:
            self._insert(source, packet)

    def _repair(self, packet: Packet, payload_type: int) -> None:
        """Take a retransmission of what is missing; others repeat, probe, or belong elsewhere."""
        source = self.source
        original = None if source is None else restore(packet, payload_type, source.ssrc)
        if source is None or original is None:
            self.counters["padding"] += 1
            return
        original.sequence = source.sequences.peek(original.sequence)
        original.timestamp = source.timestamps.peek(original.timestamp)
        if source.nacks is None or original.sequence not in source.nacks:
            self.counters["needless_retransmission"] += 1
            return
        self.counters["retransmitted"] += 1
        source.nacks.receive(original.sequence, original.arrival)
        source.ring.insert(original)

    def _strange(self, packet: Packet) -> None:
        """A packet of another SSRC: on probation until a second one belongs to it."""
        source = self.source
        heard = source.last_arrival if source is not None else float("-inf")
        if packet.ssrc in self._retired and packet.arrival - heard < COMES_BACK:
            self.counters["retired_ssrc"] += 1
            return
        first = self._candidates.pop(packet.ssrc, None)
        if first is not None and _belong_together(first, packet):
            self._take_over([first, packet])
            return
        if first is None and len(self._candidates) >= MAX_CANDIDATES:
            first = self._candidates.pop(next(iter(self._candidates)))
        if first is not None:
            self.counters["probation"] += 1
        self._candidates[packet.ssrc] = packet

    def _take_over(self, packets: list[Packet]) -> None:
        if self.source is not None:
            self._give_up()
            self._retired.pop(packets[0].ssrc, None)
            self._retired[self.source.ssrc] = None
            if len(self._retired) > MAX_RETIRED:
                del self._retired[next(iter(self._retired))]
            self.counters["ssrc_changed"] += 1
        codec = self.parameters.codecs[packets[0].payload_type]
        self.source = Source(packets[0].ssrc, codec.clock_rate, self._nack and not self.asleep)
        self._codec = None
        for packet in packets:
            self.insert(packet)

    def _give_up(self) -> None:
        if self.source is not None:
            self._given_up += [self._place(*turn) for turn in self.source.ring.flush()]

    def _place(self, packet: Packet, contiguous: bool) -> Ordered:
        codec = self._advance(packet, contiguous)
        return Ordered(packet, codec, contiguous, self.epoch, self.mapper)

    def _advance(self, packet: Packet, contiguous: bool) -> Codec:
        """Media time goes on with this packet, or begins anew."""
        codec = self.parameters.codecs[packet.payload_type]
        if codec is not self._codec or self._jumped(packet, contiguous):
            self._codec = codec
            self.epoch += 1
            self.mapper = self._sender.begin(self, codec.clock_rate)
        self.mapper.arrived(packet.timestamp, packet.arrival)
        self._oldest = packet.timestamp - int(self._back * codec.clock_rate)
        return codec

    def _jumped(self, packet: Packet, contiguous: bool) -> bool:
        skew = self.mapper.skew(packet.timestamp, packet.arrival)
        if -EARLY <= skew <= LATE and packet.timestamp >= self._oldest:
            return False
        lost_on_the_way = not contiguous and -EARLY_AFTER_LOSS <= skew < -EARLY
        if lost_on_the_way and packet.timestamp >= self._oldest:
            return False
        self.counters["clock_jumped"] += 1
        return True


def _belong_together(first: Packet, second: Packet) -> bool:
    apart = (second.sequence - first.sequence + NEARBY) % 65_536 - NEARBY
    return 0 < abs(apart) <= NEARBY and second.arrival - first.arrival < PROBATION
