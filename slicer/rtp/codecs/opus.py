"""How long an Opus packet lasts, read from its first bytes; nothing is decoded."""

SAMPLE_RATE = 48_000
MAX_DURATION = 5760
"""Longest packet there can be, 120 ms (RFC 6716 3.2.5, R5)."""
SHORTEST_FRAME = 120
"""2.5 ms (RFC 6716 2.1.4)."""
_MAX_FRAME_BYTES = 1275
_SILK = (480, 960, 1920, 2880)
_HYBRID = (480, 960)
_CELT = (120, 240, 480, 960)


def frame_size(toc: int) -> int:
    """Samples at 48 kHz of one frame under this TOC byte (RFC 6716 3.1, table 2)."""
    config = toc >> 3
    if config < 12:
        return _SILK[config & 3]
    return _HYBRID[config & 1] if config < 16 else _CELT[config & 3]


def is_stereo(toc: int) -> bool:
    """Whether the packet of this TOC byte is coded in stereo (RFC 6716 3.1)."""
    return bool(toc & 0x04)


def duration(payload: bytes) -> int:
    """Samples at 48 kHz, which are RTP ticks (RFC 7587 4.1).

    Raises ValueError for what RFC 6716 3.4 calls malformed.
    """
    if not payload:
        raise ValueError("empty Opus packet")
    code = payload[0] & 3
    if code == 3:
        count = _arbitrary(payload)
    else:
        count = 1 if code == 0 else 2
        _check_one_or_two(code, payload)
    ticks = count * frame_size(payload[0])
    if ticks > MAX_DURATION:
        raise ValueError(f"Opus packet of {ticks} samples, over 120 ms")
    return ticks


def _check_one_or_two(code: int, payload: bytes) -> None:
    """RFC 6716 3.2.2 to 3.2.4."""
    size = len(payload) - 1
    if code == 0:
        _check_size(size)
    elif code == 1:
        if size % 2:
            raise ValueError("two Opus frames of equal size in an odd number of bytes")
        _check_size(size // 2)
    else:
        first, position = _length(payload, 1)
        rest = len(payload) - position - first
        if rest < 0:
            raise ValueError("first Opus frame is longer than its packet")
        _check_size(rest)


def _arbitrary(payload: bytes) -> int:
    """The number of frames of a code 3 packet, once its sizes add up (RFC 6716 3.2.5)."""
    if len(payload) < 2:
        raise ValueError("Opus packet without its frame count")
    variable, padded, count = payload[1] & 0x80, payload[1] & 0x40, payload[1] & 0x3F
    if count == 0:
        raise ValueError("Opus packet of no frames")
    padding, position = _padding(payload) if padded else (0, 2)
    left = len(payload) - position - padding
    if variable:
        for _ in range(count - 1):
            size, after = _length(payload, position)
            left -= size + after - position
            position = after
    elif left % count:
        raise ValueError("Opus frames of equal size do not fill their packet")
    if left < 0:
        raise ValueError("Opus frames and padding are longer than their packet")
    _check_size(left if variable else left // count)
    return count


def _padding(payload: bytes) -> tuple[int, int]:
    """Bytes of padding at the end of the packet, and where the bytes that say so end."""
    total, position = 0, 2
    while True:
        if position >= len(payload):
            raise ValueError("Opus padding length is cut off")
        value = payload[position]
        position += 1
        if value < 255:
            return total + value, position
        total += 254


def _length(payload: bytes, position: int) -> tuple[int, int]:
    """A frame length of one or two bytes, and where it ends (RFC 6716 3.2.1)."""
    if position >= len(payload):
        raise ValueError("Opus frame length is missing")
    value = payload[position]
    if value < 252:
        return value, position + 1
    if position + 1 >= len(payload):
        raise ValueError("Opus frame length is cut off")
    return value + 4 * payload[position + 1], position + 2


def _check_size(size: int) -> None:
    if size > _MAX_FRAME_BYTES:
        raise ValueError(f"Opus frame of {size} bytes, over {_MAX_FRAME_BYTES}")
