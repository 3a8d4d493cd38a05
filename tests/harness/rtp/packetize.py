"""Encoded frames to RTP, as a sender does it; written apart from what the tests read it with."""

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MTU = 1200
"""Largest payload in bytes unless told otherwise."""


def payloads(codec: str, frame: bytes, mtu: int = MTU, picture: int = 0) -> list[bytes]:
    """One access unit's RTP payloads; the marker goes on the last. *picture* numbers frames."""
    match codec:
        case "vp8":
            return vp8(frame, mtu, picture)
        case "vp9":
            return vp9([frame], mtu, picture)
        case "h264" | "h265":
            return nal_payloads(codec, annexb(frame), mtu)
        case "av1":
            return av1(obus(frame), mtu)
        case _:
            return [frame]


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def vp8(frame: bytes, mtu: int = MTU, picture: int = 0) -> list[bytes]:
    """RFC 7741, with a 15-bit picture id, as libwebrtc sends it."""
    identifier = struct.pack("!BH", 0x80, 0x8000 | picture & 0x7FFF)
    return [
        bytes([0x90 if index == 0 else 0x80]) + identifier + piece
        for index, piece in enumerate(_pieces(frame, mtu - 4))
    ]


def vp9(
    layers: list[bytes],
    mtu: int = MTU,
    picture: int = 0,
    flexible: bool = False,
    heights: Sequence[int] = (),
) -> list[bytes]:
    """RFC 9628: one picture of one or more spatial layer frames.

    A single layer goes without layer indices; P is taken from the base layer's own header.
    *heights*: of the layers, which a keyframe's first payload tells, the widths being 16:9 of them.
    """
    identifier = struct.pack("!H", 0x8000 | picture & 0x7FFF)
    key = layers[0][0] & 0x04 == 0
    result: list[bytes] = []
    for spatial, layer in enumerate(layers):
        head = 0x80 | (0 if key else 0x40) | (0x10 if flexible else 0)
        tail = identifier
        if len(layers) > 1:
            head |= 0x20
            tail += bytes([spatial << 1 | (spatial > 0)]) + (b"" if flexible else b"\x00")
        if flexible and not key:
            tail += b"\x02"
        pieces = _pieces(layer, mtu - 8)
        for index, piece in enumerate(pieces):
            begin = 0x08 if index == 0 else 0
            end = 0x04 if index == len(pieces) - 1 else 0
            structure = b""
            if key and heights and not result:
                sizes = (struct.pack("!HH", high * 16 // 9, high) for high in heights)
                structure = bytes([len(heights) - 1 << 5 | 0x10]) + b"".join(sizes)
            told = 0x02 if structure else 0
            result.append(bytes([head | begin | end | told]) + tail + structure + piece)
    return result


def annexb(data: bytes) -> list[bytes]:
    """The NAL units of an Annex B byte stream."""
    parts = re.split(rb"\x00\x00\x01", data)[1:]
    return [part.rstrip(b"\x00") for part in parts]


def nal_payloads(
    codec: str, nals: Iterable[bytes], mtu: int = MTU, aggregate: bool = True
) -> list[bytes]:
    """NAL units each by itself, several in one payload (where *aggregate*), or in fragments.

    RFC 6184 in packetization mode 1: STAP-A and FU-A; RFC 7798: AP and FU.
    """
    write = {"h264": (_stap_a, _fu_a), "h265": (_ap, _fu)}
    aggregated, fragmented = write[codec]
    result: list[bytes] = []
    small: list[bytes] = []

    def flush() -> None:
        if len(small) == 1:
            result.append(small[0])
        elif small:
            units = b"".join(struct.pack("!H", len(nal)) + nal for nal in small)
            result.append(aggregated(small) + units)
        small.clear()

    for nal in nals:
        if len(nal) > mtu:
            flush()
            result += fragmented(nal, mtu)
            continue
        if not aggregate or sum(len(other) + 2 for other in small) + len(nal) + 3 > mtu:
            flush()
        small.append(nal)
    flush()
    return result


def _stap_a(nals: list[bytes]) -> bytes:
    return bytes([max(nal[0] & 0x60 for nal in nals) | 24])


def _fu_a(nal: bytes, mtu: int) -> list[bytes]:
    pieces = _pieces(nal[1:], mtu - 2)
    result = []
    for index, piece in enumerate(pieces):
        start = 0x80 if index == 0 else 0
        end = 0x40 if index == len(pieces) - 1 else 0
        result.append(bytes([nal[0] & 0xE0 | 28, start | end | nal[0] & 0x1F]) + piece)
    return result


def _ap(nals: list[bytes]) -> bytes:
    """RFC 7798 4.4.2: the lowest layer and temporal id of all."""
    layer = min((nal[0] & 1) << 5 | nal[1] >> 3 for nal in nals)
    temporal = min(nal[1] & 7 for nal in nals)
    return struct.pack("!H", 48 << 9 | layer << 3 | temporal)


def _fu(nal: bytes, mtu: int) -> list[bytes]:
    """RFC 7798 4.4.3."""
    pieces = _pieces(nal[2:], mtu - 3)
    result = []
    for index, piece in enumerate(pieces):
        start = 0x80 if index == 0 else 0
        end = 0x40 if index == len(pieces) - 1 else 0
        head = bytes([nal[0] & 0x81 | 49 << 1, nal[1], start | end | nal[0] >> 1 & 0x3F])
        result.append(head + piece)
    return result


def obus(temporal_unit: bytes) -> list[bytes]:
    """The OBUs of a low-overhead temporal unit, without sizes and without temporal delimiters."""
    found, position = [], 0
    while position < len(temporal_unit):
        first = temporal_unit[position]
        assert first & 0x02, "an OBU without its size"
        start = position + (2 if first & 0x04 else 1)
        size, shift, at = 0, 0, start
        while True:
            size |= (temporal_unit[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not temporal_unit[at - 1] & 0x80:
                break
        header = bytes([first & 0xFD]) + temporal_unit[position + 1 : start]
        if first >> 3 & 0x0F != 2:
            found.append(header + temporal_unit[at : at + size])
        position = at + size
    return found


def av1(units: list[bytes], mtu: int = MTU, counted: bool = True) -> list[bytes]:
    """The AV1 payload format; *counted*: W says how many elements, else each has its size."""
    result: list[bytes] = []
    elements: list[bytes] = []
    starts_inside = False

    def flush(ends_inside: bool) -> None:
        nonlocal starts_inside
        head = 0x80 * starts_inside | 0x40 * ends_inside
        if counted and len(elements) <= 3:
            head |= len(elements) << 4
        if not result and elements[0][0] >> 3 & 0x0F == 1:
            head |= 0x08
        body = b""
        for index, element in enumerate(elements):
            last = head & 0x30 and index == len(elements) - 1
            body += element if last else leb128(len(element)) + element
        result.append(bytes([head]) + body)
        elements.clear()
        starts_inside = ends_inside

    for unit in units:
        rest = unit
        while rest:
            used = 1 + sum(len(element) + 2 for element in elements)
            room = mtu - used - 2
            if room < 1:
                flush(False)
                continue
            elements.append(rest[:room])
            rest = rest[room:]
            if rest:
                flush(True)
    if elements:
        flush(False)
    return result


def leb128(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + leb128(value >> 7)


@dataclass
class Sender:
    """Numbers the packets of one RTP stream."""

    codec: str
    payload_type: int = 96
    ssrc: int = 0x1234
    sequence: int = 0
    mtu: int = MTU
    picture: int = 0

    def send(self, frame: bytes, timestamp: int, extension: bytes = b"") -> Iterator[bytes]:
        """The datagrams of one frame; *extension*: a whole header extension."""
        parts = payloads(self.codec, frame, self.mtu, self.picture)
        self.picture += 1
        for index, part in enumerate(parts):
            marker = index == len(parts) - 1
            yield self.datagram(part, timestamp, marker, extension)

    def datagram(
        self, payload: bytes, timestamp: int, marker: bool, extension: bytes = b""
    ) -> bytes:
        """One RTP packet under the next sequence number."""
        head = struct.pack(
            "!BBHLL",
            0x90 if extension else 0x80,
            marker << 7 | self.payload_type,
            self.sequence & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            self.ssrc,
        )
        self.sequence += 1
        return head + extension + payload


def redundant(payload_type: int, blocks: Iterable[tuple[int, int, bytes]], primary: bytes) -> bytes:
    """The payload of RFC 2198 with these redundant blocks: payload type, offset in ticks, bytes."""
    headers, bodies = b"", b""
    for kind, offset, block in blocks:
        headers += struct.pack("!I", 1 << 31 | kind << 24 | offset << 10 | len(block))
        bodies += block
    return headers + bytes([payload_type]) + bodies + primary
