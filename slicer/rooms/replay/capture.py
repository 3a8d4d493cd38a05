"""Reads plain RTP from a capture (rtpdump or pcap), and writes rtpdump."""

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import Enum
from ipaddress import IPv4Address
from typing import BinaryIO, NamedTuple

from slicer.errors import BadInput
from slicer.rooms.replay.pcap import MAGICS, PcapReader

FIELD = "capture"
_RTPDUMP = b"#!rtpplay1.0 "
_PCAPNG = b"\x0a\x0d\x0d\x0a"
_MAX_LINE = 256
_HEADER = struct.Struct("!IIIHH")
_RECORD = struct.Struct("!HHI")


class Endpoints(NamedTuple):
    """Who sent a datagram to whom, as `address:port`; both empty where the file does not say."""

    source: str
    destination: str


class Captured(NamedTuple):
    """One datagram. *seconds* since the capture began, as recorded: they may step back."""

    seconds: float
    data: bytes
    flow: Endpoints


class Protocol(Enum):
    """What shares a port with RTP (RFC 7983 7, RFC 5761 4)."""

    RTP = "rtp"
    RTCP = "rtcp"
    STUN = "stun"
    DTLS = "dtls"
    OTHER = "other"


def protocol(datagram: bytes) -> Protocol:
    """Tell from its first bytes what a datagram is."""
    first = datagram[0] if datagram else 255
    if 128 <= first <= 191:
        if len(datagram) >= 8 and 192 <= datagram[1] <= 223:
            return Protocol.RTCP
        return Protocol.RTP if len(datagram) >= 12 else Protocol.OTHER
    if first <= 3:
        return Protocol.STUN
    return Protocol.DTLS if 20 <= first <= 63 else Protocol.OTHER


class Capture:
    """The RTP and RTCP of a file, in its order; all else is counted in *counters* and passed over.

    *began* is the UTC of the capture's start in seconds, 0 where the file does not say. Iterate
    once. Raises BadInput where the file is none of the known formats; a file that breaks off, or
    whose records make no sense from some place on, ends there and counts `truncated`.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.counters: Counter[str] = Counter()
        magic = file.read(4)
        if magic in MAGICS:
            pcap = PcapReader(magic, file, self.counters)
            self.began, self._datagrams = pcap.began, _from_pcap(pcap)
        elif magic == _RTPDUMP[:4]:
            self.began = _open_rtpdump(magic, file)
            self._datagrams = _from_rtpdump(file, self.counters)
        elif magic == _PCAPNG:
            raise BadInput(FIELD, "a pcapng file", "pcap: editcap -F pcap IN.pcapng OUT.pcap")
        else:
            raise BadInput(FIELD, magic, "a file of rtpdump (#!rtpplay1.0) or pcap format")

    def __iter__(self) -> Iterator[Captured]:
        for captured in self._datagrams:
            found = protocol(captured.data)
            if found in (Protocol.RTP, Protocol.RTCP):
                yield captured
            else:
                self.counters[found.value] += 1


def _from_pcap(pcap: PcapReader) -> Iterator[Captured]:
    for seconds, datagram in pcap:
        yield Captured(seconds, datagram.data, Endpoints(datagram.source, datagram.destination))


def _open_rtpdump(magic: bytes, file: BinaryIO) -> float:
    line = magic + file.readline(_MAX_LINE)
    header = file.read(_HEADER.size)
    if not line.startswith(_RTPDUMP) or not line.endswith(b"\n") or len(header) < _HEADER.size:
        raise BadInput(FIELD, line[:32], "an rtpdump file: '#!rtpplay1.0 address/port', header")
    seconds, microseconds, *_ = _HEADER.unpack(header)
    return float(seconds + microseconds / 1e6)


def _from_rtpdump(file: BinaryIO, counters: Counter[str]) -> Iterator[Captured]:
    flow = Endpoints("", "")
    while header := file.read(_RECORD.size):
        length = _RECORD.unpack(header)[0] - _RECORD.size if len(header) == _RECORD.size else -1
        data = file.read(length) if length >= 0 else b""
        if length < 0 or len(data) < length:
            counters["truncated"] += 1
            return
        _, original, milliseconds = _RECORD.unpack(header)
        if length < original:  # rtpdump -F hdr keeps headers only
            counters["incomplete"] += 1
        else:
            # A plen of 0 says RTCP, which the bytes say themselves.
            yield Captured(milliseconds / 1e3, data, flow)


def write_rtpdump(
    file: BinaryIO, datagrams: Iterable[tuple[float, bytes]], began: float = 0.0
) -> None:
    """Write datagrams, each with its seconds since *began* (UTC seconds).

    Raises ValueError where one is longer than the format holds or comes before the beginning.
    """
    source = IPv4Address("127.0.0.1")
    seconds, fraction = divmod(round(began * 1e6), 1_000_000)
    file.write(_RTPDUMP + f"{source}/5004\n".encode())
    file.write(_HEADER.pack(seconds, fraction, int(source), 5004, 0))
    for offset, data in datagrams:
        if offset < 0 or len(data) > 0xFFFF - _RECORD.size:
            raise ValueError(f"rtpdump cannot hold {len(data)} bytes at {offset} s")
        original = 0 if protocol(data) is Protocol.RTCP else len(data)
        file.write(_RECORD.pack(len(data) + _RECORD.size, original, round(offset * 1e3)))
        file.write(data)
