"""TURN's three wrappings are taken off, and all give the flow between client and peer."""

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rooms.replay.turn import MAX_CHANNELS, TurnChannels

CLIENT, RELAY, PEER = "10.0.0.1:5000", "192.0.2.1:3478", "198.51.100.7:6000"
UP, DOWN = (CLIENT, RELAY), (RELAY, CLIENT)
MEDIA = b"\x80media that is long enough"
TRANSACTION = bytes(range(12))


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def peer(address: str, port: int) -> bytes:
    """An XOR-PEER-ADDRESS."""
    packed = ip_address(address).packed
    mask = bytes.fromhex("2112a442") + TRANSACTION
    hidden = bytes(one ^ other for one, other in zip(packed, mask, strict=False))
    family = 1 if len(packed) == 4 else 2
    return attribute(0x12, struct.pack("!xBH", family, port ^ 0x2112) + hidden)


def message(kind: int, *attributes: bytes) -> bytes:
    body = b"".join(attributes)
    return struct.pack("!HHI", kind, len(body), 0x2112A442) + TRANSACTION + body


def channel(number: int, data: bytes = MEDIA) -> bytes:
    return struct.pack("!HH", number, len(data)) + data + bytes(-len(data) % 4)


PEER_ADDRESS = peer("198.51.100.7", 6000)
BIND = message(0x09, attribute(0x0C, b"\x40\x01\0\0"), PEER_ADDRESS)


def test_channel_data_of_a_channel_that_was_bound() -> None:
    channels = TurnChannels()
    assert channels.unwrap(UP, BIND) == (UP, BIND)
    assert channels.unwrap(UP, channel(0x4001)) == ((CLIENT, PEER), MEDIA)
    assert channels.unwrap(DOWN, channel(0x4001)) == ((PEER, CLIENT), MEDIA)


def test_channel_data_of_a_channel_bound_before() -> None:
    ends, data = TurnChannels().unwrap(DOWN, channel(0x4002))
    assert (ends, data) == ((f"{RELAY}/channel-4002:0", CLIENT), MEDIA)


def test_indications() -> None:
    data = attribute(0x13, MEDIA)
    channels = TurnChannels()
    assert channels.unwrap(UP, message(0x16, PEER_ADDRESS, data)) == ((CLIENT, PEER), MEDIA)
    assert channels.unwrap(DOWN, message(0x17, data, PEER_ADDRESS)) == ((PEER, CLIENT), MEDIA)
    six = message(0x17, peer("2001:db8::7", 6000), data)
    assert channels.unwrap(DOWN, six) == (("[2001:db8::7]:6000", CLIENT), MEDIA)


@pytest.mark.parametrize(
    "data",
    [
        MEDIA,
        message(0x01, PEER_ADDRESS),
        message(0x16, PEER_ADDRESS),
        message(0x17, attribute(0x13, MEDIA)),
        message(0x17, attribute(0x12, b"\0\1"), attribute(0x13, MEDIA)),
        channel(0x4001)[:9],
        channel(0x5000),
        b"\x40",
        b"",
    ],
)
def test_what_is_none_of_them_stays(data: bytes) -> None:
    assert TurnChannels().unwrap(UP, data) == (UP, data)


def test_channels_are_bounded() -> None:
    channels = TurnChannels()
    for port in range(MAX_CHANNELS):
        channels.unwrap((f"10.0.0.1:{port}", RELAY), BIND)
    channels.unwrap(UP, BIND)
    assert channels.unwrap(UP, channel(0x4001))[0] == (f"{CLIENT}/channel-4001:0", RELAY)


@given(st.binary(max_size=80))
def test_garbage_never_raises(data: bytes) -> None:
    for head in (b"", message(0x17)[:20], BIND[:24]):
        assert TurnChannels().unwrap(UP, head + data)
