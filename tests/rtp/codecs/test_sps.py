"""The height in sequence parameter sets: real ones, and those that no encoder here makes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.media.encoder import encode_pictures
from tests.harness.rtp.bits import Bits
from tests.harness.rtp.packetize import payloads
from tests.harness.rtp.parts import VIDEO

height = VIDEO["h264"].height


def baseline(rows: int, crop: int = 0, fields: bool = False, order: int = 0) -> Bits:
    bits = Bits().add(8, 66).add(16, 0x1F).number(0, 0, order)
    if order == 0:
        bits.number(2)
    elif order == 1:
        bits.add(1, 0).number(3, 4, 2, 5, 6)
    bits.number(1).add(1, 0).number(39, rows - 1).add(1, not fields)
    if fields:
        bits.add(1, 0)
    bits.add(1, 1).add(1, bool(crop))
    return bits.number(0, 0, 0, crop) if crop else bits


@pytest.mark.parametrize(("width", "high"), [(64, 36), (320, 180), (90, 160), (640, 360)])
def test_what_an_encoder_writes(width: int, high: int) -> None:
    (frame,) = encode_pictures("h264", [np.zeros((high, width, 3), np.uint8)])
    found = {height(payload) for payload in payloads("h264", frame)}
    assert found in ({high}, {0, high})


@pytest.mark.parametrize("order", [0, 1, 2])
def test_ways_to_count_pictures(order: int) -> None:
    assert height(baseline(30, order=order).nal()) == 480


def test_cropping_and_fields() -> None:
    assert height(baseline(68, 4).nal()) == 1080
    assert height(baseline(34, 2, fields=True).nal()) == 1080


@pytest.mark.parametrize(("chroma", "high"), [(0, 1084), (1, 1080), (2, 1084), (3, 1084)])
def test_chroma_formats_are_cropped_in_units_of_their_own(chroma: int, high: int) -> None:
    bits = Bits().add(8, 100).add(16, 40).number(0, chroma)
    if chroma == 3:
        bits.add(1, 0)
    bits.number(0, 0).add(2, 0).number(0, 2, 1).add(1, 0).number(119, 67)
    bits.add(1, 1).add(1, 1).add(1, 1).number(0, 0, 0, 4)
    assert height(bits.nal()) == high


@pytest.mark.parametrize(
    "nal",
    [
        b"\x67",
        b"\x67\x42\xe0\x1f",
        baseline(30).nal()[:-3],
        baseline(5000).nal(),
        baseline(1, 40).nal(),
        Bits().add(8, 66).add(16, 31).add(40, 0).nal(),
        Bits().add(8, 100).add(16, 40).number(0, 1, 0, 0).add(2, 1).number(0, 2, 1, 9, 9).nal(),
    ],
    ids=["empty", "head alone", "cut off", "too high", "all cropped", "absurd", "scaling lists"],
)
def test_what_tells_no_height(nal: bytes) -> None:
    assert height(nal) == 0


def test_no_other_unit_tells_one() -> None:
    nal = baseline(30).nal()
    assert height(b"\x68" + nal[1:]) == 0
    assert height(b"") == 0


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_height_or_none(data: bytes) -> None:
    assert 0 <= height(b"\x67" + data) <= 0xFFFF
