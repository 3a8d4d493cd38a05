"""Whether somebody is heard in an audio slice, told by the sizes of its Opus packets.

Theory of operation. A sender that is muted or silent sends packets of a few bytes: Opus codes
digital silence in three, and discontinuous transmission (RFC 6716 2.1.9) sends nothing but a packet
of one or two bytes every 400 ms. Speech takes 40 bytes and more every 20 ms. So the share of
packets above SILENT tells speech from silence, and nothing is decoded for it. A sender with a
constant bit rate makes all its packets large, and seems to speak all the time.

The sizes are those of the segments of the file's pages (RFC 3533 section 6): a packet is a run of
segments of 255 bytes, and ends with the first shorter one.
"""

from collections.abc import Iterator

SILENT = 20
"""Bytes of a packet of 20 ms up to which nobody is heard in it."""
LEAST_SHARE = 0.1
"""Of a slice's packets, from which somebody is heard in it."""

_HEADER = 27
_MAGIC = b"OggS"
_HEADERS = 2
"""Packets before the first of audio: OpusHead and OpusTags."""


def heard(data: bytes) -> bool | None:
    """Whether somebody is heard in an Ogg Opus file; None where it is none."""
    if b"OpusHead" not in data[:64]:
        return None
    sizes = list(packet_sizes(data))[_HEADERS:]
    loud = sum(size > SILENT for size in sizes)
    return bool(sizes) and loud >= LEAST_SHARE * len(sizes)


def packet_sizes(data: bytes) -> Iterator[int]:
    """The size of each packet of an Ogg file of one stream; ends at the first page that is none."""
    at = size = 0
    while data.startswith(_MAGIC, at) and at + _HEADER <= len(data):
        count = data[at + _HEADER - 1]
        lacing = data[at + _HEADER : at + _HEADER + count]
        for segment in lacing:
            size += segment
            if segment < 255:
                yield size
                size = 0
        at += _HEADER + count + sum(lacing)
