"""One m-line's packets, from the wire to their order: which source, which original, which place.

    insert: source by SSRC → RTX undone → counters unwrapped → statistics, NACK list → ring
    drain:  ring → epoch → what a depacketizer or a cutter takes

A new SSRC takes over once two of its packets follow each other (RFC 3550 A.1, probation); nothing
of it is lost. An *epoch* is a stretch of continuous media time: a new source, another codec or a
jump of the sender's clock begins the next one.
"""

from collections import Counter
from dataclasses import dataclass

from slicer.rtp.mapping import SenderClock, TimestampMapper
from slicer.rtp.nack import NackList
from slicer.rtp.packet import Packet
from slicer.rtp.parameters import Codec, RtpParameters
from slicer.rtp.reception import Reception
from slicer.rtp.ring import ReorderRing
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
PROBATION = 2
# A source that was replaced is listened to again only when the one after it has been silent.
COMES_BACK = 0.5
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
        self.highest: int | None = None
        self.last_arrival = 0.0


class Stream:
    """The packets of one m-line of one connection."""

    def __init__(self, parameters: RtpParameters, sender: SenderClock) -> None:
        self.parameters = parameters
        self.counters: Counter[str] = Counter()
        self.asleep = False
        self._until = float("inf")
        self.epoch = -1
        self.mapper = TimestampMapper(1, sender)
        self.source: Source | None = None
        self._sender = sender
        self._codec: Codec | None = None
        self._nack = "nack" in parameters.feedback
        self._candidate: list[Packet] = []
        self._retired: dict[int, None] = {}
        self._given_up: list[Ordered] = []

    def insert(self, packet: Packet) -> None:
        """Take a packet of one of our payload types, its *arrival* set."""
        original = self.parameters.rtx.get(packet.payload_type)
        if original is not None:
            self._retransmitted(packet, original)
        elif self.source is None or packet.ssrc != self.source.ssrc:
            self._strange(packet)
        else:
            self._insert(self.source, packet)

    def drain(self, now: float) -> list[Ordered]:
        """The packets whose turn it is."""
        given, self._given_up = self._given_up, []
        if self.source is not None:
            given += [self._place(*turn) for turn in self.source.ring.pop(now)]
            if self.source.nacks is not None and self.source.ring.expects is not None:
                self.source.nacks.forget_before(self.source.ring.expects)
        return given

    def flush(self) -> list[Ordered]:
        """Everything held; holes are given up."""
        self._give_up()
        given, self._given_up = self._given_up, []
        return given

    def sleep(self, until: float = float("inf")) -> None:
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
        if self.source is not None and self._nack:
            self.source.nacks = NackList()

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
        packet.sequence = source.sequences.unwrap(packet.sequence)
        packet.timestamp = source.timestamps.unwrap(packet.timestamp)
        source.reception.receive(packet.sequence, packet.timestamp, packet.arrival)
        source.last_arrival = packet.arrival
        newest = source.highest is None or packet.sequence > source.highest
        if self.asleep and newest:
            self._doze(source, packet)
        if newest:
            source.highest = packet.sequence
        if self.asleep:
            self.counters["asleep"] += 1
        else:
            self._hold(source, packet)

    def _doze(self, source: Source, packet: Packet) -> None:
        epoch = self.epoch
        self._advance(packet, packet.sequence - 1 == source.highest)
        begins = self.epoch != epoch and self._until < float("inf")
        if begins or packet.timestamp >= self._until:
            self.wake()

    def _hold(self, source: Source, packet: Packet) -> None:
        if source.nacks is not None:
            source.nacks.receive(packet.sequence, packet.arrival)
        refused = source.ring.insert(packet)
        if refused == "moved":
            self._given_up += [self._place(*turn) for turn in source.ring.moved()]
        if refused is not None:
            self.counters[refused] += 1

    def _retransmitted(self, packet: Packet, payload_type: int) -> None:
        source = self.source
        restored = None if source is None else restore(packet, payload_type, source.ssrc)
        if source is None or restored is None:
            self.counters["padding"] += 1
            return
        self.counters["retransmitted"] += 1
        if not self.asleep:
            restored.sequence = source.sequences.peek(restored.sequence)
            restored.timestamp = source.timestamps.peek(restored.timestamp)
            self._hold(source, restored)

    def _strange(self, packet: Packet) -> None:
        """A packet of another SSRC: on probation until a second one follows it."""
        if packet.ssrc in self._retired and self.source is not None:
            self.counters["retired_ssrc"] += 1
            if packet.arrival - self.source.last_arrival < COMES_BACK:
                return
        self._candidate.append(packet)
        if len(self._candidate) < PROBATION:
            return
        first, second = self._candidate
        if first.ssrc == second.ssrc and (first.sequence + 1) & 0xFFFF == second.sequence:
            self._take_over()
        else:
            self.counters["probation"] += 1
            self._candidate = [second]

    def _take_over(self) -> None:
        packets, self._candidate = self._candidate, []
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
            self._insert(self.source, packet)

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
            self.mapper = TimestampMapper(codec.clock_rate, self._sender)
        self.mapper.arrived(packet.timestamp, packet.arrival)
        return codec

    def _jumped(self, packet: Packet, contiguous: bool) -> bool:
        skew = self.mapper.skew(packet.timestamp, packet.arrival)
        jumped = skew > LATE or skew < -(EARLY if contiguous else EARLY_AFTER_LOSS)
        self.counters["clock_jumped"] += jumped
        return jumped
