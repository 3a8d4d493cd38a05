"""NAL unit headers and the variable-length numbers behind them."""

import pytest

from slicer.rtp.codecs.h264 import NALS
from slicer.rtp.codecs.nal import exp_golomb


@pytest.mark.parametrize(
    ("bits", "number"),
    [
        ("1", 0),
        ("010", 1),
        ("011", 2),
        ("00100", 3),
        ("00111", 6),
        ("0" * 15 + "1" + "1" * 15, 65534),
    ],
)
def test_numbers_of_any_length(bits: str, number: int) -> None:
    data = int(bits.ljust(32, "0"), 2).to_bytes(4, "big")
    assert exp_golomb(data) == number
    assert exp_golomb(data[: (len(bits) + 7) // 8]) == number


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x01", b"\x00\x80", bytes(4), bytes(8)])
def test_a_number_cut_off_or_absurd_is_none(data: bytes) -> None:
    assert exp_golomb(data) is None


def test_the_header_of_a_fragmented_unit_is_put_together_again() -> None:
    assert NALS.kind(b"\x7c\x85\x88") == 28
    assert NALS.fragment_kind(b"\x7c\x85\x88") == 5
    assert NALS.fragment_header(b"\x7c\x85\x88") == b"\x65"


def test_an_empty_payload_is_refused() -> None:
    with pytest.raises(ValueError, match=r"H\.264 payload of 0 bytes"):
        NALS.whole_nals(b"")
