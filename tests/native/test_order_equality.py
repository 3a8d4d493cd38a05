"""Whatever comes, the native twins of packets and their order say what the reference says."""

import importlib
import os
from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.rtp import mapping, packet, red, ring, stream
from slicer.rtp.packet import Packet
from slicer.rtp.parameters import OPUS, PCMU, VP8, VP9, Codec, Kind, RtpParameters
from slicer.rtp.rtcp import nack, reception
from tests.harness.rtp.packetize import redundant

if os.environ.get("SLICER_NATIVE") != "1":
    pytest.importorskip("slicer._parts", reason="the native parts are not built")
native: Any = importlib.import_module("slicer._parts")

STEPS = st.sampled_from([0.0, 0.001, 0.02, 0.02, 0.02, 0.05, 0.2, 0.7, 1.1, 2.5, 31.0])


def read(read: Any, data: bytes) -> Packet | str:
    try:
        found: Packet = read(data)
    except ValueError as refused:
        return str(refused)
    return found


HEADS = st.builds(
    lambda first, words, rest: bytes([first]) + rest[:13] + bytes([0, words]) + rest[13:],
    st.sampled_from([0x80, 0x90, 0xA0, 0xB1, 0x40]),
    st.integers(0, 5),
    st.binary(max_size=60),
)


@given(st.binary(max_size=40) | HEADS)
def test_datagrams_are_read_alike(data: bytes) -> None:
    assert read(native.parse, data) == read(packet.parse, data)


@given(st.sampled_from([0xBEDE, 0x1000, 0x100F, 0x1234]), st.binary(max_size=60))
def test_extensions_are_read_alike(profile: int, block: bytes) -> None:
    assert native.extensions(profile, block) == packet.extensions(profile, block)


BLOCKS = st.tuples(st.sampled_from([111, 13]), st.integers(0, 16_383), st.binary(max_size=6))


@given(st.lists(BLOCKS, max_size=11), st.binary(max_size=9), st.integers(0, 60))
def test_redundant_audio_is_undone_alike(
    blocks: list[tuple[int, int, bytes]], primary: bytes, cut: int
) -> None:
    whole = redundant(111, blocks, primary)
    for payload in (whole, whole[:cut], primary):
        one = Packet(63, True, 3, 500, 1, payload, 0xBEDE, b"\x10a\0\0", 2.0)
        assert undone(native.undo, one) == undone(red.undo, one)


def undone(undo: Any, one: Packet) -> list[Packet] | None:
    try:
        found: list[Packet] = undo(one, 111)
    except ValueError:
        return None
    return found


NEAR = st.integers(-3, 5) | st.integers(-3000, 3000) | st.integers(2046, 2050) | st.just(20_000)
RING_VERBS = st.sampled_from(["insert"] * 12 + ["skip", "pop", "pop", "pop", "flush", "restart"])


def plain(packet: Packet) -> Packet:
    """What a packet that was kept still has."""
    return replace(packet, profile=0, extension=b"")


@settings(max_examples=150)
@given(
    st.integers(-5000, 5000),
    st.sampled_from([0.0, 0.05]),
    st.lists(st.tuples(RING_VERBS, NEAR, st.integers(1, 12), STEPS), max_size=60),
)
def test_rings_are_alike(
    sequence: int, opening: float, steps: list[tuple[str, int, int, float]]
) -> None:
    rings: list[Any] = [ring.ReorderRing(opening, 0.2), native.ReorderRing(opening, 0.2)]
    now = 1.0
    for verb, move, run, pause in steps:
        now += pause
        if verb in ("insert", "skip"):
            sequence += move
            for _ in range(run):
                one = Packet(96, False, sequence, 7 * sequence, 1, b"%d" % sequence, arrival=now)
                said = [getattr(each, verb)(one) for each in rings]
                assert said[0] == said[1]
                if said[0] == "moved" and move % 2:  # otherwise the orphans stay where they are
                    settle(rings)
                sequence += 1
        elif verb == "pop":
            alike([each.pop(now) for each in rings])
        else:
            alike([getattr(each, verb)() for each in rings])
        alike([each.deadline() for each in rings])
        alike([each.expects for each in rings])
        near = range(sequence - 40, sequence + 2)
        alike([[each.lacks(one) for one in near] for each in rings])
    alike([each.pop(now + 1) for each in rings])
    alike([each.orphans() for each in rings])
    alike([each.flush() for each in rings])


