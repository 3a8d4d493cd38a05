"""One anchor's media: the native Bundle gives what the reference gives, to the last bit."""

import gc
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slicer.rtp import rtcp
from slicer.rtp.parameters import (
    AUDIO_LEVEL,
    AV1,
    G722,
    H264,
    H265,
    OPUS,
    PCMA,
    PCMU,
    TRANSPORT_WIDE_CC,
    VP8,
    VP9,
    Codec,
    Kind,
    RtpParameters,
)
from slicer.slicing.outputs import TrackKey
from slicer.slicing.spec import AudioSpec, VideoSpec
from tests.harness.rtp.call import Call, Network, datagram, opus, vp8
from tests.harness.rtp.codec_sender import TOCS, CodecSender
from tests.harness.rtp.packetize import redundant
from tests.harness.rtp.parts import NATIVE

if not NATIVE:
    pytest.importorskip("slicer._hot", reason="the native plane is not built")
from tests.harness.rtp.lockstep import Lockstep

TASKS = ("one", "two", "three")
SPROP = {"sprop-parameter-sets": "Z0LgH6o=,aM48gA=="}
H264_SPROP = Codec("h264", 90_000, format=SPROP)
H264_BROKEN_SPROP = Codec("h264", 90_000, format={"sprop-parameter-sets": "Z0,é,"})
H265_SPROP = Codec(
    "h265", 90_000, format={"sprop-vps": "QAEMAQ==", "sprop-sps": "Q,é", "sprop-pps": ""}
)
STRANGE = Codec("h261", 90_000)

SOUNDS = {111: OPUS, 0: PCMU, 8: PCMA, 9: G722}
SIGHTS = {
    96: VP8,
    98: VP9,
    102: H264,
    104: H264_SPROP,
    106: H264_BROKEN_SPROP,
    45: AV1,
    47: H265,
    49: H265_SPROP,
}
FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc")


def parameters(
    kind: Kind, first: int, rtx: bool, transport: bool, feedback: frozenset[str]
) -> RtpParameters:
    """One m-line; its sender begins with the codec of payload type *first*."""
    all_codecs = SOUNDS if kind is Kind.AUDIO else SIGHTS
    codecs = {first: all_codecs[first]} | all_codecs
    if kind is Kind.VIDEO:
        codecs[50] = STRANGE
    repeating = {(112 if kind is Kind.AUDIO else 97): first, 51: 50} if rtx else {}
    extensions = {3: TRANSPORT_WIDE_CC} if transport else {}
    if transport and kind is Kind.AUDIO:
        extensions[8] = AUDIO_LEVEL
    red = {63: first} if kind is Kind.AUDIO else {}
    return RtpParameters(kind, codecs, repeating, extensions, feedback, red=red)


def streams(kind: Kind, numbers: Sequence[int]) -> st.SearchStrategy[RtpParameters]:
    return st.builds(
        parameters,
        st.just(kind),
        st.sampled_from(numbers),
        st.booleans(),
        st.booleans(),
        st.frozensets(st.sampled_from(FEEDBACK)),
    )


SOUND_LINES, SIGHT_LINES = streams(Kind.AUDIO, [*SOUNDS]), streams(Kind.VIDEO, [*SIGHTS])
LINES = st.one_of(
    st.tuples(SOUND_LINES, SIGHT_LINES).map(list),
    st.tuples(SIGHT_LINES, SOUND_LINES).map(list),
    st.lists(st.one_of(SOUND_LINES, SIGHT_LINES), max_size=3),
)


@dataclass(frozen=True)
class Event:
    """Something that happens in a call, with numbers that each kind of event reads its own way."""

    what: str
    which: int
    amount: float


CALM = ("run", "run", "run", "attach", "attach", "detach")
HAPPENS = (
    *CALM,
    *("loss", "jitter", "duplicate", "blocked", "mute", "clock", "sequence", "ssrc", "size"),
    *("deaf", "group", "garbage", "bye", "report", "codec", "markers", "tocs", "padding"),
    *("tick", "frozen", "bare", "pace", "repeats"),
)
EVENTS = st.builds(Event, st.sampled_from(HAPPENS), st.integers(0, 11), st.floats(0, 1))


