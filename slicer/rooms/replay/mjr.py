"""Recordings of Janus (.mjr): a JSON header, then the RTP packets of one medium.

MJR00002 has the milliseconds since the first packet beside each one. In MJR00001 only the RTP
timestamps tell the time. Source: Janus' src/record.c.
"""

import json
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import BinaryIO, NamedTuple

from slicer.errors import BadInput
from slicer.rtp.parameters import Kind, RtpParameters
from slicer.webrtc.negotiation import CODECS

MAGICS = (b"MJR00001", b"MJR00002")
_FRAME = struct.Struct("!4sIH")
_EXTENSION_IDS = {str(number) for number in range(1, 15)}
_KINDS = {"a": Kind.AUDIO, "v": Kind.VIDEO}


class Recorded(NamedTuple):
    """*began*: UTC seconds of the first packet, 0 where the file does not say."""

    began: float
    stream: RtpParameters
    packets: Iterable[tuple[float, bytes]]


def open_mjr(magic: bytes, file: BinaryIO, counters: Counter[str]) -> Recorded:
    """Read a file whose first eight bytes are read. Raises BadInput where there is no media in it.

    The payload type is not in the header: it is the first packet's.
    """
    header = _header(file)
    kind, name = _KINDS.get(str(header.get("t"))), str(header.get("c")).lower()
    if kind is None or name not in CODECS[kind]:
        known = ", ".join(codec for codecs in CODECS.values() for codec in codecs)
        raise BadInput("capture", f"an .mjr file of {name}", f"one of {known}")
    if header.get("e"):
        raise BadInput("capture", "an .mjr file of end-to-end encrypted media", "a plain one")
    codec = CODECS[kind][name]
    frames = _frames(file, counters)
    first = next(frames, None)
    number = first[1][1] & 0x7F if first is not None and len(first[1]) >= 12 else 0
    microseconds = header.get("u")
    began = 0.0
    if isinstance(microseconds, int) and 0 <= microseconds < 1 << 63:
        began = microseconds / 1e6
    packets: Iterable[tuple[float, bytes]] = chain(() if first is None else (first,), frames)
    if magic == b"MJR00001":
        packets = _timed(packets, codec.clock_rate)
    stream = RtpParameters(kind, {number: codec}, extensions=_extensions(header.get("x")))
    return Recorded(began, stream, packets)


def _header(file: BinaryIO) -> Mapping[str, object]:
    size = int.from_bytes(file.read(2))
    try:
        header = json.loads(file.read(size))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise BadInput("capture", "an .mjr file without its header", "a file that Janus has closed")
    return header


def _extensions(found: object) -> dict[int, str]:
    """RTP header extensions, as id → URI."""
    if not isinstance(found, dict):
        return {}
    pairs = ((str(number), uri) for number, uri in found.items() if isinstance(uri, str))
    return {int(number): uri for number, uri in pairs if number in _EXTENSION_IDS}


def _frames(file: BinaryIO, counters: Counter[str]) -> Iterator[tuple[float, bytes]]:
    while header := file.read(_FRAME.size):
        mark, milliseconds, length = (
            _FRAME.unpack(header) if len(header) == _FRAME.size else (b"", 0, 0)
        )
        data = file.read(length)
        if mark != b"MEET" or len(data) < length:
            counters["truncated"] += 1
            return
        yield milliseconds / 1e3, data


def _timed(frames: Iterable[tuple[float, bytes]], clock_rate: int) -> Iterator[tuple[float, bytes]]:
    """The times of packets whose file has none: by their RTP timestamps."""
    seconds, before = 0.0, None
    for _, data in frames:
        timestamp = int.from_bytes(data[4:8])
        if before is not None:
            step = (timestamp - before) & 0xFFFFFFFF
            # Back by a little where packets came out of order.
            seconds += (step if step < 0x80000000 else step - 0x100000000) / clock_rate
        before = timestamp
        yield seconds, data
