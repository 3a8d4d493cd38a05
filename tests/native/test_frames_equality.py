"""Whatever comes, the native depacketizers give the frames that the reference gives, or refuse."""

import base64
import importlib
import os
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.rtp import codecs
from slicer.rtp.codecs import h265, opus
from slicer.rtp.codecs.assembly import MAX_FRAME, MAX_PIECES
from slicer.rtp.codecs.frame import Frame
from slicer.rtp.codecs.h264 import NALS
from slicer.rtp.codecs.nal import NalFormat
from slicer.rtp.codecs.parameter_sets import ParameterSets
from slicer.rtp.parameters import Codec
from tests.harness.media.video import encoded
from tests.harness.rtp.depacketize import sent
from tests.harness.rtp.packetize import annexb

if os.environ.get("SLICER_NATIVE") != "1":
    pytest.importorskip("slicer._parts", reason="the native parts are not built")
native: Any = importlib.import_module("slicer._parts")

CODECS = sorted(codecs.VIDEO)
every_codec = pytest.mark.parametrize("codec", CODECS)
MALFORMED = "malformed"
NOTHING: Mapping[str, str] = {}


class Step(NamedTuple):
    """One call of push, and whether the native twin rests after it."""

    payload: bytes
    timestamp: int
    marker: bool = False
    contiguous: bool = True
    rest: bool = False


def pushed(taker: Any, step: Step) -> Frame | str | None:
    """What comes out of one call."""
    try:
        frame: Frame | None = taker.push(step.payload, step.timestamp, step.marker, step.contiguous)
    except ValueError:
        return MALFORMED
    return frame


def assert_equal(
    codec: str, steps: Iterable[Step], format: Mapping[str, str] = NOTHING, height: int = 0
) -> list[Frame | str | None]:
    """Push all to both, and compare after each; gives what both gave. *height*: that is enough."""
    of = Codec(codec, 90_000, 1, format)
    expected, twin = codecs.VIDEO[codec].depacketizer(of), native.VIDEO[codec].depacketizer(of)
    expected.height = twin.height = height
    results = []
    for step in steps:
        starts = codecs.VIDEO[codec].starts_keyframe(step.payload)
        assert native.VIDEO[codec].starts_keyframe(step.payload) == starts
        tells = codecs.VIDEO[codec].height(step.payload)
        assert native.VIDEO[codec].height(step.payload) == tells
        results.append(pushed(expected, step))
        assert pushed(twin, step) == results[-1]
        if step.rest:
            twin.rest()
    return results


# Real streams, damaged.


def damaged(codec: str, random: Random) -> list[Step]:
    """A window of a real stream, in which packets are lost, repeated, moved and spoiled."""
    packets = sent(codec, encoded(codec), random.choice([60, 150, 333, 1200]))
    start = random.randrange(len(packets) - 5)
    steps: list[Step] = []
    late: list[Step] = []
    contiguous = random.random() < 0.5
    for packet in packets[start : start + random.randint(5, 60)]:
        step = Step(packet.payload, packet.timestamp, packet.marker, contiguous)
        fate = random.randrange(24)
        contiguous = fate != 0
        if fate == 1:
            late.append(step)
        elif fate > 1:
            steps += spoiled(step, fate, random)
        if late and fate > 18:
            steps.append(late.pop()._replace(contiguous=random.random() < 0.5))
    return steps


def spoiled(step: Step, fate: int, random: Random) -> list[Step]:
    """What becomes of one packet; mostly nothing."""
    coin, payload = random.random() < 0.5, step.payload
    at, some = random.randrange(20), random.randbytes(random.randrange(1, 4))
    match fate:
        case 2:
            return [step, step]
        case 3:
            return [step._replace(payload=payload[:at] + some + payload[at + len(some) :])]
        case 4:
            return [step._replace(payload=payload[:at])]
        case 5:
            return [step._replace(payload=random.randbytes(at))]
        case 6:
            return [step._replace(marker=not step.marker, rest=coin)]
        case 7:
            return [step._replace(timestamp=step.timestamp + random.choice([-3000, 1, 3000]))]
        case 8:
            return [step._replace(contiguous=False)]
        case 9:
            return [Step(b"", step.timestamp, False, coin), step]
    return [step]


@every_codec
@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_damaged_streams_give_the_same_frames(codec: str, seed: int) -> None:
    assert_equal(codec, damaged(codec, Random(seed)))


