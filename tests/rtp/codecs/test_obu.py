"""OBU headers and sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rtp.codecs import obu
from tests.harness.media.video import encoded
from tests.harness.rtp.packetize import obus


@given(st.integers(0, (1 << 56) - 1))
def test_leb128_comes_back(value: int) -> None:
    data = obu.leb128(value)
    assert obu.read_leb128(b"\xff" + data + b"\x01", 1) == (value, 1 + len(data))


def test_leb128_as_the_specification_writes_it() -> None:
    assert obu.leb128(0) == b"\x00"
    assert obu.leb128(300) == b"\xac\x02"
    assert obu.read_leb128(b"\xac\x82\x00", 0) == (300, 3)  # longer than it must be


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80" * 9])
def test_leb128_without_an_end_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="leb128"):
        obu.read_leb128(data, 0)


@pytest.mark.parametrize("data", [b"\x32\x02\x10\x20", b"\x30\x10\x20"])
def test_a_unit_with_and_without_its_size(data: bytes) -> None:
    unit = obu.read(data)
    assert (unit.kind, unit.body) == (obu.FRAME, b"\x10\x20")
    assert unit.sized() == b"\x32\x02\x10\x20"


def test_an_extension_header_is_kept() -> None:
    unit = obu.read(b"\x34\x28\x10")
    assert (unit.header, unit.kind) == (b"\x34\x28", obu.FRAME)
    assert unit.sized() == b"\x36\x28\x01\x10"
    assert obu.read(unit.sized()) == unit


@pytest.mark.parametrize("data", [b"", b"\x80\x00", b"\x34", b"\x32\x02\x10", b"\x32\x01\x10\x20"])
def test_malformed_units_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="OBU"):
        obu.read(data)


@given(st.binary(max_size=20))
def test_any_bytes_are_a_unit_or_a_value_error(data: bytes) -> None:
    try:
        unit = obu.read(data)
    except ValueError:
        return
    assert obu.read(unit.sized()) == unit


def test_key_frames_of_a_real_stream() -> None:
    for unit in encoded("av1"):
        units = [obu.read(data) for data in obus(unit.data)]
        assert any(obu.is_key_frame(each) for each in units) == unit.keyframe
        kinds = [each.kind for each in units]
        assert (obu.SEQUENCE_HEADER in kinds) == unit.keyframe
        assert not any(obu.is_still(e) for e in units if e.kind == obu.SEQUENCE_HEADER)


def test_a_reduced_still_picture_header() -> None:
    assert obu.is_still(obu.read(b"\x08\x18"))
    assert not obu.is_still(obu.read(b"\x08"))
