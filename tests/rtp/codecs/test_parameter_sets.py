"""Parameter sets remembered by id."""

import base64

import pytest

from slicer.rtp.codecs.h264 import NALS
from tests.harness.rtp.parts import ParameterSets

SPS_0 = b"\x67\x42\x00\x0a\xf8\x41"
SPS_0_LATER = b"\x67\x42\x00\x1f\xf8\x42"
SPS_1 = b"\x67\x42\x00\x0a\x58\x41"  # id 1 as ue(v): 010
PPS_0 = b"\x68\xce\x38\x80"
PPS_2 = b"\x68\x6e\x38\x80"  # id 2: 011


def test_nothing_is_known_until_both_kinds_are() -> None:
    sets = ParameterSets(NALS)
    assert sets.all() == []
    sets.note(PPS_0)
    assert sets.all() == []
    sets.note(SPS_0)
    assert sets.all() == [SPS_0, PPS_0]


def test_the_last_of_each_id_counts_and_sps_come_first() -> None:
    sets = ParameterSets(NALS)
    for nal in (PPS_2, PPS_0, SPS_1, SPS_0, SPS_0_LATER):
        sets.note(nal)
    assert sets.all() == [SPS_0_LATER, SPS_1, PPS_0, PPS_2]


def test_the_fmtp_line_is_read() -> None:
    sprop = ",".join(base64.b64encode(nal).decode() for nal in (SPS_0, PPS_0))
    assert ParameterSets(NALS, sprop).all() == [SPS_0, PPS_0]


def test_a_broken_fmtp_line_is_ignored_entry_by_entry() -> None:
    sprop = f"!!,{base64.b64encode(SPS_0).decode()},,AA=,{base64.b64encode(PPS_0).decode()}"
    assert ParameterSets(NALS, sprop).all() == [SPS_0, PPS_0]


@pytest.mark.parametrize("entry", ["ä", "äöüß", "a=M7", "{}=", "{}====", "===={}", "{}\n", "{} "])
def test_what_is_not_base64_by_the_letter_is_ignored(entry: str) -> None:
    spoiled = entry.format(base64.b64encode(PPS_2 + b"\0\0").decode())
    sets = ParameterSets(NALS, f"{spoiled},{base64.b64encode(SPS_0).decode()}")
    assert sets.all() == []
    sets.note(PPS_0)
    assert sets.all() == [SPS_0, PPS_0]


def test_other_and_broken_units_are_not_remembered() -> None:
    sets = ParameterSets(NALS)
    for nal in (
        b"",
        b"\x67",
        b"\x67\x42\x00\x0a",
        b"\x68",
        b"\x68\x00\x00",
        b"\x65\x88",
        b"\x09\xf0",
    ):
        sets.note(nal)
    sets.note(SPS_0)
    assert sets.all() == []


def test_the_memory_is_bounded() -> None:
    sets = ParameterSets(NALS)
    sets.note(SPS_0)
    for number in range(1, 200):
        length = 2 * number.bit_length()  # ids 0…198 as ue(v) of number
        bits = f"{number:b}".zfill(length - 1).ljust(32, "1")
        sets.note(b"\x68" + int(bits, 2).to_bytes(4, "big"))
    sets.note(SPS_0)
    assert len(sets.all()) == 64
    assert sets.all()[0] == SPS_0
    sets.note(b"\x67\x42\x00\x0a\x58" + bytes(4096))
    assert len(sets.all()) == 64
