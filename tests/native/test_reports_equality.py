"""Whatever comes, the native reporters say byte for byte what the reference's say."""

import importlib
import os
import struct
from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.rtp import mapping, rtcp, stream
from slicer.rtp.packet import Packet, extensions
from slicer.rtp.parameters import OPUS, TRANSPORT_WIDE_CC, VP8, Kind, RtpParameters
from slicer.rtp.rtcp import reporter, transport_reporter
from slicer.rtp.rtcp.transport_feedback import MAX_PACKETS, TICK, feedback_for

if os.environ.get("SLICER_NATIVE") != "1":
    pytest.importorskip("slicer._parts", reason="the native parts are not built")
native: Any = importlib.import_module("slicer._parts")

U32 = st.integers(0, 0xFFFFFFFF)


def readable(compound: bytes) -> bool:
    try:
        rtcp.parse(compound)
    except ValueError:
        return False
    return True


def packed(packet_type: int, count: int, padded: bool, body: bytes) -> bytes:
    """An RTCP packet whose head is right and whose body may be anything."""
    whole = body[: len(body) & ~3]
    head = struct.pack("!BBH", 0x80 | padded << 5 | count, packet_type, len(whole) // 4)
    return head + whole


SMALL = st.sampled_from([0, 0, 0, 1, 2, 3, 4, 8, 0x20, 0xFF])
BODIES = st.binary(max_size=64) | st.lists(SMALL, max_size=64).map(bytes)
PACKETS = st.builds(
    packed,
    st.integers(200, 207),
    st.sampled_from([0, 1, 1, 2, 3, 4, 15, 15, 31]),
    st.sampled_from([False, False, False, True]),
    BODIES,
)
REMBS = st.builds(
    lambda count, tail: packed(206, 15, False, bytes(8) + b"REMB" + bytes([count]) + tail),
    st.integers(0, 8),
    st.binary(min_size=3, max_size=40),
)
STATUSES = st.builds(
    lambda count, padded, tail: packed(
        205, 15, padded, struct.pack("!LLHHL", 1, 2, 10, count, 0x103) + tail
    ),
    st.integers(0, 40),
    st.booleans(),
    BODIES,
)
COMPOUNDS = st.lists(PACKETS | REMBS | STATUSES, max_size=3).map(b"".join)


@settings(max_examples=200)
@given(COMPOUNDS, st.integers(0, 3))
def test_compounds_are_refused_alike(compound: bytes, cut: int) -> None:
    cut_off = compound[: len(compound) - cut]
    assert native.rtcp_well_formed(cut_off) == readable(cut_off)


def test_every_way_to_be_malformed_was_met() -> None:
    chance, refused, taken = Random(1), Counter[str](), 0
    for _ in range(5_000):
        body = chance.randbytes(4 * chance.randrange(6))
        if chance.random() < 0.6:
            body = bytes(chance.choice(b"\0\0\0\1\2\3\4\x08") for _ in body)
        kind, count = chance.randrange(200, 207), chance.choice([0, 1, 1, 2, 3, 4, 15, 15])
        if kind == 206 and chance.random() < 0.5:
            body = body[:8] + b"REMB" + body[12:]
        if kind == 205 and count == 15:
            body = body[:10] + struct.pack("!H", chance.randrange(30)) + body[12:]
        compound = packed(kind, count, chance.random() < 0.2, body)
        compound += bytes(chance.random() < 0.02)
        try:
            rtcp.parse(compound)
            taken += 1
        except ValueError as why:
            refused[str(why)] += 1
        assert native.rtcp_well_formed(compound) == readable(compound)
    assert taken > 500
    assert set(refused) >= {
        "no RTCP header where one should be",
        "malformed RTCP padding",
        "SDES items without their end",
        "SDES item is cut off",
        "BYE reason is cut off",
        "reserved packet status",
        "RTCP feedback without its SSRCs",
        *(f"RTCP packet of type {kind} is cut off" for kind in (200, 201, 202, 203, 205, 206)),
    }


# Differences of arrival in ticks: within a byte, a word, and beyond both; halves of a tick, too.
GAPS = (
    st.none()
    | st.integers(-600, 600)
    | st.sampled_from([0, 255, 256, -1, 0x7FFF, 0x8000, -0x8000, -0x8001, 100_000])
    | st.floats(-300, 300).map(lambda ticks: round(ticks * 2) / 2)
)
STEPS = st.sampled_from([1] * 12 + [2, 7, 14, 30, MAX_PACKETS - 1, MAX_PACKETS, 70_000])


@settings(max_examples=200)
@given(
    st.integers(-100_000, 100_000),
    st.floats(-3e6, 3e6) | st.sampled_from([0.0, (1 << 23) * 0.064 - 0.1]),
    st.integers(0, 300),
    st.lists(st.tuples(STEPS, GAPS, st.integers(1, 40)), max_size=40),
)
def test_feedbacks_are_alike(
    sequence: int, now: float, count: int, steps: list[tuple[int, float | None, int]]
) -> None:
    arrivals: list[tuple[int, float | None]] = []
    for step, gap, times in steps:
        for _ in range(times):
            sequence += step
            now += (gap or 0) * TICK
            arrivals.append((sequence, None if gap is None else now))
    writer = native.RtcpWriter()
    writer.transport_feedback(7, 8, count, arrivals)
    assert writer.compound() == rtcp.build(feedback_for(7, 8, count, arrivals))


AUDIO = RtpParameters(
    Kind.AUDIO,
    {111: OPUS},
    extensions={3: TRANSPORT_WIDE_CC, 4: "urn:ietf:params:rtp-hdrext:sdes:mid"},
    feedback=frozenset({"transport-cc", "nack"}),
)
VIDEO = RtpParameters(
    Kind.VIDEO,
    {96: VP8},
    extensions={5: TRANSPORT_WIDE_CC},
    feedback=frozenset({"transport-cc", "goog-remb", "nack", "nack pli"}),
)
RATED = replace(VIDEO, feedback=frozenset({"goog-remb", "nack", "ccm fir"}))
LINES = [
    [AUDIO, VIDEO],
    [replace(AUDIO, feedback=frozenset({"goog-remb"})), RATED],
    [replace(VIDEO, extensions={300: TRANSPORT_WIDE_CC})],
    [VIDEO, VIDEO, replace(AUDIO, extensions={250: TRANSPORT_WIDE_CC})],
    [RATED] * 33,
    [AUDIO, replace(VIDEO, max_bitrate=700_001)],
    [replace(RATED, max_bitrate=99_999_999), RATED],
    [],
]
OURS = 0xDEADBEEF


class Conversation:
    """One conversation held by the reporters of each kind."""

    def __init__(self, lines: list[RtpParameters], now: float, chance: Random) -> None:
        clocks: list[Any] = [mapping.SenderClock(), native.SenderClock()]
        makers: list[Any] = [stream.Stream, native.Stream]
        self.streams: list[list[Any]] = [
            [make(line, clock) for line in lines]
            for make, clock in zip(makers, clocks, strict=True)
        ]
        self.transports: list[Any] = [
            transport_reporter.TransportReporter(OURS),
            native.TransportReporter(OURS),
        ]
        makers = [reporter.Reporter, native.Reporter]
        self.reporters: list[Any] = [
            make(OURS, streams, "slicer-deadbeef", transport)
            for make, streams, transport in zip(makers, self.streams, self.transports, strict=True)
        ]
        for transport in self.transports:
            transport.replace(lines)
        # Some of all ids, and some that are none.
        self.wanted = frozenset(chance.sample([3, 4, 5, 14, 15, 250], 3))
        self.lines, self.now, self.chance = lines, now, chance
        self.sequences = [chance.randrange(1 << 16) for _ in lines]
        self.ssrcs = list(range(1, len(lines) + 1))
        self.transport = chance.choice([0, 65_500, chance.randrange(1 << 16)])
        self.said: list[bytes] = []

    def put(self, line: int, transport: int, profile: int = 0, block: bytes = b"") -> None:
        parameters = self.lines[line]
        number = transport & 0xFFFF
        if not block:
            ids = list(parameters.extensions) or [3]
            profile, block = 0x1000, struct.pack("!BBHx", ids[0] & 0xFF, 2, number)
            if ids[0] < 15:
                profile, block = 0xBEDE, struct.pack("!BHB", ids[0] << 4 | 1, number, 0)
        sequence = self.sequences[line]
        (payload_type,) = parameters.codecs
        one = Packet(
            payload_type,
            True,
            sequence & 0xFFFF,
            sequence * 960 & 0xFFFFFFFF,
            self.ssrcs[line],
            b"x",
            profile,
            block,
            self.now,
        )
        elements = extensions(profile, block)
        wanted = [(number, value) for number, value in elements.items() if number in self.wanted]
        assert [*native.wanted_elements(profile, block, self.wanted).items()] == wanted
        for acknowledging in self.transports:
            acknowledging.arrived(elements, self.now)
        for each, streams in zip(self.reporters, self.streams, strict=True):
            each.arrived(one)
            streams[line].insert(replace(one))

    def step(self, verb: str, amount: int, pause: float) -> None:
        self.now += pause
        if self.lines or verb in ("alone", "timer"):
            getattr(self, verb)(amount)
        first, second = self.reporters
        assert first.deadline() == second.deadline()
        assert Counter(first.counters) == Counter(second.counters)
        assert first.media_ssrc == second.media_ssrc
        first, second = self.transports
        assert first.deadline() == second.deadline()
        assert first.is_agreed == second.is_agreed
        assert Counter(first.counters) == Counter(second.counters)

    def run(self, amount: int) -> None:
        """Packets of all lines by turns, some of them swapped or twice."""
        order = list(range(amount % 70 + 1))
        if amount % 3 == 0:
            self.chance.shuffle(order)
        for number in order:
            line = number % len(self.lines)
            self.sequences[line] += 1
            self.now += self.chance.choice([0.0, 0.001, 0.02])
            self.put(line, self.transport + number)
            if amount % 7 == 0:
                self.now += 0.001
                self.put(line, self.transport + number)
        self.transport += len(order)

    def flood(self, amount: int) -> None:
        for number in range(MAX_PACKETS + amount % 20):
            self.put(0, self.transport + number)
        self.transport += MAX_PACKETS + amount % 30

    def lose(self, amount: int) -> None:
        self.transport += amount % 40
        self.sequences[amount % len(self.lines)] += amount % 40

    def jump(self, amount: int) -> None:
        self.transport += [MAX_PACKETS - 1, MAX_PACKETS, -300, 32_767, -32_768, 70_000][amount % 6]

    def another_source(self, amount: int) -> None:
        self.ssrcs[amount % len(self.lines)] = 100 + amount % 5

    def element(self, _amount: int) -> None:
        """A header extension with any elements, the ones that count among them."""
        at = self.chance.randrange(len(self.lines))
        block = b""
        for _ in range(self.chance.randrange(1, 8)):
            number, size = (
                self.chance.choice([0, 3, 3, 5, 5, 4, 15, 250]),
                self.chance.choice([0, 1, 2, 2, 2, 3, 16, 40]),
            )
            value = self.chance.randbytes(size)
            if number < 16 and 0 < size <= 16 and self.chance.random() < 0.9:
                block += bytes([number << 4 | size - 1]) * (number > 0) + value * (number > 0)
            else:
                block += bytes([number, size]) + value
        block = block[: max(1, len(block) - self.chance.choice([0, 0, 0, 1, 2]))]
        self.put(at, 0, self.chance.choice([0xBEDE, 0xBEDE, 0x1000, 0x100F, 0x1234]), block)

    def two_byte_element(self, _amount: int) -> None:
        block = b""
        for _ in range(self.chance.randrange(1, 8)):
            value = self.chance.randbytes(self.chance.choice([0, 2, 2, 2, 3]))
            block += bytes([self.chance.choice([0, 3, 5, 5, 250]), len(value)]) + value
        self.put(self.chance.randrange(len(self.lines)), 0, 0x1000 | len(block) & 15, block)

    def report(self, amount: int) -> None:
        ssrc = self.chance.choice([*self.ssrcs, 99])
        ntp = (0xE0A1B2C3 << 32) + int((self.now + amount / 1000) * (1 << 32))
        if amount % 9 == 0:
            ntp = self.chance.randrange(1 << 64)
        timestamp = self.chance.choice([amount * 9600, self.chance.randrange(1 << 32)])
        for each in self.reporters:
            each.receive(rtcp.SenderReport(ssrc, ntp, timestamp, 1, 2), self.now)

    def alone(self, amount: int) -> None:
        """Feedback that goes without a reporter's compound."""
        first, second = (each.handle_timer(amount, self.now) for each in self.transports)
        assert first == second

    def timer(self, amount: int) -> None:
        asking = [line for line in range(len(self.lines)) if amount >> line % 8 & 1]
        if amount % 2:
            asking = []
        first, second = (
            each.handle_timer([streams[line] for line in asking], self.now)
            for each, streams in zip(self.reporters, self.streams, strict=True)
        )
        assert first == second
        self.said += first
        for one, other in zip(*self.streams, strict=True):
            one.drain(self.now)
            other.drain(self.now)
            assert one.mapper.settled == other.mapper.settled

    def doze(self, amount: int) -> None:
        for streams in self.streams:
            streams[amount % len(self.lines)].doze()


VERBS = (
    ["run"] * 4
    + ["timer"] * 8
    + ["lose", "report", "report", "element", "two_byte_element"] * 2
    + ["flood", "jump", "another_source", "alone", "doze"]
)
PAUSES = [0.0, 0.0, 0.001, 0.02, 0.05, 0.1, 0.11, 0.3, 0.95, 1.0, 9.0, 40.0]


@settings(max_examples=100)
@given(
    st.sampled_from(LINES),
    st.sampled_from([-50.0, -1.05, 0.0, 100.0, 600_000.0]),
    st.integers(0, 1 << 32),
    st.lists(
        st.tuples(st.sampled_from(VERBS), st.integers(0, 2000), st.sampled_from(PAUSES)),
        max_size=40,
    ),
)
def test_conversations_are_alike(
    lines: list[RtpParameters], now: float, seed: int, steps: list[tuple[str, int, float]]
) -> None:
    conversation = Conversation(lines, now, Random(seed))
    for verb, amount, pause in steps:
        conversation.step(verb, amount, pause)
    conversation.step("timer", 0, 1.0)


def test_what_there_was_no_room_for_moves_nothing() -> None:
    conversation = Conversation([AUDIO], 100.0, Random(1))
    conversation.transport = 0
    conversation.step("flood", 0, 0.0)
    for number in (20_000, 40_000):
        conversation.put(0, number)
    conversation.transport = 40_010
    for _ in range(3):
        conversation.step("timer", 0, 0.2)
        conversation.step("lose", 3, 0.0)
        conversation.step("run", 1, 0.0)
    conversation.step("timer", 0, 0.2)
    assert conversation.transports[1].counters["unacknowledged"] == 2


def test_long_conversations_are_alike_and_have_seen_everything() -> None:
    counted, kinds, sizes = Counter[str](), Counter[str](), set[int]()
    for seed in range(10):
        chance = Random(seed)
        conversation = Conversation(LINES[seed % 5], chance.choice([-50.0, 100.0]), chance)
        for _ in range(250):
            pause = chance.choice(PAUSES)
            conversation.step(chance.choice(VERBS), chance.randrange(2000), pause)
        counted += conversation.reporters[0].counters
        counted += conversation.transports[0].counters
        for compound in conversation.said:
            packets = rtcp.parse(compound)
            kinds.update(type(packet).__name__ for packet in packets)
            sizes.add(sum(isinstance(packet, rtcp.TransportFeedback) for packet in packets))
    assert {"unacknowledged", "keyframe_requests"} == set(counted)
    assert set(kinds) == {
        *("ReceiverReport", "SourceDescription", "Nack", "Remb", "TransportFeedback"),
        *("PictureLossIndication", "FullIntraRequest"),
    }
    assert max(sizes) > 1


@given(U32, U32, st.lists(st.integers(0, 0xFFFF), max_size=512))
def test_lists_of_missing_packets_are_alike(sender: int, media: int, missing: list[int]) -> None:
    writer = native.RtcpWriter()
    writer.nack(sender, media, missing)
    assert writer.compound() == rtcp.build([rtcp.Nack(sender, media, tuple(missing))])


@given(U32, st.lists(st.integers(-40, 40), max_size=512), st.integers(0, 0xFFFF))
def test_near_missing_packets_are_alike(media: int, steps: list[int], sequence: int) -> None:
    missing = [sequence := sequence + step & 0xFFFF for step in steps]
    writer = native.RtcpWriter()
    writer.nack(OURS, media, missing)
    assert writer.compound() == rtcp.build([rtcp.Nack(OURS, media, tuple(missing))])


@given(
    U32,
    st.lists(
        st.tuples(U32, st.integers(0, 255), st.integers(-(2**40), 2**40), U32, U32, U32, U32),
        max_size=31,
    ),
)
def test_report_blocks_are_alike(ssrc: int, numbers: list[tuple[int, ...]]) -> None:
    blocks = tuple(rtcp.ReportBlock(*each) for each in numbers)
    writer = native.RtcpWriter()
    writer.receiver_report(ssrc, blocks)
    assert writer.compound() == rtcp.build([rtcp.ReceiverReport(ssrc, blocks)])


@given(U32, st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60))
def test_descriptions_are_alike(ssrc: int, cname: str) -> None:
    writer = native.RtcpWriter()
    writer.description(ssrc, cname.encode())
    assert writer.compound() == rtcp.build([rtcp.SourceDescription(((ssrc, cname),))])
