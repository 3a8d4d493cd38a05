"""Many anchors on one connection: the native Bundle gives what the reference gives."""

import math
import struct
from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slicer.rtp import rtcp
from slicer.rtp.parameters import (
    AUDIO_LEVEL,
    MID,
    OPUS,
    PCMU,
    REPAIRED_RID,
    RID,
    TRANSPORT_WIDE_CC,
    VP8,
    VP9,
    Kind,
    Role,
    RtpParameters,
)
from slicer.slicing.outputs import TrackKey
from slicer.slicing.spec import AudioSpec, VideoSpec
from tests.harness.rtp.call import AUDIO, AUDIO_TRACK, Call, Network, Sender, datagram, opus
from tests.harness.rtp.codec_sender import CodecSender
from tests.harness.rtp.parts import NATIVE

if not NATIVE:
    pytest.importorskip("slicer._hot", reason="the native plane is not built")
from tests.harness.rtp.lockstep import Lockstep

TASKS = ("one", "two")
CONFERENCE = {3: TRANSPORT_WIDE_CC, 4: MID}
SPOKEN = RtpParameters(
    Kind.AUDIO,
    {111: OPUS},
    {},
    {**CONFERENCE, 8: AUDIO_LEVEL},
    frozenset({"nack", "transport-cc"}),
)
SEEN = RtpParameters(
    Kind.VIDEO, {96: VP8}, {97: 96}, CONFERENCE, frozenset({"nack", "nack pli", "transport-cc"})
)
OFFERED = [replace(line, mid=mid) for mid in "ab" for line in (SPOKEN, SEEN)]
OFFERED += [replace(line, mid="c", role=Role.AUX) for line in (SPOKEN, SEEN)]
OFFERED += [
    replace(SPOKEN, mid="d", codecs={111: OPUS, 0: PCMU}),
    replace(SEEN, mid="d", codecs={98: VP9, 96: VP8}),
    replace(SPOKEN, mid="a", feedback=frozenset()),
    replace(SPOKEN, extensions={}),
    replace(SEEN, extensions={}, feedback=frozenset({"goog-remb", "ccm fir"})),
]
LAYERED = replace(SEEN, extensions={**CONFERENCE, 5: RID, 6: REPAIRED_RID}, rids=("q", "h", "full"))
OFFERED += [replace(LAYERED, mid=mid) for mid in "ef"]
OFFERED += [replace(LAYERED, mid="a", extensions={4: RID, 7: MID})]
ANCHORS = ("ann", "bob", "eve")
CHANGES = st.tuples(
    st.sampled_from(
        ["run", "run", "run", "set", "set", "set", "attach", "detach", "send", "report", "raw"]
    ),
    st.integers(0, 10_000),
    st.floats(0, 1),
)


