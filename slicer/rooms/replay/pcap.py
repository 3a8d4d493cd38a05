"""Reads UDP datagrams from a pcap file: records, link layers, IPv4 and IPv6."""

import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import BinaryIO, NamedTuple

from slicer.errors import BadInput

MAX_RECORD = 262_144
"""Longest record read, in bytes: tcpdump's own bound."""

# magic → (byte order, seconds in one unit of the second time field)
MAGICS: Mapping[bytes, tuple[str, float]] = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
}
_IPV4, _IPV6 = 0x0800, 0x86DD
_VLAN_TAGS = {0x8100, 0x88A8}
_UDP = 17
# IPv6 extension headers that are length-prefixed: hop-by-hop, routing, destination (RFC 8200 4).
_SKIPPED_HEADERS = {0, 43, 60}
_FRAGMENT_HEADER = 44


class Datagram(NamedTuple):
    """The payload of one UDP datagram; ends as `address:port`."""

    source: str
    destination: str
    data: bytes


class PcapReader:
    """Iterates over (seconds since the first record, datagram); what is no UDP is counted.

    Raises BadInput where the header is cut off or the link layer is not one of `LINKS`.
    """

    def __init__(self, magic: bytes, file: BinaryIO, counters: Counter[str]) -> None:
        order, self._unit = MAGICS[magic]
        self._file, self._counters = file, counters
        self._record = struct.Struct(f"{order}IIII")
        header = file.read(20)
        if len(header) < 20:
            raise BadInput("capture", f"{len(header) + 4} bytes", "a pcap header of 24 bytes")
        # The upper bits tell of a frame check sequence; what follows the IP packet is cut anyway.
        link = struct.unpack(f"{order}I", header[16:])[0] & 0xFFFF
        if link not in LINKS:
            known = ", ".join(str(number) for number in LINKS)
            raise BadInput("capture", f"a pcap of link type {link}", f"one of {known}")
        self._to_ip = LINKS[link]
        self._first = self._next()
        self.began = self._first[0] if self._first else 0.0

    def __iter__(self) -> Iterator[tuple[float, Datagram]]:
        record = self._first
        while record:
            seconds, data, complete = record
            found = _udp(self._to_ip(data)) if complete else "incomplete"
            if isinstance(found, Datagram):
                yield seconds - self.began, found
            else:
                self._counters[found] += 1
            record = self._next()

    def _next(self) -> tuple[float, bytes, bool] | None:
        header = self._file.read(16)
        if not header:
            return None
        if len(header) == 16:
            seconds, fraction, length, original = self._record.unpack(header)
            data = self._file.read(length) if length <= MAX_RECORD else b""
            if length == len(data):
                return seconds + fraction * self._unit, data, length >= original
        self._counters["truncated"] += 1
        return None


def _ethernet(frame: bytes) -> bytes:
    at, kind = 14, int.from_bytes(frame[12:14])
    while kind in _VLAN_TAGS:
        at, kind = at + 4, int.from_bytes(frame[at + 2 : at + 4])
    return _ip_only(kind, frame[at:])


def _linux_sll(frame: bytes) -> bytes:
    return _ip_only(int.from_bytes(frame[14:16]), frame[16:])


def _linux_sll2(frame: bytes) -> bytes:
    return _ip_only(int.from_bytes(frame[:2]), frame[20:])


def _ip_only(kind: int, packet: bytes) -> bytes:
    return packet if kind in (_IPV4, _IPV6) else b""


LINKS: Mapping[int, Callable[[bytes], bytes]] = {
    0: lambda frame: frame[4:],  # BSD loopback: the family is told by the IP version as well
    1: _ethernet,
    12: lambda frame: frame,  # raw IP where OpenBSD wrote the file
    101: lambda frame: frame,  # raw IP
    108: lambda frame: frame[4:],  # OpenBSD loopback
    113: _linux_sll,
    276: _linux_sll2,
}


def _udp(packet: bytes) -> Datagram | str:
    """The datagram within an IP packet, or the counter's name for what it is instead."""
    version = packet[0] >> 4 if packet else 0
    if version not in (4, 6):
        return "not ip"
    found = _ipv4(packet) if version == 4 else _ipv6(packet)
    if isinstance(found, str):
        return found
    source, destination, segment = found
    if len(segment) < 8:
        return "malformed"
    source_port, destination_port, length = struct.unpack_from("!HHH", segment)
    if not 8 <= length <= len(segment):
        return "malformed"
    return Datagram(
        f"{source}:{source_port}", f"{destination}:{destination_port}", segment[8:length]
    )


def _ipv4(packet: bytes) -> tuple[str, str, bytes] | str:
    start = (packet[0] & 15) * 4
    if not 20 <= start <= len(packet):
        return "malformed"
    if packet[9] != _UDP:
        return "not udp"
    if int.from_bytes(packet[6:8]) & 0x3FFF:  # more fragments, or not the first one
        return "fragment"
    # A total length of 0 is what a segmenting network card leaves in packets seen before it.
    end = int.from_bytes(packet[2:4]) or len(packet)
    if end > len(packet):
        return "malformed"
    source, destination = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
    return str(source), str(destination), packet[start:end]


def _ipv6(packet: bytes) -> tuple[str, str, bytes] | str:
    if len(packet) < 40:
        return "malformed"
    following, at, end = packet[6], 40, 40 + int.from_bytes(packet[4:6])
    while following in _SKIPPED_HEADERS and at + 8 <= len(packet):
        following, at = packet[at], at + 8 + packet[at + 1] * 8
    if following == _FRAGMENT_HEADER:
        return "fragment"
    if following != _UDP:
        return "not udp"
    if end > len(packet):
        return "malformed"
    source, destination = IPv6Address(packet[8:24]), IPv6Address(packet[24:40])
    return f"[{source}]", f"[{destination}]", packet[at:end]
