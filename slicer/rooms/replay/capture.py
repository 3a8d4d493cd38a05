"""Reads datagrams from a capture (pcap, pcapng, rtpdump, Janus' .mjr), and writes rtpdump."""

import gzip
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from ipaddress import IPv4Address
from itertools import chain
from typing import BinaryIO, NamedTuple, cast

from slicer.errors import BadInput
from slicer.rooms.replay import compression, mjr, pcapng
from slicer.rooms.replay.network import Endpoints, Network
from slicer.rooms.replay.pcap import MAGICS, Frame, pcap_frames
from slicer.rtp.parameters import RtpParameters

FIELD = "capture"
LONGEST_GAP = 3_600.0
"""Seconds without a packet that are played; a longer gap is a step of the capturing clock."""
DISORDER = 1.0
_RTPDUMP = b"#!rtpplay1.0 "
_MAX_LINE = 256
# What gzip raises where a file is damaged or breaks off.
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile)
_HEADER = struct.Struct("!IIIHH")
_RECORD = struct.Struct("!HHI")


class Captured(NamedTuple):
    """One datagram. *seconds* since the capture began, as recorded: they may step back."""

    seconds: float
    data: bytes
    flow: Endpoints


class Elapsed:
    """The time that a capture plays: what a clock that was set while capturing did is undone.

    A step back, and a gap longer than LONGEST_GAP, become no time at all. Packets a little out of
    order, as several interfaces give them, are no such step.
    """

    def __init__(self) -> None:
        self._now = self._before = 0.0

    def reach(self, seconds: float) -> float:
        """When a packet comes, in seconds since the capture began; it never steps back."""
        step = seconds - self._before
        if not -DISORDER < step < 0:
            self._before = seconds
            self._now += step if 0 <= step <= LONGEST_GAP else 0.0
        return self._now


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

    *began* is the UTC of the capture's start in seconds, 0 where the file does not say; *streams*
    is what the file itself says of its media; *records* counts what was read. DTLS is shown to
    *on_dtls* as well, and TLS key logs in the file to *on_secrets*. Iterate once. A file may be
    compressed by gzip.

    Raises BadInput where the file is none of the known formats, and on the way where it expands too
    far. A file that breaks off, or whose records make no sense from some place on, ends there and
    counts `truncated`.
    """

    def __init__(
        self,
        file: BinaryIO,
        on_dtls: Callable[[Captured], None] = lambda _: None,
        on_secrets: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self._on_dtls, self._on_secrets = on_dtls, on_secrets
        self.counters: Counter[str] = Counter()
        self.records = 0
        self.streams: tuple[RtpParameters, ...] = ()
        self.began = 0.0
        try:
            self._datagrams = self._open(file)
        except _DAMAGE as error:
            raise BadInput(FIELD, "a damaged gzip file", f"a whole one ({error})") from None

    def __iter__(self) -> Iterator[Captured]:
        try:
            for captured in self._datagrams:
                found = protocol(captured.data)
                if found in (Protocol.RTP, Protocol.RTCP):
                    yield captured
                    continue
                self.counters[found.value] += 1
                if found is Protocol.DTLS:
                    self._on_dtls(captured)
        except _DAMAGE:
            self.counters["truncated"] += 1

    def _open(self, file: BinaryIO) -> Iterator[Captured]:
        magic = file.read(4)
        if magic[:2] == compression.MAGIC:
            file = cast(BinaryIO, compression.Decompressed(file))
            magic = file.read(4)
        if magic in MAGICS:
            return self._from_frames(pcap_frames(magic, file, self.counters))
        if magic == pcapng.MAGIC:
            frames = pcapng.pcapng_frames(file, self.counters, self._on_secrets)
            return self._from_frames(frames)
        if magic == _RTPDUMP[:4]:
            self.began = _open_rtpdump(magic, file)
            return self._counted(_from_rtpdump(file, self.counters))
        if magic == mjr.MAGICS[0][:4] and (rest := magic + file.read(4)) in mjr.MAGICS:
            recorded = mjr.open_mjr(rest, file, self.counters)
            self.began, self.streams = recorded.began, (recorded.stream,)
            return self._counted(recorded.packets)
        got = f"a file that begins with {magic!r}"
        raise BadInput(FIELD, got, "a file of pcap, pcapng, rtpdump (#!rtpplay1.0) or mjr format")

    def _counted(self, packets: Iterable[tuple[float, bytes]]) -> Iterator[Captured]:
        for seconds, data in packets:
            self.records += 1
            yield Captured(seconds, data, Endpoints("", ""))

    def _from_frames(self, frames: Iterator[Frame]) -> Iterator[Captured]:
        first = next(frames, None)
        if first is None:
            return iter(())
        self.began = first.seconds
        return self._unwrapped(chain((first,), frames))

    def _unwrapped(self, frames: Iterable[Frame]) -> Iterator[Captured]:
        network = Network(self.counters)
        for frame in frames:
            self.records += 1
            if not frame.complete:
                self.counters["incomplete"] += 1
                continue
            for flow, data in network.receive(frame.link, frame.data):
                yield Captured(frame.seconds - self.began, data, flow)
        network.close()


def _open_rtpdump(magic: bytes, file: BinaryIO) -> float:
    line = magic + file.readline(_MAX_LINE)
    header = file.read(_HEADER.size)
    if not line.startswith(_RTPDUMP) or not line.endswith(b"\n") or len(header) < _HEADER.size:
        raise BadInput(FIELD, line[:32], "an rtpdump file: '#!rtpplay1.0 address/port', header")
    seconds, microseconds, *_ = _HEADER.unpack(header)
    return float(seconds + microseconds / 1e6)


def _from_rtpdump(file: BinaryIO, counters: Counter[str]) -> Iterator[tuple[float, bytes]]:
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
            yield milliseconds / 1e3, data


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
