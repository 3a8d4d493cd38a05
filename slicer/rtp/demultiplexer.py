"""The demultiplexer: which section of a bundle a packet belongs to (RFC 8843 9.2).

    MID header extension ─▶ the section of that name; it has this SSRC from now on
    else a known SSRC    ─▶ its section; those that a description names are known at once
    else the payload type, while one section alone uses it; the SSRC is then known

Theory of operation. SFUs number the codecs of every section alike, so most payload types identify
nothing. Browsers stop sending the MID once a report has come back: from then on the SSRC is all
there is. Two rules follow.

While a section lives, its SSRCs must not be forgotten. A re-negotiation that changes its codecs
makes a new stream with the same owner, MID and kind; that one takes the SSRCs over. The bound
MAX_SSRCS is for each section, so a peer that makes SSRCs up costs itself, and nobody else.

After a section has ended, its packets must not go to another section by their payload type. They
are still under way then, or the peer has not yet read our answer. So the SSRCs of ended sections
are remembered. Such a packet never goes to a section that was there beside the ended one, for that
one has its own sources. A later section may get the SSRC again once STRAGGLE seconds have passed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from slicer.rtp.codecs import AUDIO, VIDEO
from slicer.rtp.packet import Packet
from slicer.rtp.parameters import MID, Kind, RtpParameters
from slicer.rtp.stream import Stream

# Three layers of simulcast and their retransmissions are six.
MAX_SSRCS = 16
"""SSRCs known of one section; beyond it, the one heard least recently is forgotten."""
STRAGGLE = 2.0
"""Seconds after a section has ended in which its packets are still under way."""
MAX_ENDED = 256
"""SSRCs known of ended sections; beyond it, the one that ended first is forgotten."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An SSRC whose section ended. *call*: the number of the `replace` that ended it."""

    call: int
    until: float


class Demultiplexer:
    """Finds each packet's stream. *counters*: packets without one, by reason."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self._mid_ids: frozenset[int] = frozenset()
        self._mids: dict[bytes, Stream] = {}
        self._payload_types: dict[int, list[Stream]] = {}
        self._readable: dict[Stream, frozenset[int]] = {}
        self._ssrcs: dict[int, Stream] = {}
        self._heard: dict[Stream, dict[int, float]] = {}  # SSRC → arrival of its last packet
        self._ended: dict[int, Ended] = {}
        self._owners: dict[Stream, object] = {}
        self._calls = 0
        self._since: dict[Stream, int] = {}  # the call of `replace` with which it came

    def replace(self, streams: Mapping[Stream, object], now: float) -> None:
        """Replace the streams; each comes with its owner.

        A stream that stays keeps its SSRCs. One that takes the place of another (the same owner,
        MID and kind) takes over its SSRCs.
        """
        self._calls += 1
        before, self._heard = self._heard, {}
        new = [stream for stream in streams if stream not in before]
        for stream, heard in before.items():
            if stream in streams:
                self._heard[stream] = heard
            elif heir := next((one for one in new if self._is_place(stream, one, streams)), None):
                self._heard[heir] = heard
                self._ssrcs.update(dict.fromkeys(heard, heir))
            else:
                self._end(heard, now)
        self._owners = dict(streams)
        self._since = {stream: self._since.get(stream, self._calls) for stream in streams}
        self._readable = {stream: readable(stream.parameters) for stream in streams}
        self._payload_types = {}
        for stream in streams:
            self._heard.setdefault(stream, {})
            for payload_type in self._readable[stream]:
                self._payload_types.setdefault(payload_type, []).append(stream)
        self._mids = {s.parameters.mid.encode(): s for s in streams if s.parameters.mid}
        self._mid_ids = frozenset(
            number
            for stream in streams
            for number, uri in stream.parameters.extensions.items()
            if uri == MID
        )
        for stream in streams:
            for ssrc in stream.parameters.ssrcs:
                self._learn(ssrc, stream, now)

    def route(self, packet: Packet, elements: Mapping[int, bytes]) -> Stream | None:
        """The stream of a packet with these header extension elements; None where it has none."""
        mid = None
        for number, value in elements.items():
            if number in self._mid_ids:
                mid = value
        if mid is not None:
            return self._by_mid(packet, mid)
        stream = self._ssrcs.get(packet.ssrc)
        if stream is not None and packet.payload_type in self._readable[stream]:
            self._heard[stream][packet.ssrc] = packet.arrival
            return stream
        return self._by_payload_type(packet)

    def find(self, ssrc: int) -> Stream | None:
        """The stream of a known SSRC, retransmissions' included: where RTCP about it goes."""
        return self._ssrcs.get(ssrc)

    def _by_mid(self, packet: Packet, mid: bytes) -> Stream | None:
        stream = self._mids.get(mid)
        if stream is None:
            self.counters["unknown_mid"] += 1
            return None
        if packet.payload_type not in self._readable[stream]:
            self.counters["unknown_payload_type"] += 1
            return None
        self._learn(packet.ssrc, stream, packet.arrival)
        return stream

    def _by_payload_type(self, packet: Packet) -> Stream | None:
        users = self._payload_types.get(packet.payload_type, [])
        if not users:
            self.counters["unknown_payload_type"] += 1
            return None
        known = packet.ssrc in self._ssrcs
        if len(users) > 1 or (not known and self._is_ended(packet, users[0])):
            self.counters["unroutable"] += 1
            return None
        if not known:
            self._learn(packet.ssrc, users[0], packet.arrival)
        return users[0]

    def _learn(self, ssrc: int, stream: Stream, now: float) -> None:
        """Give this SSRC to this stream, and take it from any other."""
        before, heard = self._ssrcs.get(ssrc), self._heard[stream]
        if before is not stream:
            if before is not None:
                del self._heard[before][ssrc]
                self.counters["ssrc_moved"] += 1
            if len(heard) >= MAX_SSRCS:
                oldest = min(heard, key=heard.__getitem__)
                del heard[oldest], self._ssrcs[oldest]
                self.counters["ssrc_forgotten"] += 1
            self._ssrcs[ssrc] = stream
        heard[ssrc] = now

    def _is_ended(self, packet: Packet, stream: Stream) -> bool:
        """Whether this is a packet of an ended section, and so not of this stream."""
        ended = self._ended.get(packet.ssrc)
        if ended is None:
            return False
        return self._since[stream] < ended.call or packet.arrival < ended.until

    def _is_place(self, before: Stream, after: Stream, owners: Mapping[Stream, object]) -> bool:
        one, other = before.parameters, after.parameters
        same = (one.mid, one.kind) == (other.mid, other.kind)
        return same and self._owners[before] == owners[after] and after not in self._heard

    def _end(self, heard: Iterable[int], now: float) -> None:
        """The stream of these SSRCs is gone, and nobody has its place."""
        for ssrc in heard:
            del self._ssrcs[ssrc]
            self._ended.pop(ssrc, None)
            if len(self._ended) >= MAX_ENDED:
                del self._ended[next(iter(self._ended))]
                self.counters["ssrc_forgotten"] += 1
            self._ended[ssrc] = Ended(self._calls, now + STRAGGLE)


def readable(parameters: RtpParameters) -> frozenset[int]:
    """The payload types of codecs in our tables, and those that repeat them."""
    table = AUDIO if parameters.kind is Kind.AUDIO else VIDEO
    codecs = {number for number, codec in parameters.codecs.items() if codec.name in table}
    repeating = (*parameters.rtx.items(), *parameters.red.items())
    return frozenset(codecs | {number for number, original in repeating if original in codecs})
