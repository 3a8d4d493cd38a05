"""A sender and a network, in plain numbers: `Call` runs them against a Bundle, faster than life.

Every payload carries the number of its frame, so a test can say which came out and which did not.
"""

import heapq
import itertools
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from slicer.rtp import rtcp
from slicer.rtp.parameters import (
    AUDIO_LEVEL,
    H264,
    MID,
    OPUS,
    REPAIRED_RID,
    RID,
    TRANSPORT_WIDE_CC,
    VP8,
    Kind,
    RtpParameters,
)
from slicer.slicing.bundle import Bundle
from slicer.slicing.outputs import (
    AudioCut,
    AudioPacket,
    Cut,
    GroupFrames,
    PictureCut,
    PictureMissing,
    Settled,
    TrackKey,
    TrackOutput,
    Transmit,
)
from tests.harness.rtp import packetize

AUDIO = RtpParameters(Kind.AUDIO, {111: OPUS})
VIDEO = RtpParameters(
    Kind.VIDEO,
    {96: VP8},
    {97: 96},
    {3: TRANSPORT_WIDE_CC},
    frozenset({"nack", "nack pli", "transport-cc"}),
)
VIDEO_H264 = RtpParameters(Kind.VIDEO, {102: H264}, feedback=frozenset({"ccm fir"}))
AUDIO_TRACK = TrackKey("task", "ann", Kind.AUDIO)
VIDEO_TRACK = TrackKey("task", "ann", Kind.VIDEO)
NTP_START = 3_900_000_000.0
HISTORY = 2000
# As browsers do: a request so soon after a keyframe is swallowed.
DEAF_AFTER_KEYFRAME = 0.3


def opus(number: int, toc: int = 0xF8) -> bytes:
    """A payload that says it is 20 ms of CELT, and carries *number*."""
    return bytes([toc]) + number.to_bytes(4)


def vp8(number: int, keyframe: bool, size: int = 40, height: int = 480) -> bytes:
    """A frame with the header of VP8, and *number* behind it."""
    head = b"\x10\x02\x00\x9d\x01\x2a\x80\x02" + height.to_bytes(2, "little")
    head = head if keyframe else b"\x11\x02\x00"
    return (head + number.to_bytes(4)).ljust(size, b"\xaa")


def h264(number: int, keyframe: bool, size: int = 40) -> bytes:
    """An access unit in Annex B, *number* in its slice, so written that it holds no start code."""
    digits = bytes(0x80 | number >> shift & 0x7F for shift in (21, 14, 7, 0))
    slice_ = (b"\x65\x88" if keyframe else b"\x41\x9a") + digits
    sets = b"\0\0\0\1\x67\x42\xe0\x1f\xaa\0\0\0\1\x68\xce\x3c\x80" if keyframe else b""
    return sets + b"\0\0\0\1" + slice_.ljust(size, b"\xaa")


def number_of(frame: bytes | AudioPacket) -> int:
    """The number inside what `opus`, `vp8` or `h264` made."""
    if isinstance(frame, AudioPacket):
        return int.from_bytes(frame.payload[1:5])
    if frame.startswith(b"\0\0\0\1"):
        last = frame[
            frame.rindex(b"\0\0\0\1\x65" if b"\0\0\0\1\x65" in frame else b"\0\0\0\1\x41") :
        ]
        return sum(
            (byte & 0x7F) << shift for byte, shift in zip(last[6:10], (21, 14, 7, 0), strict=True)
        )
    return int.from_bytes(frame[10:14] if frame[0] & 1 == 0 else frame[3:7])


def datagram(
    payload: bytes,
    sequence: int,
    timestamp: int,
    ssrc: int = 1,
    payload_type: int = 111,
    marker: bool = False,
    extension: bytes = b"",
) -> bytes:
    """One RTP packet; *extension*: profile, length and data."""
    second = marker << 7 | payload_type
    head = struct.pack(
        "!BBHII",
        0x90 if extension else 0x80,
        second,
        sequence & 0xFFFF,
        timestamp & 0xFFFFFFFF,
        ssrc & 0xFFFFFFFF,
    )
    return head + extension + payload


