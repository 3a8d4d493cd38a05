"""TURN (RFC 8656): what clients and their peers send each other through a relay, by UDP or TCP.

A capture beside a client or a relay shows media wrapped in ChannelData, or in Send and Data
indications. Both name the peer: an indication in itself, a channel by the ChannelBind before it.
The flow that comes out is between client and peer, whichever wrapping its packets came in.
"""

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from slicer.rooms.replay.framing import COOKIE

MAX_CHANNELS = 4_096
"""Channels that are known by their peer. A further one goes by its number."""
_BIND, _SEND, _DATA_INDICATION = 0x0009, 0x0016, 0x0017
_CHANNEL_NUMBER, _PEER_ADDRESS, _DATA = 0x000C, 0x0012, 0x0013

Ends = tuple[str, str]
"""Source and destination, as `address:port`."""


class TurnChannels:
    """The channels of one capture."""

    def __init__(self) -> None:
        # (client, relay, channel) → peer
        self._peers: dict[tuple[str, str, int], str] = {}

    def unwrap(self, ends: Ends, data: bytes) -> tuple[Ends, bytes]:
        """Take TURN's wrapping off a datagram; any other one comes back as it is."""
        first = data[0] if data else 255
        if 0x40 <= first <= 0x4F and len(data) >= 4:
            number, length = struct.unpack_from("!HH", data)
            if 4 + length <= len(data):  # the rest is padding
                return self._by_channel(ends, number), data[4 : 4 + length]
        elif first < 4 and data[4:8] == COOKIE:
            return self._by_message(ends, data)
        return ends, data

    def _by_channel(self, ends: Ends, number: int) -> Ends:
        source, destination = ends
        if peer := self._peers.get((source, destination, number)):
            return source, peer
        if peer := self._peers.get((destination, source, number)):
            return peer, destination
        # Bound before the capture began. Which end is the client is not known, and not needed.
        return f"{source}/channel-{number:x}:0", destination

    def _by_message(self, ends: Ends, data: bytes) -> tuple[Ends, bytes]:
        source, destination = ends
        kind = int.from_bytes(data[:2])
        if kind not in {_BIND, _SEND, _DATA_INDICATION}:
            return ends, data
        found = dict(_attributes(data))
        peer = _address(found.get(_PEER_ADDRESS, b""), data[8:20])
        if peer and kind == _BIND and len(found.get(_CHANNEL_NUMBER, b"")) == 4:
            number = int.from_bytes(found[_CHANNEL_NUMBER][:2])
            if len(self._peers) < MAX_CHANNELS:
                self._peers[source, destination, number] = peer
        elif peer and kind == _SEND and _DATA in found:
            return (source, peer), found[_DATA]
        elif peer and kind == _DATA_INDICATION and _DATA in found:
            return (peer, destination), found[_DATA]
        return ends, data


def _attributes(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The type-length-value attributes of a STUN message (RFC 8489 14)."""
    at = 20
    while at + 4 <= len(message):
        kind, length = struct.unpack_from("!HH", message, at)
        if at + 4 + length > len(message):
            return
        yield kind, message[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4


def _address(value: bytes, transaction: bytes) -> str:
    """An XOR-PEER-ADDRESS (RFC 8489 14.2) as `address:port`; empty where it is none."""
    if len(value) not in {8, 20}:
        return ""
    mask = COOKIE + transaction
    port = int.from_bytes(value[2:4]) ^ 0x2112
    packed = bytes(one ^ other for one, other in zip(value[4:], mask, strict=False))
    if len(packed) == 4:
        return f"{IPv4Address(packed)}:{port}"
    return f"[{IPv6Address(packed)}]:{port}"
