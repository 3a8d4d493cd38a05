"""One m-line's packets, from the wire into order: their source, retransmissions, epochs.

    insert: RED undone → source by SSRC → RTX undone → counters unwrapped → statistics, NACKs → ring
    drain:  ring → epoch → what a depacketizer or a cutter takes

Theory of operation. One source is current at a time. A new SSRC is on probation (RFC 3550 A.1)
until two of its packets belong together, and the first source there is then becomes current. A
later one may take its place, or may be sent beside it, as layers of simulcast are. Which of the two
it is shows in whether the current one goes on. So the packets of another source are held. If the
current one has been silent for CHANGES seconds meanwhile, the other one takes over with all that is
held, so nothing is lost. If the current one goes on, what is held is dropped, so that a frame sent
in three layers does not become three pictures. A source of video that was replaced before waits
COMES_BACK seconds, so that slow layers do not take turns: each change ends a slice. Where simulcast
was agreed on, `layers` lets one layer at a time come here, and one taken again waits CHANGES alone.

An *epoch* is a stretch of continuous media time. A new source, another codec or a jump of the
sender's clock begins the next one. The clock jumped if media time stepped back, or if it stepped
forward by more than has passed: a packet can be late by any queue on the way, but not early, except
as far as lost packets leave room. A small step is continuous whenever it comes. So a path that was
held up ends no epoch, neither by the delay nor when all that waited comes at once; nor does a media
clock that stood still, which looks the same from here (the mapper tells them apart by reports).

A stream that nobody needs is asleep. Its packets are counted, reported (the sender's congestion
control must see them arrive) and dropped; holes are not asked for. Media time goes on, for it says
when to wake: at a packet of `until`, or with a new epoch. That packet itself is taken.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from slicer.rtp.layers import Layers
from slicer.rtp.mapping import SenderClock, TimestampMapper
from slicer.rtp.packet import Packet
from slicer.rtp.parameters import Codec, Kind, RtpParameters
from slicer.rtp.red import undo
from slicer.rtp.ring import ReorderRing
from slicer.rtp.rtcp.nack import NackList
from slicer.rtp.rtcp.reception import Reception
from slicer.rtp.rtx import restore
from slicer.rtp.unwrap import Unwrapper

OPENING = 0.05
# Without retransmission only reordering is waited for.
PATIENCE = 0.2
PATIENCE_NACK = 0.6
# Seconds of media time by which a packet may be ahead of the last one or else of the time that has
# passed. Without loss, no network brings packets this much closer together than they were sent.
EARLY = 0.5
EARLY_AFTER_LOSS = 3.0
# A step back of media time, in order, by which the clock was set; B-frames step back less.
BACK = 0.5
# Two packets of an unknown SSRC belong together if they come within so many numbers and seconds.
NEARBY = 100
PROBATION = 2.0
MAX_CANDIDATES = 8
# Seconds of silence of the current source in which another one is heard. Longer than the 0.4 s
# between packets of a voice that is silent (DTX), and than half a second's frames of slow layers.
CHANGES = 0.5
COMES_BACK = 2.0
# Seconds by which the last packets of a source may come behind the first ones of its successor.
OVERTAKEN = 0.05
# Packets held of one candidate; beyond it, the oldest are dropped. The most audio has in CHANGES
# seconds is 200, and 2.4 Mbit/s of video in 2 s are 500.
MAX_HELD = 512
MAX_RETIRED = 16


@dataclass(slots=True)
class Ordered:
    """A packet in order. *contiguous*: it follows the last one without a hole."""

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
        self.layers = Layers(parameters, self.counters) if parameters.rids else None
        self.asleep = False
        self._until = float("inf")
        self.epoch = -1
        self.mapper = sender.begin(self, 1)
        self.source: Source | None = None
        self._sender = sender
        self._codec: Codec | None = None
        self._nack = "nack" in parameters.feedback
        self._back = BACK if parameters.kind is Kind.VIDEO else 0.0
        self._last = 0  # media time of the last packet in order
        self._candidates: dict[int, list[Packet]] = {}  # held, since the current one was heard
        self._retired: dict[int, None] = {}
        self._given_up: list[Ordered] = []

    @property
    def candidates(self) -> list[int]:
        """Other SSRCs whose packets are held, since one of them may take over."""
        return list(self._candidates)

    @property
    def retired(self) -> list[int]:
        """SSRCs that another one has taken over from, the oldest first."""
        return list(self._retired)

    def insert(self, packet: Packet) -> None:
        """Take a packet of one of our payload types, its *arrival* set."""
        if packet.payload_type in self.parameters.rtx:
            self._repair(packet, self.parameters.rtx[packet.payload_type])
        elif packet.payload_type in self.parameters.codecs:
            self._take(packet)
        else:
            self._undo(packet, self.parameters.red[packet.payload_type])

    def drain(self, now: float) -> list[Ordered]:
        """The packets whose turn it is."""
        if self._candidates:
            self._change_source(lambda ssrc: self._takes_over_at(ssrc) <= now)
        ordered, self._given_up = self._given_up, []
        source = self.source
        if source is not None:
            ordered += [self._place(*turn) for turn in source.ring.pop(now)]
            if source.nacks is not None and source.ring.expects is not None:
                source.nacks.forget_before(source.ring.expects)
        return ordered

    def flush(self) -> list[Ordered]:
        """Everything held; holes are given up. Of a source that is to take over, too."""
        self._change_source(lambda ssrc: self._follows(self._candidates[ssrc]))
        self._give_up()
        ordered, self._given_up = self._given_up, []
        return ordered

    def doze(self, until: float = float("inf")) -> None:
        """Sleep until this media time or the next epoch: packets are only counted and reported.

        The packet that ends the sleep is taken; nothing before it is asked for again.
        """
        self.asleep, self._until = True, until
        if self.source is not None:
            self.source.ring.restart()
            self.source.nacks = None

    def wake(self, at: int | None = None) -> None:
        """Take packets again, from number *at* on; without it, from the next one on."""
        if not self.asleep:
            return
        self.asleep = False
        if self.source is not None:
            self.source.ring.restart(at)
            self.source.nacks = NackList() if self._nack else None

    def missing(self, now: float) -> list[int]:
        """Sequence numbers to ask for again now, as on the wire."""
        if self.source is None or self.source.nacks is None:
            return []
        return [lost & 0xFFFF for lost in self.source.nacks.handle_timer(now)]

    def deadline(self) -> float | None:
        """When a hole is given up or asked for again, or another source takes over."""
        if self.source is None:
            return None
        nacks = self.source.nacks
        waits = [self.source.ring.deadline(), nacks.deadline() if nacks else None]
        waits += [at for at in map(self._takes_over_at, self._candidates) if at < float("inf")]
        return min((wait for wait in waits if wait is not None), default=None)

    def _take(self, packet: Packet) -> None:
        """Take a packet that carries no other's."""
        source = self.source
        if source is None or packet.ssrc != source.ssrc:
            self._on_probation(packet)
        else:
            packet.sequence = source.sequences.peek(packet.sequence)
            packet.timestamp = source.timestamps.peek(packet.timestamp)
            self._insert(source, packet)

    def _insert(self, source: Source, packet: Packet) -> None:
        """Put an unwrapped packet of the current source where it belongs."""
        if self.asleep:
            refused = source.ring.skip(packet)
            if refused is None and self._wakes(source, packet):
                self.wake(packet.sequence)
                refused = source.ring.insert(packet)
            elif refused is None:
                refused = "asleep"
        else:
            refused = source.ring.insert(packet)
        if refused is not None:
            self.counters[refused] += 1
        if refused == "moved":
            self._moved(source)
        elif refused != "stray":  # a packet that may be noise must not move the statistics
            self._arrived(source, packet)

    def _arrived(self, source: Source, packet: Packet) -> None:
        source.sequences.last, source.timestamps.last = packet.sequence, packet.timestamp
        source.last_arrival = packet.arrival
        source.reception.receive(packet.sequence, packet.timestamp, packet.arrival)
        if source.nacks is not None:
            if source.nacks.asked(packet.sequence):
                self.counters["retransmitted"] += 1
            source.nacks.receive(packet.sequence, packet.arrival)
        if self._candidates:
            self._drop_parallel(packet.arrival - OVERTAKEN)

    def _drop_parallel(self, before: float) -> None:
        """The current source goes on: what was held of others up to then is dropped."""
        for ssrc, held in list(self._candidates.items()):
            kept = [packet for packet in held if packet.arrival > before]
            if len(kept) < len(held):
                self.counters["parallel_ssrc"] += len(held) - len(kept)
            if kept:
                self._candidates[ssrc] = kept
            else:
                del self._candidates[ssrc]

    def _wakes(self, source: Source, packet: Packet) -> bool:
        """Whether this packet, the newest one, ends the sleep; media time goes on meanwhile."""
        epoch, last = self.epoch, source.sequences.last
        self._advance(packet, last is not None and packet.sequence - 1 == last)
        begins = self.epoch != epoch and self._until < float("inf")
        return begins or packet.timestamp >= self._until

    def _moved(self, source: Source) -> None:
        """The source goes on with other sequence numbers; what is held is given out first."""
        orphans = source.ring.orphans()
        self._give_up()
        source.reception.restart()
        if source.nacks is not None:
            source.nacks = NackList()
        for packet in orphans:
            self._insert(source, packet)

    def _repair(self, packet: Packet, payload_type: int) -> None:
        """Take a retransmission (RFC 4588) of a missing packet; others are counted and dropped.

        Those are padding that probes the bandwidth, or repeat a packet that has come.
        """
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

    def _undo(self, packet: Packet, payload_type: int) -> None:
        """Take a packet of RFC 2198, and of those it repeats the ones that are missing."""
        try:
            primary, *repeated = undo(packet, payload_type)
        except ValueError:
            self.counters["malformed_payload"] += 1
            return
        if primary.payload_type != payload_type:
            self.counters["unknown_payload_type"] += 1
            return
        self._take(primary)
        source = self.source
        if source is None or source.ssrc != packet.ssrc:
            return
        for one in repeated:
            one.sequence = source.sequences.peek(one.sequence)
            one.timestamp = source.timestamps.peek(one.timestamp)
            if source.ring.lacks(one.sequence):
                self.counters["restored_by_red"] += 1
                source.ring.insert(one)
                if source.nacks is not None:
                    source.nacks.receive(one.sequence, one.arrival)

    def _on_probation(self, packet: Packet) -> None:
        """Hold a packet of another SSRC, with those that it belongs together with."""
        held = self._candidates.pop(packet.ssrc, None)
        if held is None and len(self._candidates) >= MAX_CANDIDATES:
            self.counters["probation"] += len(self._candidates.pop(next(iter(self._candidates))))
        if held is not None and not _belong_together(held[-1], packet):
            self.counters["probation"] += len(held)
            held = None
        elif held is not None and len(held) >= MAX_HELD:
            self.counters["probation"] += 1
            del held[0]
        self._candidates[packet.ssrc] = held = [] if held is None else held
        held.append(packet)
        if self.source is None and len(held) > 1:
            self._take_over(packet.ssrc)

    def _is_other_layer(self, ssrc: int) -> bool:
        """Whether this source is of another layer than the current one."""
        layers, source = self.layers, self.source
        if layers is None or source is None:
            return False
        return layers.of(ssrc) != layers.of(source.ssrc)

    def _change_source(self, ready: Callable[[int], bool]) -> None:
        """The first candidate of which *ready* is true takes over."""
        ssrc = next(filter(ready, self._candidates), None)
        if ssrc is not None:
            self._take_over(ssrc)

    def _takes_over_at(self, ssrc: int) -> float:
        """When this candidate takes over, if the current source stays silent."""
        held = self._candidates[ssrc]
        if not self._follows(held):
            return float("inf")
        back = ssrc in self._retired and self.parameters.kind is Kind.VIDEO
        back = back and not self._is_other_layer(ssrc)
        return held[0].arrival + (COMES_BACK if back else CHANGES)

    def _follows(self, held: list[Packet]) -> bool:
        """Whether these came after the current source's last packet, and not beside it."""
        heard = self.source.last_arrival if self.source is not None else float("inf")
        after = held[0].arrival > heard or held[-1].arrival > heard + OVERTAKEN
        return len(held) > 1 and after

    def _take_over(self, ssrc: int) -> None:
        packets = self._candidates.pop(ssrc)
        if self.source is not None:
            self._give_up()
            self._retired.pop(ssrc, None)
            self._retired[self.source.ssrc] = None
            if len(self._retired) > MAX_RETIRED:
                del self._retired[next(iter(self._retired))]
            self.counters["ssrc_changed"] += 1
        codec = self.parameters.codecs[packets[0].payload_type]
        self.source = Source(ssrc, codec.clock_rate, self._nack and not self.asleep)
        self._codec = None
        for packet in packets:
            self._take(packet)

    def _give_up(self) -> None:
        if self.source is not None:
            self._given_up += [self._place(*turn) for turn in self.source.ring.flush()]

    def _place(self, packet: Packet, contiguous: bool) -> Ordered:
        codec = self._advance(packet, contiguous)
        return Ordered(packet, codec, contiguous, self.epoch, self.mapper)

    def _advance(self, packet: Packet, contiguous: bool) -> Codec:
        """Media time goes on with this packet, or begins anew."""
        codec = self.parameters.codecs[packet.payload_type]
        if codec is not self._codec or self._jumped(packet, codec, contiguous):
            self._codec = codec
            self.epoch += 1
            self.mapper = self._sender.begin(self, codec.clock_rate)
        self.mapper.arrived(packet.timestamp, packet.arrival)
        self._last = packet.timestamp
        return codec

    def _jumped(self, packet: Packet, codec: Codec, contiguous: bool) -> bool:
        step = packet.timestamp - self._last
        early = EARLY if contiguous else EARLY_AFTER_LOSS
        if -self._back * codec.clock_rate <= step <= early * codec.clock_rate:
            return False
        if step > 0 and self.mapper.skew(packet.timestamp, packet.arrival) >= -early:
            return False
        self.counters["clock_jumped"] += 1
        return True


def _belong_together(first: Packet, second: Packet) -> bool:
    apart = (second.sequence - first.sequence + NEARBY) % 65_536 - NEARBY
    return 0 < abs(apart) <= NEARBY and second.arrival - first.arrival < PROBATION
