"""Writes Ogg/Opus files (RFC 3533, RFC 7845) from packets, without decoding them."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from struct import pack
from zlib import crc32

from slicer.errors import MediaError
from slicer.media.holes import lay
from slicer.rtp.codecs.opus import is_stereo
from slicer.slicing.outputs import AudioPacket

VENDOR = b"rtc-slicer"
MAX_SEGMENTS = 255
MAX_PACKET = MAX_SEGMENTS * 255 - 1
"""The largest packet that still ends in the page it begins in."""

_FIRST, _LAST = 0x02, 0x04
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def write(
    packets: Sequence[AudioPacket],
    start: int,
    end: int,
    comments: Sequence[str] = (),
    counters: Counter[str] | None = None,
) -> bytes:
    """Make the file that plays exactly the *end* - *start* samples (48 kHz) from *start* on.

    *packets* may begin before *start* and end after *end*; holes are filled. *comments* are Vorbis
    comments, `NAME=value`. *counters* gets what was done about lost packets after *start*: how many
    were `recovered` by in-band FEC, and how many holes `concealed`. Raises MediaError where there
    is no packet, or one is too large.
    """
    if not packets:
        raise MediaError("no Opus packet to write")
    laid = lay(packets, start, end)
    pre_skip, durations, payloads = laid.pre_skip, laid.durations, laid.payloads
    # RFC 7845 4: a page's position counts the samples up to its end, those to be skipped included.
    positions = list(accumulate(durations))
    if counters is not None:
        # The pre-roll was the end of the slice before, and was counted there.
        for name, places in (("recovered", laid.recovered), ("concealed", laid.concealed)):
            counters[name] += sum(positions[place] > pre_skip for place in places)
    positions[-1] = pre_skip + end - start
    channels = 2 if any(map(is_stereo, {payload[0] for payload in payloads})) else 1
    tags = _tags(comments)
    serial = crc32(tags, start & 0xFFFF_FFFF)
    pages = [
        _page(serial, 0, 0, [_head(channels, pre_skip)], _FIRST),
        _page(serial, 1, 0, [tags]),
    ]
    for group in _groups(payloads):
        flags = _LAST if group.stop == len(payloads) else 0
        position = positions[group.stop - 1]
        pages.append(_page(serial, len(pages), position, payloads[group.start : group.stop], flags))
    return b"".join(pages)


def _head(channels: int, pre_skip: int) -> bytes:
    """The identification header, RFC 7845 5.1."""
    return b"OpusHead" + pack("<BBHIhB", 1, channels, pre_skip, 48_000, 0, 0)


def _tags(comments: Sequence[str]) -> bytes:
    """The comment header, RFC 7845 5.2."""
    encoded = [comment.encode("utf-8", "replace") for comment in comments]
    listed = b"".join(pack("<I", len(comment)) + comment for comment in encoded)
    return b"OpusTags" + pack("<I", len(VENDOR)) + VENDOR + pack("<I", len(encoded)) + listed


def _groups(payloads: Sequence[bytes]) -> Iterator[range]:
    """Which packets share a page: as many as fit, and the last one has its own.

    FFmpeg 8 counts a file's first page without pre-skip when it is the last one as well, and would
    trim too much of its end.
    """
    sizes = list(map(len, payloads))
    if max(sizes) > MAX_PACKET:
        raise MediaError(f"an Opus packet of {max(sizes)} bytes")
    segments = list(accumulate([size // 255 + 1 for size in sizes]))
    first, last, used = 0, len(payloads) - 1, 0
    while first < last:
        stop = min(bisect_right(segments, used + MAX_SEGMENTS), last)
        yield range(first, stop)
        first, used = stop, segments[stop - 1]
    yield range(last, len(payloads))


def _page(
    serial: int, sequence: int, position: int, payloads: Sequence[bytes], flags: int = 0
) -> bytes:
    """One page, RFC 3533 6, of packets that all end in it."""
    sizes = list(map(len, payloads))
    # A packet's segments: full ones of 255 bytes, and one that is not full.
    if max(sizes) < 255:
        lacing = bytes(sizes)
    else:
        lacing = b"".join(b"\xff" * (size // 255) + bytes([size % 255]) for size in sizes)
    head = pack("<4sBBqII", b"OggS", 0, flags, position, serial, sequence)
    rest = bytes([len(lacing)]) + lacing + b"".join(payloads)
    return head + checksum(head + bytes(4) + rest) + rest


def checksum(page: bytes) -> bytes:
    """The CRC of a page whose CRC field is zero, as it is stored (RFC 3533 6, field 7).

    It is zlib's polynomial, taken from the other end of each byte, with neither of the inversions:
    so mirror the bytes, undo the inversions, and mirror back. This runs at zlib's speed.
    """
    mirrored = crc32(page.translate(_MIRRORED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return mirrored.to_bytes(4, "big").translate(_MIRRORED)