class Connection:
    """One connection of several anchors, held by both Bundles, negotiated anew at random."""

    def __init__(self, seed: int, sealed: bool = False) -> None:
        self.random = Random(seed)
        self.both = Lockstep(sealed=sealed)
        network = Network(delay=0.02, loss=0.02, seed=seed)
        self.call = Call(self.both.face, [], network, tick=0.02)
        self.changes = 0

    def step(self, what: str, number: int, amount: float) -> None:
        call, chance = self.call, self.random
        anchor = ANCHORS[number % 3]
        match what:
            case "run":
                call.run(0.05 + 2 * amount)
            case "set":
                lines = chance.sample(OFFERED, chance.choice([0, 1, 2, 2, 4]))
                mids = [line.mid for line in lines if line.mid]
                if len(mids) == len(set(mids)):
                    call.take(self.both.set_sections(anchor, lines, call.now))
                    self.changes += 1
            case "send":
                self.send(number)
            case "attach" | "detach":
                kind = Kind.AUDIO if number % 2 else Kind.VIDEO
                role = Role.AUX if number % 5 == 0 else Role.MAIN
                key = TrackKey(TASKS[number // 2 % 2], anchor, kind, role)
                if what == "detach":
                    call.take(self.both.detach(key, call.now))
                else:
                    wait = (0.0, 0.4, 3.0)[number % 3]
                    spec: AudioSpec | VideoSpec = AudioSpec(1, wait)
                    if kind is Kind.VIDEO:
                        height = (None, 180, 400)[number % 3]
                        every = (None, 0.7, 2.5, math.inf)[number % 4]
                        spec = VideoSpec(1, wait, height, every)
                    call.take(self.both.attach(key, spec, call.now))
            case "report":
                ssrcs = [sender.ssrc for sender in call.senders] + [99]
                ntp = int((3_900_000_000 + call.now) * 2**32)
                packets: list[rtcp.RtcpPacket] = [
                    rtcp.SenderReport(chance.choice(ssrcs), ntp, number, 0, 0)
                ]
                if number % 3 == 0:
                    packets.append(rtcp.Bye(tuple(chance.choices(ssrcs, k=number % 5))))
                compound = bytearray(rtcp.build(packets))
                if number % 7 == 0:
                    compound[chance.randrange(len(compound))] ^= 1 << number % 8
                call.take(self.both.receive([bytes(compound)], call.now))
            case "raw":
                self.raw(number)

    def send(self, number: int) -> None:
        """Someone begins to send a section, with an SSRC that may be another's; another stops."""
        senders = self.call.senders
        if len(senders) > 5:
            senders.pop(number % len(senders))
        line = OFFERED[number % len(OFFERED)]
        senders.append(
            CodecSender(
                line,
                ssrc=self.random.choice([1, 2, 3, 4, 5, 6, 1003]),
                sequence=number,
                every=0.02 if line.kind is Kind.AUDIO else 0.05,
                reports=2.0 * (number % 2),
                named=self.random.choice([None, 1, 5]),
                rid=self.random.choice(line.rids) if line.rids else "",
                size=self.random.choice([20, 40, 100]),
            )
        )

    def raw(self, number: int) -> None:
        """Packets of many SSRCs, with any MID or none, in either form of a header extension."""
        batch = []
        mids = [b"a", b"b", b"d", b"e", b"", b"zz", None, None] + [
            self.random.choice([b"a", b"b"])
        ] * 7
        for at in range(number % 80):
            mid = self.random.choice(mids)
            block = b"" if mid is None else bytes([4, len(mid)]) + mid
            if mid and at % 2:
                block = bytes([4 << 4 | len(mid) - 1]) + mid
            if mid == b"e" and at % 3:
                element = self.random.choice([b"q", b"full", b"none"])
                number = self.random.choice([5, 6])
                short = bytes([number << 4 | len(element) - 1]) + element
                block += short if at % 2 else bytes([number, len(element)]) + element
            block = block.ljust(-len(block) % 4 + len(block), b"\0")
            profile = 0xBEDE if mid and at % 2 else 0x1000
            extension = struct.pack("!HH", profile, len(block) // 4) + block if block else b""
            payload_type = self.random.choice([111, 111, 96, 97, 98, 0, 50])
            ssrc = self.random.randrange(number % 97 + 1)
            batch.append(
                datagram(opus(at), number + at, at * 960, ssrc, payload_type, True, extension)
            )
        self.call.take(self.both.receive(batch, self.call.now))

    def end(self) -> None:
        self.call.run(0.5)
        self.call.end()


def test_one_extension_under_every_id_that_there_is() -> None:
    """A peer may map all ids of a one-byte header to MID."""
    ids = dict.fromkeys(range(1, 15), MID)
    both = Lockstep([replace(SPOKEN, mid=mid, extensions=ids) for mid in "ab"])
    for number in ids:
        extension = struct.pack("!HHBBH", 0xBEDE, 1, number << 4, ord("a"), 0)
        both.receive([datagram(opus(number), number, 0, number, 111, True, extension)], 0.1)
    assert not both.counters["unroutable"]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CHANGES, max_size=40), st.integers(0, 1000))
def test_whatever_is_negotiated_anew(steps: list[tuple[str, int, float]], seed: int) -> None:
    connection = Connection(seed)
    for step in steps:
        connection.step(*step)
    connection.end()


ROUTED = (
    *("unknown_mid", "unroutable", "unknown_payload_type", "ssrc_moved", "ssrc_forgotten"),
    *("unknown_ssrc", "bye", "malformed_rtcp", "asleep", "keyframe_requests"),
)


def test_long_slices_begin_alike_where_clocks_drift() -> None:
    both = Lockstep([AUDIO])
    call = Call(both.face, [Sender(AUDIO, ppm=200, reports=3)], Network(jitter=0.03), tick=0.02)
    call.take(both.attach(AUDIO_TRACK, AudioSpec(40), 0.0))
    assert len(call.run(82).cuts) == 2


@pytest.mark.parametrize("sealed", [False, True])
def test_connections_of_chance_give_cuts_and_meet_every_way_to_be_routed(sealed: bool) -> None:
    came: Counter[str] = Counter()
    passed = 0
    for seed in range(8 if sealed else 16):  # sealed, datagrams come one by one: twice the work
        connection = Connection(seed, sealed)
        chance = Random(seed)
        verbs = ["run"] * 4 + ["set"] * 2 + ["attach", "attach", "send", "send", "report", "raw"]
        for _ in range(120):
            connection.step(chance.choice(verbs), chance.randrange(10_000), chance.random())
            both = connection.both
            for anchor in ANCHORS:
                expected = both.reference.counters_of(anchor)
                assert both.native.counters_of(anchor) == expected
        connection.end()
        came.update(connection.both.counters.keys())
        came.update(" ".join(cut.track[1:]) for cut in connection.call.cuts)
        passed += connection.both.passed
    wanted = {f"{anchor} {kind} main" for anchor in ANCHORS for kind in Kind}
    assert {name for name in (*ROUTED, *wanted) if not came[name]} == set()
    assert (passed > 1000) is sealed
