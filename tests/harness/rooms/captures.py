"""Builds captures byte by byte: RTP and RTCP packets, UDP in IP, pcap and rtpdump files."""

import io
import struct
from ipaddress import ip_address

from slicer.rooms.replay.capture import write_rtpdump

BEGAN = 1_700_000_000
"""UTC seconds of a pcap's first record."""


def rtp(
    payload_type: int,
    sequence: int,
    timestamp: int = 0,
    payload: bytes = b"media",
    ssrc: int = 1,
    *,
    marker: bool = False,
) -> bytes:
    """An RTP packet without extensions."""
    second = payload_type | (0x80 if marker else 0)
    counters = sequence & 0xFFFF, timestamp & 0xFFFFFFFF
    return struct.pack("!BBHII", 0x80, second, *counters, ssrc) + payload


def rtcp_sr(ssrc: int, ntp: float = 0.0, timestamp: int = 0) -> bytes:
    """A sender report without report blocks."""
    return struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, int(ntp * 2**32), timestamp, 0, 0)


def rtpdump(*datagrams: tuple[float, bytes], began: float = 0.0) -> bytes:
    """An rtpdump file."""
    file = io.BytesIO()
    write_rtpdump(file, datagrams, began)
    return file.getvalue()


def udp(payload: bytes, source: int = 5004, destination: int = 5006) -> bytes:
    """A UDP datagram with its header."""
    return struct.pack("!HHHH", source, destination, 8 + len(payload), 0) + payload


def ipv4(
    segment: bytes,
    *,
    protocol: int = 17,
    fragment: int = 0,
    options: bytes = b"",
    number: int = 1,
) -> bytes:
    """An IPv4 packet from 10.0.0.1 to 10.0.0.2; *number*: its identification."""
    words = 5 + len(options) // 4
    header = struct.pack(
        "!BBHHHBBH", 0x40 | words, 0, words * 4 + len(segment), number, fragment, 64, protocol, 0
    )
    addresses = ip_address("10.0.0.1").packed + ip_address("10.0.0.2").packed
    return header + addresses + options + segment


def ipv6(segment: bytes, following: int = 17) -> bytes:
    """An IPv6 packet from 2001:db8::1 to 2001:db8::2."""
    header = struct.pack("!IHBB", 6 << 28, len(segment), following, 64)
    ends = ip_address("2001:db8::1").packed + ip_address("2001:db8::2").packed
    return header + ends + segment


def ethernet(packet: bytes, kind: int = 0x0800, tags: bytes = b"") -> bytes:
    """An Ethernet frame."""
    return bytes(12) + tags + kind.to_bytes(2) + packet


def pcap(
    *frames: bytes, link: int = 101, order: str = "<", nanoseconds: bool = False, cut: int = 0
) -> bytes:
    """A file of these frames, one every 20 ms; *cut* bytes of each are said to be missing."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    file = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65_535, link)
    for index, frame in enumerate(frames):
        seconds, tick = divmod(index, 50)
        fraction = tick * 20_000 * (1_000 if nanoseconds else 1)
        sizes = len(frame), len(frame) + cut
        file += struct.pack(f"{order}IIII", BEGAN + seconds, fraction, *sizes) + frame
    return file


def gre(kind: int, packet: bytes, flags: int = 0) -> bytes:
    """A GRE packet (RFC 2784); *flags*: 0x8000 checksum, 0x2000 key, 0x1000 sequence number."""
    optional = 4 * sum(bool(flags & flag) for flag in (0x8000, 0x2000, 0x1000))
    return struct.pack("!HH", flags, kind) + bytes(optional) + packet


def tcp(data: bytes, sequence: int = 1, flags: int = 0x18, source: int = 5004) -> bytes:
    """A TCP segment to port 5006."""
    return struct.pack("!HHIIBBHHH", source, 5006, sequence, 0, 5 << 4, flags, 0, 0, 0) + data


def interleaved(packets: list[bytes], channel: int = 0) -> bytes:
    """Packets as RTSP has them in TCP (RFC 2326 10.12)."""
    return b"".join(b"$" + bytes([channel]) + len(one).to_bytes(2) + one for one in packets)


def counted(packets: list[bytes]) -> bytes:
    """Packets in TCP with their length before each (RFC 4571)."""
    return b"".join(len(one).to_bytes(2) + one for one in packets)


def channel_data(packet: bytes, number: int = 0x4000, *, padded: bool = False) -> bytes:
    """A packet as TURN relays it (RFC 8656 12.4); *padded*: as over TCP."""
    padding = bytes(-len(packet) % 4) if padded else b""
    return struct.pack("!HH", number, len(packet)) + packet + padding


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A pcapng block."""
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + length + body + length


def interface(link: int = 101, order: str = "<", options: bytes = b"") -> bytes:
    """An interface description block of pcapng."""
    return block(1, struct.pack(f"{order}HHI", link, 0, 0) + options, order)


def section(order: str = "<") -> bytes:
    """A section header block of pcapng."""
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def enhanced(
    frame: bytes, ticks: int, number: int = 0, order: str = "<", *, missing: int = 0
) -> bytes:
    """An enhanced packet block of pcapng; *number* is the interface's."""
    high, low = divmod(ticks, 2**32)
    sizes = len(frame), len(frame) + missing
    return block(6, struct.pack(f"{order}IIIII", number, high, low, *sizes) + frame, order)


def pcapng(*blocks: bytes, link: int = 101, resolution: int = 6) -> bytes:
    """A pcapng file of one section with one interface, whose ticks are 10 ** -resolution s."""
    options = struct.pack("<HHBxxx", 9, 1, resolution)
    return section() + interface(link, options=options) + b"".join(blocks)


def mjr(
    *packets: tuple[int, bytes], header: bytes = b'{"t":"a","c":"opus","u":1700000000000000}'
) -> bytes:
    """A recording of Janus; packets with their milliseconds."""
    file = b"MJR00002" + struct.pack("!H", len(header)) + header
    return file + b"".join(
        struct.pack("!4sIH", b"MEET", milliseconds, len(data)) + data
        for milliseconds, data in packets
    )
