"""Retransmissions become the packets they repeat."""

from slicer.rtp.packet import Packet
from tests.harness.rtp.parts import restore


def repeated(payload: bytes) -> Packet:
    return Packet(97, True, 7, 9000, 2000, payload, 0xBEDE, b"\x10a\x00\x00", 1.5)


def test_the_original_comes_back_whole() -> None:
    original = restore(repeated(b"\xff\xfepayload"), 96, 1)
    assert original == Packet(96, True, 0xFFFE, 9000, 1, b"payload", 0xBEDE, b"\x10a\x00\x00", 1.5)


def test_padding_repeats_nothing() -> None:
    assert [restore(repeated(payload), 96, 1) for payload in (b"", b"a", b"ab")] == [None] * 3
