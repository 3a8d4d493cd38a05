"""AV1's open bitstream units: their headers and sizes (AV1 specification 4.10.5, 5.3)."""

from typing import NamedTuple

SEQUENCE_HEADER = 1
TEMPORAL_DELIMITER = 2
FRAME_HEADER = 3
FRAME = 6
TILE_LIST = 8
_EXTENSION, _HAS_SIZE = 0x04, 0x02
_MAX_LEB128_BYTES = 8
MAX_SPATIAL = 3
"""The highest spatial_id there is."""


class Obu(NamedTuple):
    """One unit: its header of one or two bytes, without the size flag, and what follows."""

    header: bytes
    body: bytes

    @property
    def kind(self) -> int:
        """obu_type."""
        return self.header[0] >> 3 & 0x0F

    @property
    def spatial(self) -> int:
        """spatial_id: the layer of SVC; 0 where the header has no extension."""
        return self.header[1] >> 3 & 3 if len(self.header) > 1 else 0

    def sized(self) -> bytes:
        """As the low-overhead format has it (AV1 specification 5.2): with its size."""
        first = bytes([self.header[0] | _HAS_SIZE])
        return first + self.header[1:] + leb128(len(self.body)) + self.body


def read(data: bytes) -> Obu:
    """The one unit that *data* is, with or without a size of its own. Raises ValueError."""
    if not data or data[0] & 0x80:
        raise ValueError("malformed OBU header")
    start = 2 if data[0] & _EXTENSION else 1
    if len(data) < start:
        raise ValueError("OBU header is cut off")
    header = bytes([data[0] & ~_HAS_SIZE]) + data[1:start]
    if data[0] & _HAS_SIZE:
        size, start = read_leb128(data, start)
        if start + size != len(data):
            raise ValueError("OBU size differs from its element's")
    return Obu(header, data[start:])


def is_key_frame(obu: Obu) -> bool:
    """Whether a frame header begins a key frame: show_existing_frame 0, frame_type 0 (5.9.2)."""
    return obu.kind in (FRAME_HEADER, FRAME) and bool(obu.body) and obu.body[0] & 0xE0 == 0


def is_still(sequence: Obu) -> bool:
    """Whether a sequence header is a reduced one: all its frames are key frames (5.5.1)."""
    return bool(sequence.body) and bool(sequence.body[0] & 0x08)


def leb128(value: int) -> bytes:
    """A number as little-endian groups of seven bits."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def read_leb128(data: bytes, position: int) -> tuple[int, int]:
    """The number at *position* and where it ends. Raises ValueError."""
    value = 0
    for index, byte in enumerate(data[position : position + _MAX_LEB128_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return value, position + index + 1
    raise ValueError("leb128 without its end")