def settle(rings: list[Any]) -> None:
    """What a stream does when its source has moved."""
    alike([each.flush() for each in rings])
    orphans = [each.orphans() for each in rings]
    alike(orphans)
    alike([[each.insert(one) for one in there] for each, there in zip(rings, orphans, strict=True)])


def alike(pair: list[Any]) -> None:
    assert pair[0] == pair[1]


NACK_VERBS = st.sampled_from(["receive", "receive", "receive", "forget_before", "handle_timer"])


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(NACK_VERBS, st.integers(-20, 40) | st.integers(-600, 1200), STEPS), max_size=80
    )
)
def test_nack_lists_are_alike(steps: list[tuple[str, int, float]]) -> None:
    lists: list[Any] = [nack.NackList(), native.NackList()]
    now, highest = 1.0, -100
    for verb, move, pause in steps:
        now += pause
        for each in lists:
            if verb == "receive":
                each.receive(highest + move, now)
            elif verb == "forget_before":
                each.forget_before(highest - abs(move))
        if verb == "receive":
            highest = max(highest, highest + move)
        elif verb == "handle_timer":
            for _ in range(abs(move) % 12):
                alike([each.handle_timer(now) for each in lists])
                now += 0.1
        alike([each.deadline() for each in lists])
        alike([[lost in each for lost in range(highest - 600, highest + 2)] for each in lists])


@given(
    st.sampled_from([8_000, 48_000, 90_000]),
    st.lists(
        st.tuples(
            st.sampled_from(["receive"] * 8 + ["report", "reported", "restart"]),
            st.integers(-40_000, 40_000),
            st.integers(-(2**31), 2**31),
            STEPS,
        )
    ),
)
def test_receptions_are_alike(rate: int, steps: list[tuple[str, int, int, float]]) -> None:
    receptions: list[Any] = [reception.Reception(7, rate), native.Reception(7, rate)]
    now, sequence, timestamp = 1.0, 60_000, 0
    for verb, move, turn, pause in steps:
        now, sequence, timestamp = now + pause, sequence + move, timestamp + turn
        for each in receptions:
            if verb == "receive":
                each.receive(sequence, timestamp, now)
            elif verb == "reported":
                each.reported(abs(turn) << 24, now)
            elif verb == "restart":
                each.restart()
        if verb == "report":
            alike([each.report(now) for each in receptions])


OWN_OPUS = Codec("opus", 48_000, 2)  # equal to OPUS, and another all the same
LINES = [
    RtpParameters(Kind.AUDIO, {111: OPUS, 110: OWN_OPUS, 0: PCMU}),
    RtpParameters(
        Kind.VIDEO, {96: VP8, 98: VP9, 100: VP8}, {97: 96, 99: 98}, feedback=frozenset({"nack"})
    ),
    RtpParameters(Kind.VIDEO, {96: VP8}, {97: 96}),
]