@dataclass
class Sender:
    """One RTP stream as a browser sends it; a test turns its knobs between two runs.

    *every*: seconds between frames; *ppm*: how much its clock is fast; *reports*: seconds between
    sender reports, 0 for none; *group*: frames between keyframes, 0 for none unasked; *deaf*: no
    request is answered; *muted*: nothing is sent; *frozen*: nor do timestamps run on then;
    *mtu*: largest payload of video, 0 for one that splits keyframes alone; *named*: how many
    packets carry the MID, where that was agreed, and as many repetitions; None for all. *rid*: the
    layer of simulcast, told in the same packets; *height*: that VP8's keyframes tell.
    *repeats*: how many of the packets before each carries as well, where RFC 2198 was agreed.
    *next_at*: when the next frame is sent; None: at the end of the first run.
    """

    parameters: RtpParameters
    ssrc: int = 1
    sequence: int = 0
    timestamp: int = 0
    every: float = 0.02
    ppm: float = 0
    reports: float = 0
    group: int = 0
    size: int = 40
    mtu: int = 0
    toc: int = 0xF8
    deaf: bool = False
    muted: bool = False
    frozen: bool = False
    number: int = 0
    named: int | None = None
    repeats: int = 0
    rid: str = ""
    height: int = 480
    next_at: float | None = None
    packets: int = 0
    repairs: int = 0
    transport: Iterator[int] = field(default_factory=itertools.count)
    asked: list[float] = field(default_factory=list)
    keyframes: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.payload_type, self.codec = next(iter(self.parameters.codecs.items()))
        self.ticks = round(self.every * self.codec.clock_rate)
        self._begin = self.number
        self._report_at = 0.0
        self._reported = (0.0, self.timestamp)
        self._key_due, self._key_at = True, float("-inf")
        self.history: dict[int, bytes] = {}
        self._lost_time = 0.0
        self._before: list[tuple[int, bytes]] = []

    def due(self, until: float) -> bool:
        """Whether anything is sent before *until*."""
        return self.next_at is None or self.next_at <= until

    def send(self, until: float) -> Iterator[tuple[float, bytes]]:
        """What is sent before *until*, each with when."""
        pace = self.every / (1 + self.ppm * 1e-6)
        if self.next_at is None:
            self.next_at = until
        while self.next_at <= until:
            now = self.next_at
            self.next_at += pace
            if not self.muted:
                if self.reports and now >= self._report_at:
                    self._report_at = now + self.reports
                    yield now, self._report(now)
                for packet in self._frame(now):
                    yield now, packet
            if not (self.muted and self.frozen):
                self.timestamp += self.ticks
            self.number += 1

    def receive(self, compound: bytes, now: float) -> list[bytes]:
        """What is sent at once in answer to RTCP."""
        answers = []
        for packet in rtcp.parse(compound):
            match packet:
                case rtcp.PictureLossIndication(media_ssrc=self.ssrc):
                    self._ask(now)
                case rtcp.FullIntraRequest(entries=entries) if self.ssrc in dict(entries):
                    self._ask(now)
                case rtcp.Nack(media_ssrc=self.ssrc, sequences=missing):
                    answers += [self.again(lost) for lost in missing if lost in self.history]
        return [] if self.muted else answers

    def bye(self) -> bytes:
        """What is said at the end, or for a mute."""
        return rtcp.build([rtcp.ReceiverReport(self.ssrc, ()), rtcp.Bye((self.ssrc,))])

    def _frame(self, now: float) -> Iterator[bytes]:
        self.sent.append(self.number)
        if self.parameters.kind is Kind.AUDIO:
            yield self.packet(opus(self.number, self.toc), False)
            return
        natural = self.group and (self.number - self._begin) % self.group == 0
        keyframe = bool(natural) or self._key_due
        if keyframe:
            self._key_due, self._key_at = False, now
            self.keyframes.append(self.number)
        size = self.size * (4 if keyframe else 1)
        if self.codec is VP8:
            frame = vp8(self.number, keyframe, size, self.height)
        else:
            frame = h264(self.number, keyframe, size)
        payloads = packetize.payloads(self.codec.name, frame, mtu=self.mtu or self.size + 4)
        for index, payload in enumerate(payloads):
            yield self.packet(payload, index == len(payloads) - 1)

    def packet(self, payload: bytes, marker: bool) -> bytes:
        extension = self._extension(self.packets)
        self.packets += 1
        kind, payload = self._redundant(payload)
        packet = datagram(
            payload, self.sequence, self.timestamp, self.ssrc, kind, marker, extension
        )
        self.history[self.sequence & 0xFFFF] = packet
        if len(self.history) > HISTORY:
            del self.history[next(iter(self.history))]
        self.sequence += 1
        return packet

    def _redundant(self, payload: bytes) -> tuple[int, bytes]:
        """Payload type and payload of a packet, with those before it where they are repeated."""
        before, own = self._before, self.payload_type
        if not self.repeats:
            self._before = []
            return own, payload
        self._before = [*before, (self.timestamp, payload)][-self.repeats :]
        kind = next((red for red, of in self.parameters.red.items() if of == own), None)
        if kind is None:
            return own, payload
        blocks = [(own, self.timestamp - when, block) for when, block in before]
        if any(not 0 < offset < 1 << 14 or len(block) > 1023 for _, offset, block in blocks):
            blocks = []
        return kind, packetize.redundant(own, blocks, payload)

    def _extension(self, packets: int, rid: str = RID) -> bytes:
        """The header extension of a packet, so many packets after the first; *rid*: which URI its
        layer is told by."""
        if not self.parameters.extensions:
            return b""
        block, names = b"", {MID: self.parameters.mid, rid: self.rid}
        for number, uri in self.parameters.extensions.items():
            if uri == TRANSPORT_WIDE_CC:
                block += struct.pack("!BH", number << 4 | 1, next(self.transport) & 0xFFFF)
            elif uri == AUDIO_LEVEL and packets % 400 < 300:  # the rest is not told
                block += bytes([number << 4, 0x80 | 40 + packets % 80])
            elif names.get(uri) and packets < (self.named or packets + 1):
                name = names[uri].encode()
                block += bytes([number << 4 | len(name) - 1]) + name
        block += bytes(-len(block) % 4)
        return struct.pack("!HH", 0xBEDE, len(block) // 4) + block if block else b""

    def again(self, sequence: int) -> bytes:
        """By RFC 4588 where that was agreed, else the same packet once more."""
        original = self.history[sequence]
        for repairing, repaired in self.parameters.rtx.items():
            if repaired == self.payload_type:
                words = int.from_bytes(original[14:16])
                at = 16 + 4 * words if original[0] & 0x10 else 12
                extension = original[12:at]
                if MID in self.parameters.extensions.values():
                    extension = self._extension(self.repairs, REPAIRED_RID)
                head = struct.pack("!H", self.repairs & 0xFFFF)
                self.repairs += 1
                second = original[1] & 0x80 | repairing
                ssrc = struct.pack("!I", self.ssrc + 1000)
                start = original[:1] + bytes([second]) + head + original[4:8] + ssrc
                return start + extension + original[2:4] + original[at:]
        return original

    def _ask(self, now: float) -> None:
        self.asked.append(now)
        if not self.deaf and now - self._key_at > DEAF_AFTER_KEYFRAME:
            self._key_due = True

    def _report(self, now: float) -> bytes:
        ntp = int((NTP_START + now * (1 + self.ppm * 1e-6)) * 2**32)
        report = rtcp.SenderReport(self.ssrc, ntp, self.timestamp & 0xFFFFFFFF, 0, 0)
        return rtcp.build([report])


@dataclass
class Network:
    """What happens to datagrams on their way; *lose* decides by their number, from 0, *lag* by when
    they were sent."""

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    seed: int = 1
    lose: Callable[[int], bool] = lambda number: False
    late: Callable[[int], float] = lambda number: 0.0
    lag: Callable[[float], float] = lambda now: 0.0
    blocked_until: float = 0.0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._number = itertools.count()

    def carry(self, now: float) -> list[float]:
        """When one datagram arrives: never, once, or twice."""
        number, chance = next(self._number), self._random.random
        if self.lose(number) or chance() < self.loss:
            return []
        copies = 2 if chance() < self.duplicate else 1
        delay = self.delay + self.late(number) + self.lag(now)
        return [
            max(now + delay + self.jitter * chance(), self.blocked_until) for _ in range(copies)
        ]


@dataclass
class Call:
    """Senders and a Bundle with a network between them, from *now* 0 on."""

    bundle: Bundle
    senders: list[Sender]
    network: Network = field(default_factory=Network)
    delays: dict[int, float] = field(default_factory=dict)
    tick: float = 0.01
    now: float = 0.0

    def __post_init__(self) -> None:
        self.cuts: list[Cut] = []
        self.ahead: list[GroupFrames] = []
        self.missing: list[PictureMissing] = []
        self.settled: list[Settled] = []
        self.compounds: list[tuple[float, bytes]] = []
        self._order = itertools.count()
        self._under_way: list[tuple[float, int, bytes]] = []
        self._answers: list[tuple[float, int, bytes]] = []

    def run(self, seconds: float) -> "Call":
        """Let time go on."""
        end = self.now + seconds - self.tick / 2
        while self.now < end:
            self.now += self.tick
            for sender in self.senders:
                if sender.due(self.now):
                    for when, packet in sender.send(self.now):
                        self.carry(packet, when, self.delays.get(sender.ssrc, 0.0))
            self._deliver()
        return self

    def carry(self, packet: bytes, when: float, delay: float = 0.0) -> None:
        """Put one datagram on its way."""
        for arrival in self.network.carry(when):
            heapq.heappush(self._under_way, (arrival + delay, next(self._order), packet))

    def end(self) -> list[Cut]:
        """Flush; gives all cuts of the whole call."""
        self.take(self.bundle.flush(self.now))
        return self.cuts

    def take(self, outputs: list[TrackOutput | Transmit]) -> None:
        """Keep cuts and what is missing, send RTCP back."""
        for output in outputs:
            if isinstance(output, Transmit):
                self.compounds.append((self.now, output.data))
                back = self.now + self.network.delay
                heapq.heappush(self._answers, (back, next(self._order), output.data))
            elif isinstance(output, PictureMissing):
                self.missing.append(output)
            elif isinstance(output, Settled):
                self.settled.append(output)
            elif isinstance(output, GroupFrames):
                self.ahead.append(output)
            else:
                self.cuts.append(output)

    @property
    def slices(self) -> list[AudioCut]:
        return [cut for cut in self.cuts if isinstance(cut, AudioCut)]

    @property
    def pictures(self) -> list[PictureCut]:
        return [cut for cut in self.cuts if isinstance(cut, PictureCut)]

    def feedback(self, kind: type) -> list[tuple[float, rtcp.RtcpPacket]]:
        """Our RTCP packets of one type, each with when it was sent."""
        return [
            (when, packet)
            for when, data in self.compounds
            for packet in rtcp.parse(data)
            if isinstance(packet, kind)
        ]

    def _deliver(self) -> None:
        while self._answers and self._answers[0][0] <= self.now:
            _, _, compound = heapq.heappop(self._answers)
            for sender in self.senders:
                for packet in sender.receive(compound, self.now):
                    self.carry(packet, self.now, self.delays.get(sender.ssrc, 0.0))
        batch = []
        while self._under_way and self._under_way[0][0] <= self.now:
            batch.append(heapq.heappop(self._under_way)[2])
        deadline = self.bundle.deadline()
        if batch:
            self.take(self.bundle.receive(batch, self.now))
        elif deadline is not None and deadline <= self.now:
            self.take(self.bundle.handle_timer(self.now))


def heard(slices: list[AudioCut]) -> list[int]:
    """The numbers of all frames in these slices, each once, in order of their slices."""
    return list(dict.fromkeys(number_of(p) for cut in slices for p in cut.packets))