@every_codec
def test_an_intact_stream_gives_frames_on_both(codec: str) -> None:
    packets = sent(codec, encoded(codec), 333)
    steps = [Step(p.payload, p.timestamp, p.marker, rest=p.marker) for p in packets]
    assert assert_equal(codec, steps).count(None) == len(steps) - 12


# Payloads put together from the pieces that each format is made of.

KEY_VP8, KEY_VP9 = b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xf0\x00", b"\x82\x49\x83\x42"
# Of 1280 x 720 (Chromium's are alike), and the first bytes of its layers of 180, 360 and 720 lines.
SEQUENCE_AV1 = b"\x08" + bytes.fromhex("0007012d4cffb3d55d54")
LAYERS_AV1 = [
    b"\x09\x34\x00" + bytes.fromhex("124fcb31234568"),
    b"\x0c\x34\x08" + bytes.fromhex("31e2200000009fd67123"),
    b"\x0d\x34\x10" + bytes.fromhex("30e2200000123456801234"),
]
SPROP = {
    "h264": {"sprop-parameter-sets": "Z0IACvhB,aM44gA=="},
    "h265": {
        "sprop-vps": "QAEMAQ==",
        "sprop-sps": "QgEBYGBgYGBgYGBgYGBgYKA=",
        "sprop-pps": "RAHBgA==",
    },
}
SPS, PPS = b"\x67\x42\x00\x0a\xf8\x41", b"\x68\xce\x38\x80"
VPS, PPS_265 = b"\x40\1\x0c\1", b"\x44\1\xc1\x80"
SPS_265 = b"\x42\1\1" + b"\x60" * 12 + b"\xa0"
HEADS: dict[str, list[bytes]] = {
    "vp8": [b"\x10", b"\x11", b"\x00", b"\x90\x80\x01", b"\x90\xf0\x81\x01\x05\x05", b"\x80\x30"],
    "vp9": [
        *(b"\x0c", b"\x08", b"\x04", b"\x4c", b"\x2c\x00\x00", b"\x2c\x03\x00", b"\x6c\x02\x00"),
        *(b"\xbc\x81\x01\x00", b"\xdc\x01\x03\x05\x06", b"\x0e\x10\x01\x40\x00\xf0"),
        *(b"\x28\x02\x00", b"\x20\x02\x00", b"\x24\x02\x00", b"\x24\x00\x00", b"\x6c\x04\x00"),
        *(b"\x0e\x38\x01\x40\x00\xf0\x02\x80\x01\xe0\x02\x04\x01\x08\x01\x02", b"\x0e\xf8"),
    ],
    "h264": [
        *(b"\x78\0\6" + SPS, b"\x78\0\6" + SPS + b"\0\4" + PPS, b"\x78\0\2\x09\xf0", b"\x78"),
        *(b"\x7c\x85", b"\x7c\x05", b"\x7c\x45", b"\x7c\xc5", b"\x7c\x81", b"\x7c\x41"),
        *(b"\x7c\x89", b"\x7c\x49", b"\x7c\x87", b"\x7c\x47", b"\x09\xf0", SPS, PPS),
        *(b"\x65\x88", b"\x41\x9a", b"\x61", b"\x06\x05", b"\x79\0", b"\x67\x42\x00\x1f\x5a"),
    ],
    "h265": [
        *(b"\x60\1\0\4" + VPS, b"\x60\1\0\4" + VPS + b"\0\x10" + SPS_265, b"\x60\1", b"\x60"),
        *(b"\x62\1\x93", b"\x62\1\x13", b"\x62\1\x53", b"\x62\1\xd3", b"\x62\1\x81"),
        *(b"\x62\1\x41", b"\x62\1\xa3", b"\x62\1\x63", b"\x62\1\xa0", b"\x62\1\x60"),
        *(b"\x46\1\x50", VPS, SPS_265, PPS_265, b"\x2a\1", b"\x26\1\xaf", b"\x02\1\xd0"),
        *(b"\x00\1", b"\x10\1\x80", b"\x4e\1\5", b"\x64\1\0\0", b"\x60\1\0\3\x44\1\xc1"),
    ],
    "av1": [
        *(b"\x08", b"\x18", b"\x28", b"\x38", b"\x10", b"\x20", b"\x30", b"\x00", b"\x58"),
        *(b"\x90", b"\xd0", b"\x50", b"\x40", b"\xc0", b"\x80", b"\x98", b"\xa0", b"\xe0"),
    ],
}
BODIES: dict[str, list[bytes]] = {
    "vp8": [KEY_VP8, b"\x11\x02\x00\x55", KEY_VP8[:9], b"\x00", b"\x01"],
    "vp9": [KEY_VP9, b"\x86\x00\x40\x92", b"\xb1\x00", b"\x42", bytes(300)],
    "h264": [
        *(b"\0\2\x65\x88", b"\0\3\x41\x9a\x00", b"\0\0", b"\0\1", b"\0\6" + SPS, b"\0\4" + PPS),
        *(b"\x88", b"\x42", b"\xf0", b"\0\2\x09\xf0"),
    ],
    "h265": [
        *(b"\0\3\x26\1\xaf", b"\0\4\2\1\xd0\0", b"\0\0", b"\0\1", b"\0\4" + VPS),
        *(b"\0\x10" + SPS_265, b"\0\4" + PPS_265, b"\x88", b"\x42", b"\xf0", b"\0\3\x46\1\x50"),
    ],
    "av1": [
        *(b"\x02\x08\x00", b"\x08\x00", b"\x03\x30\x10\x20", b"\x30\x10\x20", b"\x30\x30\x20"),
        *(b"\x0a\x01\x00", b"\x32\x02\x10\x20", b"\x03\x0a\x01\x00", b"\x04\x32\x02\x10\x20"),
        *(
            b"\x00",
            b"\x01\x10",
            b"\x02\x12\x00",
            b"\x02\x40\x01",
            b"\x80",
            b"\x80\x00",
            b"\x34\x28",
        ),
        *(b"\x02\x08\x18", b"\x05\x36\x28\x82\x00\x10", b"\x32\x82\x00\x10\x20", b"\x34"),
        *(b"\x0b" + SEQUENCE_AV1, *LAYERS_AV1),
    ],
}


