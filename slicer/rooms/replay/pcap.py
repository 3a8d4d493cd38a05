"""Reads frames from a pcap file."""

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

from slicer.errors import BadInput
from slicer.rooms.replay.link import LINKS

MAX_RECORD = 262_144
"""Longest frame read, in bytes: tcpdump's own bound."""

# magic → (byte order, seconds in one unit of the second time field)
MAGICS: Mapping[bytes, tuple[str, float]] = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
}


class Frame(NamedTuple):
    """One captured frame. *seconds*: UTC; *link*: LINKTYPE; *complete*: nothing was cut off."""

    seconds: float
    link: int
    data: bytes
    complete: bool


def pcap_frames(magic: bytes, file: BinaryIO, counters: Counter[str]) -> Iterator[Frame]:
    """The frames of a file whose first four bytes are read.

    Raises BadInput where the header is cut off or the link layer is not one of `LINKS`.
    """
    order, unit = MAGICS[magic]
    header = file.read(20)
    if len(header) < 20:
        raise BadInput("capture", f"{len(header) + 4} bytes", "a pcap header of 24 bytes")
    # The upper bits tell of a frame check sequence; what follows the IP packet is cut anyway.
    link: int = struct.unpack(f"{order}I", header[16:])[0] & 0xFFFF
    if link not in LINKS:
        known = ", ".join(str(number) for number in LINKS)
        raise BadInput("capture", f"a pcap of link type {link}", f"one of {known}")
    return _records(struct.Struct(f"{order}IIII"), unit, link, file, counters)


def _records(
    record: struct.Struct, unit: float, link: int, file: BinaryIO, counters: Counter[str]
) -> Iterator[Frame]:
    while header := file.read(16):
        length = MAX_RECORD + 1
        if len(header) == 16:
            seconds, fraction, length, original = record.unpack(header)
        data = file.read(length) if length <= MAX_RECORD else b""
        if len(data) < length:
            counters["truncated"] += 1
            return
        yield Frame(seconds + fraction * unit, link, data, length >= original)
