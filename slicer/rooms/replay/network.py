"""The internet layer: datagrams out of IP packets, put together again and unwrapped.

    packet → IPv4 or IPv6 → fragments → UDP → TURN
                                      → TCP → framing (RTSP, RFC 4571, TURN) → TURN
                                      → GRE, IP in IP, VXLAN → packet

What gives no datagram is counted, by what it is instead. All that waits (for a fragment, for an
earlier segment) is bounded.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from slicer.rooms.replay import link
from slicer.rooms.replay.fragments import Fragments
from slicer.rooms.replay.tcp import TcpStreams
from slicer.rooms.replay.turn import TurnChannels

MAX_TUNNELS = 4
"""Tunnels within each other."""
_IN_IPV4, _TCP, _UDP, _IN_IPV6, _GRE = 4, 6, 17, 41, 47
# IPv6 extension headers that are length-prefixed: hop-by-hop, routing, destination (RFC 8200 4).
_SKIPPED_HEADERS = {0, 43, 60}
_FRAGMENT_HEADER = 44
_VXLAN_PORT = 4789
_ERSPAN = 0x88BE


class Endpoints(NamedTuple):
    """Who sent a datagram to whom, as `address:port`; both empty where the file does not say."""

    source: str
    destination: str


class Datagram(NamedTuple):
    """What one datagram carries."""

    flow: Endpoints
    data: bytes


class _Segment(NamedTuple):
    """What an IP packet carries; addresses as they stand before a port."""

    source: str
    destination: str
    protocol: int
    data: bytes


class Network:
    """Takes the frames of one capture in their order."""

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._fragments = Fragments(counters)
        self._streams = TcpStreams(counters)
        self._channels = TurnChannels()

    def receive(self, kind: int, frame: bytes) -> Iterator[Datagram]:
        """The datagrams that a frame of this link type completes."""
        unwrap = link.LINKS.get(kind)
        if unwrap is None:
            self._counters["unknown link type"] += 1
        else:
            yield from self._packet(unwrap(frame), MAX_TUNNELS)

    def close(self) -> None:
        """The capture is over: count what still waited."""
        self._fragments.close()

    def _packet(self, packet: bytes, tunnels: int) -> Iterator[Datagram]:
        version = packet[0] >> 4 if packet else 0
        if version not in {4, 6} or not tunnels:
            self._counters["not ip"] += 1
            return
        try:
            segment = self._ipv4(packet) if version == 4 else self._ipv6(packet)
            if segment is not None:
                yield from self._segment(segment, tunnels)
        except (ValueError, struct.error, IndexError):
            self._counters["malformed"] += 1

    def _ipv4(self, packet: bytes) -> _Segment | None:
        """None where fragments are missing yet. Raises where it is malformed."""
        start = (packet[0] & 15) * 4
        # A total length of 0 is what a segmenting network card leaves in packets seen before it.
        end = int.from_bytes(packet[2:4]) or len(packet)
        if not 20 <= start <= end <= len(packet):
            raise ValueError("lengths that disagree")
        data: bytes | None = packet[start:end]
        flags = int.from_bytes(packet[6:8])
        if flags & 0x3FFF:  # more fragments, or not the first one
            key = packet[12:20] + packet[9:10] + packet[4:6]
            offset = (flags & 0x1FFF) * 8
            data = self._fragments.put(key, offset, packet[start:end], last=not flags & 0x2000)
        if data is None:
            return None
        source, destination = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
        return _Segment(str(source), str(destination), packet[9], data)

    def _ipv6(self, packet: bytes) -> _Segment | None:
        if len(packet) < 40:
            raise ValueError("no whole header")
        following = packet[6]
        end = 40 + int.from_bytes(packet[4:6])
        if end > len(packet):
            raise ValueError("lengths that disagree")
        data: bytes | None = packet[40:end]
        while data is not None and following in {*_SKIPPED_HEADERS, _FRAGMENT_HEADER}:
            if following == _FRAGMENT_HEADER:
                following, where, number = struct.unpack_from("!BxHI", data)
                key = packet[8:40] + number.to_bytes(4)
                data = self._fragments.put(key, where & ~7, data[8:], last=not where & 1)
            else:
                following, data = data[0], data[8 + data[1] * 8 :]
        if data is None:
            return None
        source, destination = IPv6Address(packet[8:24]), IPv6Address(packet[24:40])
        return _Segment(f"[{source}]", f"[{destination}]", following, data)

    def _segment(self, segment: _Segment, tunnels: int) -> Iterator[Datagram]:
        data = segment.data
        if segment.protocol == _UDP:
            yield from self._udp(segment, tunnels)
        elif segment.protocol == _TCP:
            flow = _endpoints(segment)
            for message in self._streams.receive(flow, data):
                ends, packet = self._channels.unwrap(flow, message)
                yield Datagram(Endpoints(*ends), packet)
        elif segment.protocol in {_IN_IPV4, _IN_IPV6}:
            yield from self._packet(data, tunnels - 1)
        elif segment.protocol == _GRE:
            yield from self._packet(_within_gre(data), tunnels - 1)
        else:
            self._counters["not udp"] += 1

    def _udp(self, segment: _Segment, tunnels: int) -> Iterator[Datagram]:
        _, destination, length = struct.unpack_from("!HHH", segment.data)
        if not 8 <= length <= len(segment.data):
            raise ValueError("lengths that disagree")
        data = segment.data[8:length]
        # RFC 7348 5: the flag says that there is a network identifier, as there always is.
        if destination == _VXLAN_PORT and data[:1] == b"\x08":
            yield from self._packet(link.ethernet(data[8:]), tunnels - 1)
        else:
            flow, data = self._channels.unwrap(_endpoints(segment), data)
            yield Datagram(Endpoints(*flow), data)


def _endpoints(segment: _Segment) -> Endpoints:
    source, destination = struct.unpack_from("!HH", segment.data)
    return Endpoints(f"{segment.source}:{source}", f"{segment.destination}:{destination}")


def _within_gre(data: bytes) -> bytes:
    """The IP packet within GRE (RFC 2784, RFC 2890), ERSPAN's mirrored frames too."""
    flags, kind = struct.unpack_from("!HH", data)
    if flags & 0x4007:  # the source routes of RFC 1701; another version
        raise ValueError("GRE of another form")
    at = 4 + 4 * ((flags >> 15 & 1) + (flags >> 13 & 1) + (flags >> 12 & 1))
    if kind == _ERSPAN:
        # draft-foschiano-erspan: type II has 8 bytes and a sequence number, type I has neither.
        return link.ethernet(data[at + 8 :] if flags & 0x1000 else data[at:])
    return link.packet(kind, data[at:])