def assembled(codec: str, random: Random) -> list[Step]:
    """Payloads of plausible beginnings and whatever continues them."""
    steps = []
    for _ in range(random.randint(1, 14)):
        payload = random.choice(HEADS[codec])
        payload += b"".join(random.choices(BODIES[codec], k=random.randrange(5)))
        if random.random() < 0.1:
            payload = random.randbytes(random.randrange(12))
        flags = random.random() < 0.5, random.random() < 0.85, random.random() < 0.3
        steps.append(Step(payload, random.choice([0, 0, 0, 3000, 6000]), *flags))
    return steps


@every_codec
@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_assembled_payloads_give_the_same_frames(codec: str, seed: int) -> None:
    random = Random(seed)
    for _ in range(20):
        described = random.choice([{}, SPROP.get(codec, {})])
        assert_equal(codec, assembled(codec, random), described, random.choice([0, 240, 400]))


def test_assembled_payloads_make_frames_of_both_kinds_and_are_refused() -> None:
    for codec in CODECS:
        random = Random(1)
        results = [
            each for _ in range(300) for each in assert_equal(codec, assembled(codec, random))
        ]
        assert results.count(MALFORMED) > 50
        assert {each.keyframe for each in results if isinstance(each, Frame)} == {True, False}


# The limits, to the byte and to the piece.


class Giant(NamedTuple):
    """Payloads of one frame: the first, and what it counts; how any further and the last begin."""

    first: bytes
    head: bytes
    last: bytes
    size: int
    pieces: int


GIANTS = {
    "vp8": Giant(b"\x10" + KEY_VP8, b"\x00", b"\x00", len(KEY_VP8), 1),
    "vp9": Giant(b"\x08" + KEY_VP9, b"\x00", b"\x00", len(KEY_VP9), 1),
    "h264": Giant(b"\x7c\x81\x9a", b"\x7c\x01", b"\x7c\x41", 6, 3),
    "h265": Giant(b"\x62\1\x81\xd0", b"\x62\1\1", b"\x62\1\x41", 7, 3),
    "av1": Giant(b"\x58\x30\x10", b"\xd0", b"\x90", 2, 1),
}


def giant(codec: str, middle: list[bytes]) -> list[Step]:
    """One frame, between others where that is needed to tell where it ends."""
    it = GIANTS[codec]
    around = {"h264": (b"\x09\xf0", b"\x41\x9a"), "h265": (b"\x46\1\x50", b"\2\1\xd0")}
    before, after = around.get(codec, (b"", b""))
    return [
        *[Step(before, -1)] * bool(before),
        Step(it.first, 0),
        *(Step(it.head + data, 0) for data in middle),
        Step(it.last + b"x", 0, True),
        *[Step(after, 1)] * bool(after),
    ]


