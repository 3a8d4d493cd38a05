"""RTCP compounds: what is one, what is refused, what is kept unread."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rtp import rtcp
from slicer.rtp.rtcp import (
    Bye,
    Nack,
    PictureLossIndication,
    ReceiverReport,
    SenderReport,
    SourceDescription,
    Unknown,
    is_rtcp,
)
from tests.harness.rtp.parts import build_rtcp as build
from tests.harness.rtp.parts import parse_rtcp as parse

HEADER_TYPES = st.sampled_from([200, 201, 202, 203, 204, 205, 206, 207])


def test_a_compound_comes_back_in_order() -> None:
    packets: list[rtcp.RtcpPacket] = [
        SenderReport(1, 2, 3, 4, 5),
        SourceDescription(((1, "c"),)),
        Nack(1, 2, (3,)),
        PictureLossIndication(1, 2),
        Bye((1,)),
    ]
    assert parse(build(packets)) == packets


def test_a_compound_may_be_of_reduced_size() -> None:
    assert parse(bytes.fromhex("81ce0002 00000001 00000002")) == [PictureLossIndication(1, 2)]


@pytest.mark.parametrize(
    ("second", "expected"), [(191, False), (192, True), (200, True), (223, True), (224, False)]
)
def test_rtcp_is_told_from_rtp_by_its_type(second: int, expected: bool) -> None:
    assert is_rtcp(bytes([0x80, second, 0, 0])) == expected


def test_what_is_neither_is_not_rtcp() -> None:
    assert not is_rtcp(b"")
    assert not is_rtcp(b"\x80\xc8")
    assert not is_rtcp(b"\x16\xc8\x00\x00")  # DTLS
    assert not is_rtcp(b"\x80\x60\x00\x00")


@pytest.mark.parametrize(
    "data", ["81cc0002 00000001 6e616d65", "80cf0000", "85cd0002 0000000100000002"]
)
def test_unknown_packets_are_kept(data: str) -> None:
    raw = bytes.fromhex(data)
    assert parse(raw) == [Unknown(raw[1], raw[0] & 0x1F, raw[4:])]
    assert build(parse(raw)) == raw


def test_padding_is_taken_off() -> None:
    assert parse(bytes.fromhex("a0c90003 00000001 00000000 00000008")) == [ReceiverReport(1)]


@pytest.mark.parametrize(
    "data",
    [
        "",
        "80",
        "80c900",
        "40c90001 00000001",
        "80c90002 00000001",
        "80c90001 00000001 80",
        "80c90001 00000001 00000000",
        "a0c90001 00000000",
        "a0c90001 00000009",
        "a0c90000",
        "a0c90001 00000004",  # nothing left but padding
    ],
)
def test_malformed_compounds_are_refused(data: str) -> None:
    with pytest.raises(ValueError, match="RTCP"):
        parse(bytes.fromhex(data))


@given(st.binary(max_size=80))
def test_any_bytes_are_packets_or_a_value_error(data: bytes) -> None:
    _parse(data)


@given(st.lists(st.tuples(st.integers(0, 31), HEADER_TYPES, st.booleans(), st.binary(max_size=60))))
def test_any_bodies_are_packets_or_a_value_error(
    bodies: list[tuple[int, int, bool, bytes]],
) -> None:
    data = b""
    for count, packet_type, padded, body in bodies:
        whole = body[: len(body) & ~3]
        first = 0x80 | padded << 5 | count
        data += bytes([first, packet_type]) + (len(whole) // 4).to_bytes(2, "big") + whole
    _parse(data)


def _parse(data: bytes) -> None:
    """What can be read can be written, and reads the same again."""
    try:
        packets = parse(data)
    except ValueError:
        return
    assert packets
    try:
        written = build(packets)
    except ValueError:  # replacement characters are longer than what they replace
        assert any(isinstance(packet, SourceDescription | Bye | Unknown) for packet in packets)
        return
    assert parse(written) == packets


@pytest.mark.parametrize(
    "packet",
    [
        ReceiverReport(1 << 32),
        SenderReport(1, -1, 0, 0, 0),
        Bye(tuple(range(32))),
        Nack(1, 2, (1 << 16,)),
        Unknown(204, 0, b"odd"),
        Unknown(204, 0, bytes(4 * 65_536)),
    ],
)
def test_what_the_wire_cannot_hold_is_refused(packet: rtcp.RtcpPacket) -> None:
    with pytest.raises(ValueError, match=type(packet).__name__):
        rtcp.build([packet])
