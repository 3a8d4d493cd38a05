"""Bits in order, and no further than there are."""

import pytest

from slicer.rtp.codecs.bits import Bits


def test_bits_come_in_order() -> None:
    bits = Bits(b"\xa5\x0f")
    assert [bits.take(count) for count in (1, 3, 0, 8, 4)] == [1, 0b010, 0, 0x50, 0xF]
    with pytest.raises(ValueError, match="cut off"):
        bits.take(1)


def test_a_number_that_is_not_all_there_is_refused() -> None:
    with pytest.raises(ValueError, match="cut off"):
        Bits(b"\xff").take(9)