class Sender:
    """Puts the same packets into a stream of either kind and holds the two together."""

    def __init__(self, parameters: RtpParameters, sequence: int, timestamp: int) -> None:
        self.streams: list[Any] = [
            stream.Stream(parameters, mapping.SenderClock()),
            native.Stream(parameters, native.SenderClock()),
        ]
        self.parameters = parameters
        self.types, self.repairs = list(parameters.codecs), list(parameters.rtx) or [126]
        self.ticks = 960 if parameters.kind is Kind.AUDIO else 1800
        self.sequence, self.timestamp, self.ssrc = sequence, timestamp, 1
        self.payload_type = self.types[0]
        self.now = 100.0
        self.sleepers = 0
        self.lost: list[int] = []

    def put(self, back: int = 0, **changes: Any) -> None:
        sequence = self.sequence - back
        one = Packet(
            self.payload_type,
            False,
            sequence & 0xFFFF,
            (self.timestamp - back * self.ticks) & 0xFFFFFFFF,
            self.ssrc,
            b"%d" % sequence,
            arrival=self.now,
        )
        one = replace(one, **changes)
        if one.payload_type not in {*self.parameters.codecs, *self.parameters.rtx}:
            return
        sleeps = self.streams[1].would_sleep(one)
        before = self.state(self.streams[1])
        for each in self.streams:
            each.insert(replace(one))
        if sleeps:
            self.sleepers += 1
            before["counters"]["asleep"] += 1
            assert self.state(self.streams[1]) == before

    @staticmethod
    def state(each: Any) -> dict[str, Any]:
        """What a packet that is slept over leaves as it is, and how often one was."""
        return {
            "counters": Counter(each.counters),
            "epoch": each.epoch,
            "asleep": each.asleep,
            "deadline": each.deadline(),
            "candidates": list(each.candidates),
            "ssrc": each.source and each.source.ssrc,
        }

    def step(self, verb: str, amount: int, pause: float) -> None:
        self.now += pause
        getattr(self, verb)(amount)
        states = [self.state(each) for each in self.streams]
        alike(states)
        alike([list(each.retired) for each in self.streams])

    def run(self, amount: int) -> None:
        for i in range(amount % 64 + 1):
            self.sequence += 1
            self.timestamp += self.ticks
            self.now += self.ticks / self.parameters.codecs[self.types[0]].clock_rate
            self.put()
            if not (amount + i) % 4:
                self.drain(0)

    def lose(self, amount: int) -> None:
        for _ in range(amount % 5 + 1):
            self.sequence += 1
            self.timestamp += self.ticks
            self.lost.append(self.sequence)
        self.run(amount % 3)

    def overtaken(self, amount: int) -> None:
        self.put(back=amount % 20)

    def repair(self, amount: int) -> None:
        """Send again what was lost, from the last one on, or what was not."""
        first = self.lost[-1] if self.lost and amount % 5 else self.sequence
        self.lost = self.lost[:-1]
        for lost in range(first, first - amount % 4 - 1, -1):
            self.put(
                back=self.sequence - lost,
                payload_type=self.repairs[amount % len(self.repairs)],
                sequence=amount & 0xFFFF,
                ssrc=2000,
                payload=(lost & 0xFFFF).to_bytes(2) + b"again" if amount % 9 else b"",
            )

    def garbage(self, amount: int) -> None:
        self.put(
            sequence=amount * 7919 & 0xFFFF,
            timestamp=amount * 123_456_789 & 0xFFFFFFFF,
            ssrc=amount % 3,
        )

    def jump_of_the_clock(self, amount: int) -> None:
        self.timestamp += [24_000, 90_000, -90_000, 2**31, -(2**31), 300_000, -480][amount % 7]

    def jump_of_sequences(self, amount: int) -> None:
        self.sequence += [3000, -3000, 32_767, -32_768, 1500, -40, 65_000][amount % 7]
        self.now += amount % 3

    def another_source(self, amount: int) -> None:
        self.ssrc = amount % 20 + 1

    def another_codec(self, amount: int) -> None:
        self.payload_type = self.types[amount % len(self.types)]

    def strangers(self, amount: int) -> None:
        for ssrc in range(amount % 30):
            self.put(ssrc=100 + ssrc)

    def doze(self, amount: int) -> None:
        until = float("inf") if amount % 3 == 0 else self.timestamp + 960 * (amount % 80)
        for each in self.streams:
            each.doze(until)

    def wake(self, _amount: int) -> None:
        for each in self.streams:
            each.wake()

    def drain(self, _amount: int) -> None:
        self.same([each.drain(self.now) for each in self.streams])

    def flush(self, _amount: int) -> None:
        self.same([each.flush() for each in self.streams])

    def ask(self, _amount: int) -> None:
        alike([each.missing(self.now) for each in self.streams])

    def report(self, amount: int) -> None:
        for each in self.streams:
            each.mapper.reported(1000.0 + amount / 100, self.timestamp, self.now)
        if self.streams[0].source is not None:
            alike([each.source.reception.report(self.now) for each in self.streams])

    def same(self, pair: list[list[Any]]) -> None:
        alike(
            [
                [
                    (
                        plain(one.packet),
                        id(one.codec),
                        one.contiguous,
                        one.epoch,
                        one.mapper.at(one.packet.timestamp),
                    )
                    for one in given
                ]
                for given in pair
            ]
        )


