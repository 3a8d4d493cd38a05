"""Heights in AV1's headers: a real encoder's, and layers as the specification allows them."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rtp.codecs.av1_sizes import read_height, read_sequence
from slicer.rtp.codecs.obu import leb128
from slicer.rtp.parameters import AV1
from tests.harness.media.encoder import encode_pictures
from tests.harness.rtp.bits import Bits
from tests.harness.rtp.packetize import payloads
from tests.harness.rtp.parts import VIDEO

height = VIDEO["av1"].height
WIDTHS, HEIGHTS = 11, 10
LAYERS = (180, 360, 720)
MARK = b"\x12\x34\x56"
"""What follows a frame's header."""
KEY, INTER, INTRA_ONLY, SWITCH = range(4)


@dataclass(frozen=True)
class Tools:
    """What a sequence header says that changes how frame headers are read. 2: each frame says."""

    order: int = 0
    screen: int = 2
    motion: int = 2
    levels: tuple[int, ...] = (5,)
    delayed: bool = False


def sequence(tools: Tools = Tools()) -> bytes:
    """The header of a sequence of 1280 x 720 (5.5.1)."""
    bits = Bits().add(5, 0).add(1, 0).add(1, tools.delayed).add(5, len(tools.levels) - 1)
    for level in tools.levels:
        bits.add(12, 0x701).add(5, level).add(level > 7, 1)
        if tools.delayed:
            bits.add(5, 0b11010)
    bits.add(4, WIDTHS - 1).add(4, HEIGHTS - 1).add(WIDTHS, 1279).add(HEIGHTS, 719)
    bits.add(1, 0).add(7, 0b1010101).add(1, bool(tools.order)).add(2 * bool(tools.order), 3)
    bits.add(1, tools.screen == 2).add(tools.screen != 2, tools.screen)
    if tools.screen:
        bits.add(1, tools.motion == 2).add(tools.motion != 2, tools.motion)
    return bits.add(3 * bool(tools.order), max(tools.order - 1, 0)).add(8, 0xAA).data()


@dataclass(frozen=True)
class Choice:
    """What a frame header says ahead of its size."""

    kind: int = INTER
    shown: bool = True
    resilient: bool = False
    screen: bool = False
    short: bool = False
    refreshed: int = 0x11
    reference: int | None = None
    """The first reference whose size it has."""


