"""Records come back as they were written; whatever is torn or changed never does."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.delivery.spool.record import Address, decode, decode_header, describe, encode
from slicer.media.slice import Slice
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey

ADDRESS = Address("s3://bucket/x?region=r", "file:///backup", keys=True)
BEGAN = datetime(2025, 1, 6, 14, 31, 43, 250_000, tzinfo=UTC)


def slice_of(data: bytes, anchor: str = "ada", kind: Kind = Kind.AUDIO) -> Slice:
    track = TrackKey("task", anchor, kind)
    return Slice("t/ada/a.ogg", data, "audio/ogg", track, BEGAN, 15.0, None, None)


def file_of(made: Slice) -> bytes:
    return encode(describe(made, ADDRESS)) + made.data


@given(st.binary(max_size=2000), st.text(max_size=50), st.sampled_from(Kind))
def test_there_and_back(data: bytes, anchor: str, kind: Kind) -> None:
    made = slice_of(data, anchor, kind)
    record, read = decode(file_of(made))
    assert read == made
    assert record.address == ADDRESS


def test_an_anchor_that_is_no_text_comes_back() -> None:
    made = slice_of(b"x", "lone \ud800 surrogate")
    assert decode(file_of(made))[1] == made


def test_a_picture_keeps_its_measures() -> None:
    track = TrackKey("task", "ada", Kind.VIDEO)
    made = Slice("k.png", b"png", "image/png", track, BEGAN, width=1280, height=720)
    assert decode(file_of(made))[1] == made


@given(st.data())
def test_a_torn_file_is_never_taken_for_whole(data: st.DataObject) -> None:
    file = file_of(slice_of(bytes(range(200))))
    cut = data.draw(st.integers(0, len(file) - 1))
    with pytest.raises(ValueError, match=r"\w"):
        decode(file[:cut])
    with pytest.raises(ValueError, match=r"\w"):
        decode(file[:cut] + bytes(len(file) - cut - 1) + bytes([file[-1] ^ 1]))


@given(st.data())
def test_a_changed_bit_is_found(data: st.DataObject) -> None:
    file = bytearray(file_of(slice_of(bytes(range(200)))))
    at = data.draw(st.integers(0, len(file) - 1))
    file[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ValueError, match=r"\w"):
        decode(bytes(file))


def test_a_tail_that_does_not_belong_is_found() -> None:
    with pytest.raises(ValueError, match="201 bytes where 200"):
        decode(file_of(slice_of(bytes(200))) + b"x")


@given(st.binary(max_size=300))
def test_strange_bytes(file: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode(file)


@pytest.mark.parametrize("header", [b"[]", b"{}", b'{"to":1}', b"null"])
def test_a_header_of_somebody_else(header: bytes) -> None:
    import zlib

    file = b"SLICE1 %08d %08x\n" % (len(header), zlib.crc32(header)) + header
    with pytest.raises(ValueError, match="not a header of ours"):
        decode_header(file)