class Scenario:
    """A call between senders and both Bundles, to which events happen."""

    def __init__(self, lines: Sequence[RtpParameters], seed: int, sealed: bool = False) -> None:
        self.both = Lockstep(lines, sealed=sealed)
        self.senders = [
            CodecSender(
                line,
                ssrc=index + 1,
                sequence=65_500 - 40 * index,
                timestamp=2**32 - 100_000,
                every=0.02 if line.kind is Kind.AUDIO else 0.05,
                reports=1.5 * (index % 2),
                size=60,
            )
            for index, line in enumerate(lines)
        ]
        self.call = Call(self.both.face, [*self.senders], Network(delay=0.02, seed=seed), tick=0.02)

    def happen(self, one: Event) -> None:
        call = self.call
        match one.what:
            case "run":
                call.run(0.1 + 3 * one.amount)
            case "attach":
                key, spec = self._task(one)
                call.take(self.both.attach(key, spec, call.now))
            case "detach":
                call.take(self.both.detach(self._task(one)[0], call.now))
            case "loss":
                call.network.loss = 0.3 * one.amount * (one.which % 2)
            case "jitter":
                call.network.jitter = 0.4 * one.amount * (one.which % 2)
            case "duplicate":
                call.network.duplicate = one.amount * (one.which % 2)
            case "blocked":
                call.network.blocked_until = call.now + 6 * one.amount
            case "tick":
                call.tick = (0.005, 0.02, 0.1, 0.5)[one.which % 4]
            case "garbage":
                batch = [bytes([one.which * 23] * n) for n in range(int(40 * one.amount))]
                call.take(self.both.receive(batch, call.now))
            case _:
                if self.senders:
                    self._turn(self.senders[one.which % len(self.senders)], one)

    def _turn(self, sender: CodecSender, one: Event) -> None:
        """Turn a knob of a sender."""
        match one.what:
            case "mute":
                sender.muted = not sender.muted
            case "frozen":
                sender.frozen = not sender.frozen
            case "deaf":
                sender.deaf = not sender.deaf
            case "markers":
                sender.markers = not sender.markers
            case "bare":
                sender.bare = not sender.bare
            case "repeats":
                sender.repeats = one.which % 4
            case "tocs":
                sender.tocs = TOCS if one.amount > 0.5 else (TOCS[one.which % len(TOCS)],)
            case "clock":
                jump = (0.6, -0.6, 2.0, -5.0, 3600.0, 40_000.0)[one.which // 2]
                sender.timestamp += round(jump * sender.codec.clock_rate)
            case "pace":
                sender.ticks += int(one.amount * 100) - 50
            case "sequence":
                sender.sequence += (3000, -3000, 30_000, 150, -20)[one.which // 3]
            case "ssrc":
                sender.ssrc = sender.ssrc % 7 + 1
                sender.sequence, sender.timestamp = one.which * 5000, one.which * 1_000_000
            case "size":
                sender.size = 30 + int(one.amount * 400)
            case "group":
                sender.group = int(one.amount * 60)
            case "codec":
                numbers = [*sender.parameters.codecs]
                chosen = numbers[int(one.amount * (len(numbers) - 1))]
                if sender.parameters.codecs[chosen] is not STRANGE:
                    sender.use(chosen)
            case "padding":
                empty = bytearray(sender.packet(b"\0\0\0\4", False))
                empty[0] |= 0x20
                if one.amount > 0.5:  # as probes of the bandwidth are
                    empty[1] = next(iter(sender.parameters.rtx), empty[1])
                self.call.carry(bytes(empty), self.call.now)
            case "bye":
                self.call.carry(sender.bye(), self.call.now)
            case "report":
                ntp = int((3_900_000_000 + self.call.now + one.amount) * 2**32)
                stamp = sender.timestamp & 0xFFFFFFFF
                report = rtcp.SenderReport(sender.ssrc, ntp, stamp, 0, 0)
                self.call.carry(rtcp.build([report]), self.call.now)

    def _task(self, one: Event) -> tuple[TrackKey, AudioSpec | VideoSpec]:
        kind = Kind.AUDIO if one.which % 2 else Kind.VIDEO
        key = TrackKey(TASKS[one.which // 2 % 3], "ann", kind)
        seconds = 1 + int(3 * one.amount)
        wait = (0.0, 0.4, 3.0)[one.which % 3]
        spec = AudioSpec(seconds, wait) if kind is Kind.AUDIO else VideoSpec(seconds, wait)
        return key, spec


FAULTS = (
    *("too_short", "bad_version", "bye", "keyframe_requests", "duplicate", "late", "asleep"),
    *("padding", "needless_retransmission", "retransmitted", "parallel_ssrc", "probation", "moved"),
    *("ssrc_changed", "clock_jumped", "malformed_payload", "moved_into_place", "overlap"),
    *("unanswered", "stray", "restored_by_red"),
)
START = [Event("attach", 0, 0.0), Event("attach", 1, 0.0), Event("run", 0, 0.8)]


def happened(
    lines: Sequence[RtpParameters], events: Sequence[Event], seed: int, sealed: bool = False
) -> Scenario:
    """A call that is over."""
    scenario = Scenario(lines, seed, sealed)
    for one in [*START, *events]:
        scenario.happen(one)
    scenario.call.run(0.5)
    scenario.call.end()
    return scenario


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(LINES, st.lists(EVENTS, max_size=30), st.integers(0, 1000))
def test_whatever_happens_in_a_call(
    lines: list[RtpParameters], events: list[Event], seed: int
) -> None:
    happened(lines, events, seed)


def chance(seed: int, sealed: bool = False) -> Scenario:
    """A call of sound and sight, each with another codec, to which much happens."""
    random = Random(seed)
    lines = [
        parameters(
            kind,
            [*numbers][seed % len(numbers)],
            random.random() < 0.5,
            random.random() < 0.5,
            frozenset(one for one in FEEDBACK if random.random() < 0.6),
        )
        for kind, numbers in ((Kind.AUDIO, SOUNDS), (Kind.VIDEO, SIGHTS))
    ]
    events = [
        Event(random.choice(HAPPENS), random.randrange(12), random.random()) for _ in range(40)
    ]
    return happened(lines[:: random.choice((1, -1))], events, seed, sealed)


def test_calls_of_chance_give_cuts_of_every_codec_and_meet_every_fault() -> None:
    """The same calls every time: nothing compared with nothing would prove nothing."""
    came: Counter[str] = Counter()
    for seed in range(48):
        scenario = chance(seed)
        came.update(f"{cut.codec.name} slice" for cut in scenario.call.slices)
        came.update(f"{cut.codec.name} picture" for cut in scenario.call.pictures)
        came.update(f"{len(cut.frames) > 1} group" for cut in scenario.call.pictures)
        came.update(f"{one.track.kind} settled" for one in scenario.call.settled)
        came.update(scenario.both.counters.keys())
    wanted = {f"{codec.name} slice" for codec in SOUNDS.values()}
    wanted |= {f"{codec.name} picture" for codec in SIGHTS.values()} | {"True group"}
    wanted |= {f"{kind} settled" for kind in Kind}
    assert {name for name in wanted if came[name] < 5} == set()
    assert {name for name in FAULTS if not came[name]} == set()


def test_packets_nobody_needs_are_taken_by_their_header_alone() -> None:
    """Whatever happens, what is then reported and counted is as if they had been decrypted."""
    passed = slept = 0
    for seed in range(14):
        both = chance(seed, sealed=True).both
        passed += both.passed
        slept += both.counters["asleep"]
    # The rest would teach the demultiplexer (a new SSRC, say): only what is authenticated may.
    assert passed > 0.75 * slept > 1000


STEPS = st.tuples(
    st.sampled_from([111, 0, 63, 96, 97, 98, 102, 45, 47, 51, 50]),
    st.sampled_from([1, 1, 1, 2, 3, 1001]),
    st.sampled_from([1, 1, 1, 1, 2, 0, -1, -3, 40, 3000, -3000, 30_000]),
    st.sampled_from([960, 960, 960, 0, 120, 961, -960, 48_000, 144_000, -480_000, 2**31]),
    st.sampled_from([0.0, 0.02, 0.02, 0.3, 2.5, 11.0]),
    st.integers(0, 9),
    st.one_of(st.none(), st.none(), st.none(), st.binary(max_size=60)),
)
WILD = RtpParameters(Kind.AUDIO, {111: OPUS, 0: PCMU}, {112: 111}, red={63: 111})
WILD_SIGHT = RtpParameters(
    Kind.VIDEO,
    {96: VP8, 98: VP9, 102: H264, 45: AV1, 47: H265, 50: STRANGE},
    {97: 96, 51: 50},
    {1: TRANSPORT_WIDE_CC},
    frozenset({"nack", "nack pli", "transport-cc"}),
)


def wild(payload_type: int, sequence: int, kind: int, odd: bytes | None) -> bytes:
    """A payload that may be one of its codec."""
    if odd is not None:
        return odd
    if payload_type in (111, 0):
        return b"\xff\xff" if kind == 9 else bytes([0xE0 + (kind & 3) * 8]) + b"ab"
    if payload_type == 63:
        blocks = [
            (111 if kind < 8 else 13, 960 * back, b"\xe0ab") for back in range(kind % 4, 0, -1)
        ]
        return redundant(111 if kind < 9 else 13, blocks, b"\xe0ab")
    payload = b"\x10" * (kind < 8) + vp8(sequence & 0xFFFF, kind < 3)
    return struct.pack("!H", sequence - 2 & 0xFFFF) + payload if payload_type == 97 else payload


@settings(deadline=None, max_examples=250)
@given(st.lists(STEPS, max_size=60), st.integers(1, 7), st.booleans())
def test_whatever_datagrams_come(
    steps: list[tuple[int, int, int, int, float, int, bytes | None]], size: int, raw: bool
) -> None:
    both, batch, now = Lockstep([WILD, WILD_SIGHT]), list[bytes](), 0.0
    sequence = timestamp = 60_000
    for task in TASKS[:2]:
        both.attach(TrackKey(task, "ann", Kind.AUDIO), AudioSpec(1), 0.0)
        both.attach(TrackKey(task, "ann", Kind.VIDEO), VideoSpec(1), 0.0)
    for payload_type, ssrc, ahead, ticks, wait, kind, odd in steps:
        sequence, timestamp, now = sequence + ahead, timestamp + ticks, now + wait
        payload = wild(payload_type, sequence, kind, odd)
        marker = kind % 2 == 0
        batch.append(datagram(payload, sequence, timestamp, ssrc, payload_type, marker))
        if raw and odd is not None:
            batch.append(odd)
        if len(batch) >= size:
            both.receive(batch, now)
            batch = []
        if kind == 7:
            both.detach(TrackKey(TASKS[sequence % 3], "ann", Kind.VIDEO), now)
        if kind == 5:
            both.attach(TrackKey(TASKS[sequence % 3], "ann", Kind.AUDIO), AudioSpec(2), now)
        deadline = both.deadline()
        if deadline is not None and deadline <= now:
            both.handle_timer(now)
    both.receive(batch, now)
    both.flush(now)


def test_ten_minutes_over_a_bad_line() -> None:
    """With all counters wrapping, and as much drift as an hour would bring."""
    sound = RtpParameters(Kind.AUDIO, {111: OPUS}, feedback=frozenset({"nack", "transport-cc"}))
    sight = replace(WILD_SIGHT, extensions={3: TRANSPORT_WIDE_CC})
    both = Lockstep([sound, sight])
    senders = [
        CodecSender(sound, 1, 60_000, 2**32 - 9_000_000, ppm=160, reports=5),
        CodecSender(sight, 2, 60_000, 2**32 - 9_000_000, 0.1, reports=5, size=100),
    ]
    network = Network(delay=0.03, jitter=0.05, loss=0.02, duplicate=0.001)
    call = Call(both.face, [*senders], network, tick=0.06)
    call.take(both.attach(TrackKey("one", "ann", Kind.AUDIO), AudioSpec(15), 0.0))
    call.take(both.attach(TrackKey("one", "ann", Kind.VIDEO), VideoSpec(5), 0.0))
    call.take(both.attach(TrackKey("two", "ann", Kind.AUDIO), AudioSpec(60), 0.0))
    call.run(600)
    call.end()
    assert len(call.slices) >= 40 + 10
    assert len(call.pictures) > 115
    assert both.counters["retransmitted"] > 25


def resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_receivers_that_are_dropped_leave_nothing() -> None:
    from slicer._hot import Bundle

    def one(number: int) -> None:
        made = Bundle(number)
        made.set_sections("ann", [WILD, WILD_SIGHT], 0.0)
        made.attach(TrackKey("one", "ann", Kind.AUDIO), AudioSpec(1), 0.0)
        made.attach(TrackKey("one", "ann", Kind.VIDEO), VideoSpec(1), 0.0)
        for i in range(60):
            # With a hole, so that packets are held; with a keyframe, so that pictures come.
            sound = datagram(opus(i) + bytes(500), i + (i > 30), i * 960)
            sight = datagram(
                b"\x10" + vp8(i, i % 9 == 0, 1000), i + (i > 50), i * 3000, 2, 96, True
            )
            made.receive([sound, sight, sound[:9]], i * 0.02)
        assert made.counters["too_short"] == 60

    for number in range(300):
        one(number)
    settled = resident()
    for number in range(1500):
        one(number)
    assert resident() - settled < 2 << 20
