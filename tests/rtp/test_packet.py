"""RTP headers as RFC 3550 5.1 draws them, and what is refused, by reason."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rtp.packet import MAX_DATAGRAM
from tests.harness.rtp.call import datagram
from tests.harness.rtp.parts import extensions, parse


def refusal(data: bytes) -> str:
    with pytest.raises(ValueError, match=r"[a-z_]+") as caught:
        parse(data)
    return str(caught.value)


def test_every_field_is_read() -> None:
    head = struct.pack("!BBHII", 0xB2, 0x80 | 96, 0xFFFE, 0xFFFFFFFF, 0xDEADBEEF)
    sources = struct.pack("!II", 5, 6)
    extension = struct.pack("!HH", 0xBEDE, 1) + b"\x10\xaa\x00\x00"
    packet = parse(head + sources + extension + b"payload" + b"\x00\x00\x03")
    assert (packet.payload_type, packet.marker, packet.sequence) == (96, True, 0xFFFE)
    assert (packet.timestamp, packet.ssrc) == (0xFFFFFFFF, 0xDEADBEEF)
    assert packet.payload == b"payload"
    assert extensions(packet.profile, packet.extension) == {1: b"\xaa"}


def test_padding_may_be_all_there_is() -> None:
    data = bytearray(datagram(b"\x00\x00\x00\x04", 1, 2))
    data[0] |= 0x20
    assert parse(bytes(data)).payload == b""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "too_short"),
        (datagram(b"", 1, 2)[:11], "too_short"),
        (datagram(bytes(MAX_DATAGRAM - 11), 1, 2), "oversized"),
        (b"\x40" + datagram(b"x", 1, 2)[1:], "bad_version"),
        (b"\x83" + datagram(b"x" * 11, 1, 2)[1:], "truncated"),  # three CSRCs in eleven bytes
        (b"\x90" + datagram(b"\xbe\xde\x00", 1, 2)[1:], "truncated"),
        (b"\x90" + datagram(b"\xbe\xde\x00\x02abcd", 1, 2)[1:], "truncated"),
        (b"\xa0" + datagram(b"ab\x00", 1, 2)[1:], "bad_padding"),
        (b"\xa0" + datagram(b"ab\x04", 1, 2)[1:], "bad_padding"),
    ],
)
def test_what_is_malformed_is_refused_by_reason(data: bytes, reason: str) -> None:
    assert refusal(data) == reason


def test_the_largest_datagram_is_taken() -> None:
    assert len(parse(datagram(bytes(MAX_DATAGRAM - 12), 1, 2)).payload) == MAX_DATAGRAM - 12


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda tail: b"\xb1" + tail))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        packet = parse(data)
    except ValueError:
        return
    assert len(packet.payload) <= len(data) - 12
    extensions(packet.profile, packet.extension)


def test_one_byte_extensions() -> None:
    block = b"\x00\x10a\x00\x22bcd\x00"  # padding between and after elements
    assert extensions(0xBEDE, block) == {1: b"a", 2: b"bcd"}


@pytest.mark.parametrize("stop", [b"\xf0x", b"\x01xy"], ids=["id 15", "id 0 with a length"])
def test_one_byte_extensions_end_at_a_reserved_id(stop: bytes) -> None:
    assert extensions(0xBEDE, b"\x10a" + stop + b"\x20b") == {1: b"a"}


@pytest.mark.parametrize("profile", [0x1000, 0x100F])
def test_two_byte_extensions(profile: int) -> None:
    assert extensions(profile, b"\x01\x00\x00\xff\x02bc") == {1: b"", 255: b"bc"}


@pytest.mark.parametrize(("profile", "block"), [(0xBEDE, b"\x13ab"), (0x1000, b"\x01\x05ab\x07")])
def test_an_element_that_is_cut_off_is_left_out(profile: int, block: bytes) -> None:
    assert extensions(profile, block) == {}


def test_another_profile_holds_nothing_for_us() -> None:
    assert extensions(0x1234, b"\x10a\x00\x00") == {}


@given(st.sampled_from([0xBEDE, 0x1000]), st.binary(max_size=40))
def test_extensions_never_raise(profile: int, block: bytes) -> None:
    assert all(0 < number < 256 for number in extensions(profile, block))