def frame(high: int, tools: Tools, choice: Choice) -> bytes:
    """The header of a frame so high (5.9.2)."""
    bits = Bits().add(1, 0).add(2, choice.kind).add(1, choice.shown).add(not choice.shown, 1)
    whole = choice.kind == SWITCH or (choice.kind == KEY and choice.shown)
    resilient = whole or choice.resilient
    bits.add(not whole, choice.resilient).add(1, 0).add(tools.screen == 2, choice.screen)
    if choice.screen if tools.screen == 2 else tools.screen:
        bits.add(tools.motion == 2, 1)
    overridden = high != 720
    bits.add(choice.kind != SWITCH, overridden).add(tools.order, 1)
    intra = choice.kind in (KEY, INTRA_ONLY)
    bits.add(3 * (not intra and not resilient), 7)
    bits.add(8 * (not whole), choice.refreshed)
    refreshed = 0xFF if whole else choice.refreshed
    if resilient and (not intra or refreshed != 0xFF):
        bits.add(8 * tools.order, 0)
    if not intra:
        bits.add(bool(tools.order), choice.short)
        bits.add(6 if tools.order and choice.short else 21, 0)
        if overridden and not resilient:
            if choice.reference is not None:
                return bits.add(choice.reference + 1, 1).data() + MARK
            bits.add(7, 0)
    if overridden or choice.kind == SWITCH:
        bits.add(WIDTHS, high * 16 // 9 - 1).add(HEIGHTS, high - 1)
    return bits.data() + MARK


def unit(tools: Tools, *layers: tuple[int, Choice]) -> bytes:
    """The payload of a temporal unit: a sequence header and a frame of each layer."""
    obus = [b"\x08" + sequence(tools)]
    for spatial, (high, choice) in enumerate(layers):
        obus.append(bytes([0x34, spatial << 3]) + frame(high, tools, choice))
    return b"\x08" + b"".join(leb128(len(obu)) + obu for obu in obus)


def taken(payload: bytes, enough: int) -> int:
    """How many layers of this one are taken where so many pixels are enough."""
    depacketizer = VIDEO["av1"].depacketizer(AV1)
    depacketizer.height = enough
    whole = depacketizer.push(payload, 0, True, False)
    assert whole is not None
    assert whole.keyframe
    return whole.data.count(MARK)


ALL_TOOLS = [
    Tools(order, screen, motion) for order, screen, motion in product((0, 7), (0, 1, 2), (0, 1, 2))
]
CHOICES = [
    *(Choice(shown=False), Choice(resilient=True), Choice(screen=True), Choice(short=True)),
    *(Choice(KEY), Choice(KEY, shown=False, refreshed=0xFF), Choice(KEY, shown=False)),
    *(Choice(INTRA_ONLY), Choice(INTRA_ONLY, resilient=True), Choice(SWITCH), Choice()),
]


@pytest.mark.parametrize("tools", ALL_TOOLS)
def test_each_layer_tells_its_height(tools: Tools) -> None:
    for choice in CHOICES:
        payload = unit(tools, *zip(LAYERS, (Choice(KEY), choice, choice), strict=True))
        for enough, layers in ((0, 3), (1, 1), (180, 1), (181, 2), (360, 2), (361, 3), (2160, 3)):
            assert taken(payload, enough) == layers, (choice, enough)


@pytest.mark.parametrize("first", range(7))
def test_a_layer_of_the_size_of_another_frame_tells_none(first: int) -> None:
    layers = zip(LAYERS, (Choice(KEY), Choice(reference=first), Choice()), strict=True)
    depacketizer = VIDEO["av1"].depacketizer(AV1)
    depacketizer.height = 300
    whole = depacketizer.push(unit(Tools(), *layers), 0, True, False)
    assert whole is not None
    assert whole.data.count(MARK) == 3, "up to the first that is known to be high enough"


@pytest.mark.parametrize("levels", [(5,), (8,), (5, 13, 5), (5,) * 32])
@pytest.mark.parametrize("delayed", [False, True])
def test_the_height_is_that_of_the_sequence(levels: tuple[int, ...], delayed: bool) -> None:
    body = sequence(Tools(levels=levels, delayed=delayed))
    expected = 720 if len(levels) < 20 else 0  # its sizes lie too far behind
    assert height(b"\x18\x08" + body) == expected


def test_the_reduced_header_of_a_still_picture() -> None:
    bits = Bits().add(3, 0).add(2, 3).add(5, 5).add(4, WIDTHS - 1).add(4, HEIGHTS - 1)
    body = bits.add(WIDTHS, 319).add(HEIGHTS, 179).add(10, 0).data()
    assert height(b"\x18\x08" + body) == 180
    still = b"\x28" + leb128(len(body) + 1) + b"\x08" + body + b"\x30" + MARK
    assert taken(still, 100) == 1
    reduced = read_sequence(body)
    assert reduced is not None
    assert read_height(b"", reduced) == 180, "of each of its frames"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        sequence()[:7],
        Bits().add(5, 0).add(1, 1).add(90, 0).data(),
        Bits().add(5, 0).add(2, 0).add(5, 0).add(17, 0).add(8, 0).add(2, 0).add(1, 1).data(),
    ],
    ids=["empty", "cut off", "timing information", "frame ids"],
)
def test_sequences_that_tell_nothing(body: bytes) -> None:
    assert read_sequence(body) is None
    assert height(b"\x18\x08" + body) == 0
    lead = leb128(len(body) + 1) + b"\x08" + body
    frames = b"\x30" + frame(180, Tools(), Choice(KEY))
    assert taken(b"\x28" + lead + frames, 100) == 1


@pytest.mark.parametrize(
    "header", [b"", b"\x80", frame(180, Tools(), Choice(KEY))[:3]], ids=["empty", "shown", "cut"]
)
def test_frames_that_tell_nothing(header: bytes) -> None:
    known = read_sequence(sequence())
    assert known is not None
    assert read_height(header, known) == 0


@pytest.mark.parametrize(("width", "high"), [(64, 64), (320, 180), (640, 360)])
def test_what_an_encoder_writes(width: int, high: int) -> None:
    (first, *_) = encode_pictures("av1", [np.zeros((high, width, 3), np.uint8)])
    found = {height(payload) for payload in payloads("av1", first)}
    assert found in ({high}, {0, high})


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_whatever_comes_is_a_height_or_none(first: bytes, then: bytes) -> None:
    assert 0 <= height(b"\x18\x08" + first) <= 1 << 16
    known = read_sequence(first) or read_sequence(sequence())
    assert known is not None
    assert 0 <= read_height(then, known) <= 1 << 16