@every_codec
@pytest.mark.parametrize("past", [-1, 0, 1])
def test_a_byte_past_the_largest_frame_is_refused(codec: str, past: int) -> None:
    size = MAX_FRAME + past - GIANTS[codec].size - 1
    results = assert_equal(codec, giant(codec, [bytes(size // 2), bytes(size - size // 2)]))
    sizes = [len(each.data) for each in results if isinstance(each, Frame)]
    assert (MALFORMED in results, sizes == []) == (past > 0, past > 0)


@every_codec
@pytest.mark.parametrize("past", [-1, 0, 1])
def test_a_piece_past_the_most_is_refused(codec: str, past: int) -> None:
    count = MAX_PIECES + past - GIANTS[codec].pieces - 1
    results = assert_equal(codec, giant(codec, [b"x"] * count))
    assert (MALFORMED in results) == (past > 0)
    assert any(isinstance(each, Frame) for each in results) == (past <= 0)


@pytest.mark.parametrize("past", [-1, 0, 1])
def test_a_superframe_index_counts_as_bytes_and_as_a_piece(past: int) -> None:
    first, last = Step(b"\x28\x00\x00" + KEY_VP9, 0), Step(b"\x2c\x02\x00" + KEY_VP9, 0, True)
    middle = [Step(b"\x20\x00\x00x", 0)] * (MAX_PIECES + past - 3)
    results = assert_equal("vp9", [first, *middle, last])
    assert (results[-1] == MALFORMED) == (past > 0)
    bulk = Step(b"\x20\x00\x00" + bytes(MAX_FRAME + past - 8 - 8), 0)  # two keyframes, the index
    results = assert_equal("vp9", [first, bulk, last])
    assert (results[-1] == MALFORMED) == (past > 0)


@pytest.mark.parametrize("count", range(MAX_PIECES // 2 - 2, MAX_PIECES // 2 + 2))
def test_aggregated_units_count_as_two_pieces_each(count: int) -> None:
    stap = b"\x78" + b"\0\2\x41\x9a" * (count // 4)
    steps = [Step(SPS, -1), *[Step(stap, 0)] * 4, *[Step(b"\x41\x9a", 0)] * (count % 4)]
    results = assert_equal("h264", [*steps, Step(b"\x41\x9a", 1, True)])
    assert (MALFORMED in results) == (count > MAX_PIECES // 2)


@pytest.mark.parametrize("count", [MAX_PIECES - 1, MAX_PIECES, MAX_PIECES + 1])
def test_elements_of_no_bytes_count_too(count: int) -> None:
    first = Step(b"\x18\x30\x10\x20", 0)
    results = assert_equal(
        "av1", [first, Step(bytes(count), 0), Step(b"\x10\x30\x10\x20", 0, True)]
    )
    assert (MALFORMED in results) == (count > MAX_PIECES - 2 + 1)


# H.264's parameter sets.


def test_sets_are_inserted_into_a_frame_of_the_largest_size() -> None:
    fat = [SPS + bytes(4000), PPS + bytes(4000)]
    steps = [*(Step(nal, 0) for nal in fat), Step(b"\x65\x88" + bytes(MAX_FRAME - 6), 1, True)]
    results = assert_equal("h264", [*steps, Step(b"\x41\x9a", 2)])
    frame = results[-1]
    assert isinstance(frame, Frame)
    assert len(frame.data) == MAX_FRAME + sum(4 + len(nal) for nal in fat)


def test_sets_go_behind_the_first_two_pieces_where_a_delimiter_is_in_fragments() -> None:
    steps = [Step(SPS, 0), Step(PPS, 0), Step(b"\x7c\x89\xf0", 1), Step(b"\x7c\x49\xf1", 1)]
    results = assert_equal("h264", [*steps, Step(b"\x65\x88", 1, True), Step(b"\x41\x9a", 2)])
    assert isinstance(results[-1], Frame)


def _ue(number: int) -> str:
    return f"{number + 1:b}".zfill(2 * (number + 1).bit_length() - 1)


@st.composite
def parameter_set(draw: st.DrawFn) -> bytes:
    """A set of a small or any id, or what nearly is one."""
    head = draw(st.sampled_from([b"\x67\x42\x00\x0a", b"\x68", b"\x27\x00\x00\x00", b"\x65"]))
    if draw(st.integers(0, 9)) == 0:
        return head + draw(st.binary(max_size=6))
    bits = _ue(draw(st.one_of(st.integers(0, 70), st.integers(0, 70_000)))) + "1"
    body = int(bits.ljust(40, draw(st.sampled_from("01"))), 2).to_bytes(5, "big")
    return head + body[: draw(st.integers(0, 5))]


@st.composite
def parameter_set_265(draw: st.DrawFn) -> bytes:
    """A set of H.265, or what nearly is one, with whatever prevents start codes in it."""
    bytes_ = st.sampled_from([b"\0", b"\0", b"\0", b"\1", b"\3", b"\x60", b"\xff"])
    if draw(st.booleans()):
        return draw(st.sampled_from([b"\x40\1", b"\x44\1", b"\x44"])) + draw(bytes_)
    size = draw(st.sampled_from([0, 12, 13, 15, 16, 27, 40, 100, 200]))
    body = b"".join(draw(st.lists(bytes_, min_size=size, max_size=size)))
    return b"\x42\1" + bytes([draw(st.integers(0, 15))]) + body


@pytest.mark.parametrize(
    ("nal_format", "strategy"),
    [(NALS, parameter_set()), (h265.NALS, parameter_set_265())],
    ids=["h264", "h265"],
)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_the_same_sets_are_remembered(
    nal_format: NalFormat, strategy: st.SearchStrategy[bytes], data: st.DataObject
) -> None:
    nals = data.draw(st.lists(strategy, max_size=150))
    expected, twin = ParameterSets(nal_format), native.ParameterSets(nal_format)
    for nal in nals:
        expected.note(nal)
        twin.note(nal)
    sets = expected.all()
    assert b"".join(twin.all()) == b"".join(sets).replace(b"\0\0\0\1", b"")


@settings(max_examples=250, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [
                    base64.b64encode(nal + end).decode()
                    for nal in (SPS, PPS)
                    for end in (b"", b"a", b"ab")
                ]
            ),
            st.text("AZaz09+/=- ", max_size=9),
            st.builds(lambda text: "Z0IACvhB" + text, st.text("A=\nä", max_size=5)),
            st.builds(
                lambda size: base64.b64encode(PPS + bytes(size)).decode(), st.integers(4085, 4100)
            ),
        ),
        max_size=5,
    )
)
def test_the_same_is_read_of_the_fmtp_line(entries: list[str]) -> None:
    for line in (",".join(entries), ",".join([*entries, "Z0IACvhC", "aM44gA=="])):
        assert native.ParameterSets(NALS, line).all() == ParameterSets(NALS, line).all()


# Sound.


LENGTHS = bytes([0, 1, 2, 3, 5, 0x41, 0x83, 0xC2, 252, 255])


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_opus_packets_last_as_long(seed: int) -> None:
    random = Random(seed)
    for _ in range(100):
        head = bytes([random.randrange(256), *random.choices(LENGTHS, k=random.randrange(5))])
        payload = head + bytes(random.choice([0, 1, 2, 20, 260, 1275, 1276, 2550, 2600]))
        payload += random.randbytes(random.randrange(8))
        assert lasts(native.AUDIO["opus"], payload) == lasts(codecs.AUDIO["opus"], payload)


def lasts(format: Any, payload: bytes) -> int | str:
    """Ticks, or that it is refused."""
    try:
        ticks: int = format.duration(payload)
    except ValueError:
        return MALFORMED
    return ticks


@pytest.mark.parametrize("name", sorted(codecs.AUDIO))
def test_sound_has_the_same_measures(name: str) -> None:
    assert native.AUDIO[name].granule == codecs.AUDIO[name].granule
    for payload in (b"", b"\xf8", b"\xf8\xff\xfe", bytes(160)):
        assert lasts(native.AUDIO[name], payload) == lasts(codecs.AUDIO[name], payload)


def test_every_toc_byte_has_the_same_frame_size() -> None:
    sizes = [native.opus_frame_size(toc) for toc in range(256)]
    assert sizes == [opus.frame_size(toc) for toc in range(256)]


# Memory: the twin's own.


@every_codec
def test_the_memory_of_a_large_frame_is_given_back(codec: str) -> None:
    taker = native.VIDEO[codec].depacketizer(Codec(codec, 90_000))
    for step in giant(codec, [bytes(1000)] * 1000):
        pushed(taker, step)
    assert taker.held > 1_000_000
    taker.push(b"", 1, False, True)
    assert 0 < taker.held <= 65_536
    taker.rest()
    assert taker.held < 100
    taker.push(b"", 1, False, False)
    taker.rest()
    assert taker.held == 0


def test_real_parameter_sets_are_read_alike() -> None:
    sets = [nal for nal in annexb(encoded("h264")[0].data) if nal[0] & 0x1F in (7, 8)]
    line = ",".join(base64.b64encode(nal).decode() for nal in sets)
    assert native.ParameterSets(NALS, line).all() == ParameterSets(NALS, line).all() == sets