VERBS = (
    ["run"] * 8
    + ["lose", "overtaken", "repair"] * 3
    + ["garbage", "ask", "drain", "doze", "wake"] * 2
    + ["jump_of_the_clock", "jump_of_sequences", "another_source", "another_codec"]
    + ["strangers", "flush", "report"]
)


@settings(max_examples=200)
@given(
    st.sampled_from(LINES),
    st.integers(0, 65_535) | st.just(0) | st.just(65_530),
    st.integers(0, 2**32 - 1) | st.just(2**32 - 9000),
    st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 2000), STEPS), max_size=60),
)
def test_streams_are_alike(
    parameters: RtpParameters,
    sequence: int,
    timestamp: int,
    steps: list[tuple[str, int, float]],
) -> None:
    sender = Sender(parameters, sequence, timestamp)
    for verb, amount, pause in steps:
        sender.step(verb, amount, pause)
    sender.step("flush", 0, 1.0)
    sender.step("report", 0, 0.0)


COUNTED = {
    *("duplicate", "late", "stray", "moved", "asleep", "padding", "needless_retransmission"),
    *("retransmitted", "parallel_ssrc", "probation", "ssrc_changed", "clock_jumped"),
}


def test_long_lives_are_alike_and_have_seen_everything() -> None:
    counted = set[str]()
    for life in range(12):
        chance = Random(life)
        sender = Sender(LINES[life % len(LINES)], chance.randrange(2**16), chance.randrange(2**32))
        for _ in range(300):
            pause = chance.choice([0.0, 0.0, 0.0, 0.02, 0.2, 0.7, 2.5])
            sender.step(chance.choice(VERBS), chance.randrange(2000), pause)
        counted |= set(sender.streams[0].counters)
    assert counted == COUNTED


@pytest.mark.parametrize("line", range(len(LINES)))
def test_what_will_sleep_is_known_beforehand(line: int) -> None:
    sender = Sender(LINES[line], 65_000, 5)
    sender.step("run", 20, 0.0)
    sender.step("doze", 3, 0.0)
    for _ in range(20):
        sender.step("run", 63, 0.0)
    assert sender.sleepers == 20 * 64
    assert sender.streams[1].counters["asleep"] == 20 * 64


@pytest.mark.parametrize(
    "changes",
    [
        {"ssrc": 9},
        {"payload_type": 98},
        {"payload_type": 97},
        {"sequence": 3},
        {"sequence": 40_000},
        {"timestamp": 0},
        {"timestamp": 90_000 * 60},
    ],
)
def test_what_is_more_than_slept_over_is_not_called_asleep(changes: dict[str, Any]) -> None:
    sender = Sender(LINES[1], 1000, 90_000 * 10)
    sender.step("run", 20, 0.0)
    sender.step("doze", 3, 0.0)
    sender.step("run", 20, 0.0)
    slept = sender.sleepers
    sender.sequence += 1
    sender.put(**changes)
    assert sender.sleepers == slept
    alike([sender.state(each) for each in sender.streams])


def test_a_late_packet_is_slept_over() -> None:
    sender = Sender(LINES[1], 1000, 90_000 * 10)
    sender.step("run", 20, 0.0)
    sender.step("doze", 3, 0.0)
    slept = sender.sleepers
    sender.sequence += 1
    sender.put(arrival=200.0)
    assert sender.sleepers == slept + 1
    alike([sender.state(each) for each in sender.streams])


def test_a_sleep_that_ends_is_not_slept_over() -> None:
    sender = Sender(LINES[1], 1000, 90_000)
    sender.step("run", 20, 0.0)
    for each in sender.streams:
        each.doze(sender.timestamp + 10 * sender.ticks)
    sender.step("run", 19, 0.0)
    assert sender.sleepers == 9
    alike([each.asleep for each in sender.streams])
    assert not sender.streams[0].asleep
