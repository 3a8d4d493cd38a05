"""RTP payloads of encoded frames: RFC 6184 (H.264), RFC 7798 (H.265), RFC 7741 (VP8).

A NAL unit that fits is a payload, a larger one goes in fragments. Only what lies ahead of the first
slice of a picture is aggregated: by a payload with its parameter sets a receiver knows that nothing
of the access unit came before.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile

from slicer.rtp.codecs.h264 import NALS as H264
from slicer.rtp.codecs.h265 import NALS as H265
from slicer.rtp.codecs.nal import NalFormat

MAX_PAYLOAD = 1_200
"""Bytes of a payload of video. Audio is never split: a packet of it is one payload."""
MAX_AUDIO = 8_000
"""Bytes of an audio frame: more than fits into the largest datagram that is read is refused."""

# Two zeros and a one begin a NAL unit; a zero ahead of them is no part of the one before (ITU-T
# H.264 and H.265, annex B).
_START_CODE = re.compile(rb"\x00\x00\x01")
_START, _END = 0x80, 0x40


def annex_b(frame: bytes) -> list[bytes]:
    """The NAL units of a byte stream, without empty ones. Raises ValueError where none begins."""
    ahead, *units = _START_CODE.split(frame)
    if ahead.strip(b"\0") or not units:
        raise ValueError("no start code begins the frame")
    return [unit for unit in (one.rstrip(b"\0") for one in units) if unit]


def video(codec: str, frame: bytes) -> list[bytes]:
    """The payloads of one access unit; the last one gets the marker. Raises ValueError.

    H.264 and H.265 come as a byte stream (annex B), VP8 as the bare frame.
    """
    return _VIDEO[codec](frame)


def audio(codec: str, frame: bytes) -> list[bytes]:
    """The payload of one audio frame. Raises ValueError where it is empty or too large."""
    if not 0 < len(frame) <= MAX_AUDIO:
        raise ValueError(f"{codec} frame of {len(frame)} bytes; allowed: 1 to {MAX_AUDIO}")
    return [frame]


def _nal_payloads(nals: NalFormat, frame: bytes) -> list[bytes]:
    units = annex_b(frame)
    if any(len(unit) < nals.header or nals.kind(unit) not in nals.units for unit in units):
        raise ValueError(f"{nals.name} unit that can be no payload")
    ahead = list(takewhile(lambda unit: nals.kind(unit) not in nals.slices, units))
    aggregate = _aggregate(nals, ahead) if len(ahead) > 1 else b""
    if not 0 < len(aggregate) <= MAX_PAYLOAD:
        aggregate, ahead = b"", []
    payloads = [aggregate] if aggregate else []
    for unit in units[len(ahead) :]:
        payloads += [unit] if len(unit) <= MAX_PAYLOAD else _fragments(nals, unit)
    return payloads


def _aggregate(nals: NalFormat, units: Sequence[bytes]) -> bytes:
    """RFC 6184 5.7.1 (STAP-A), RFC 7798 4.4.2: all units are of the base layer."""
    kept = max(unit[0] & ~(nals.mask << nals.shift) for unit in units)
    head = bytes([kept | nals.aggregation << nals.shift]) + units[0][1 : nals.header]
    return head + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def _fragments(nals: NalFormat, unit: bytes) -> list[bytes]:
    """RFC 6184 5.8 (FU-A), RFC 7798 4.4.3: the unit's header is in the first two."""
    kept = unit[0] & ~(nals.mask << nals.shift) & 0xFF
    head = bytes([kept | nals.fragmentation << nals.shift]) + unit[1 : nals.header]
    size = MAX_PAYLOAD - nals.header - 1
    starts = range(nals.header, len(unit), size)
    kind = nals.kind(unit)
    payloads = []
    for start in starts:
        edge = (_START if start == starts[0] else 0) | (_END if start == starts[-1] else 0)
        payloads.append(head + bytes([edge | kind]) + unit[start : start + size])
    return payloads


def _vp8(frame: bytes) -> list[bytes]:
    """RFC 7741 4.2: the one-byte descriptor, S on the first payload, no picture id."""
    if not frame:
        raise ValueError("empty VP8 frame")
    size = MAX_PAYLOAD - 1
    starts = range(0, len(frame), size)
    return [(b"\0" if at else b"\x10") + frame[at : at + size] for at in starts]


_VIDEO: Mapping[str, Callable[[bytes], list[bytes]]] = {
    "h264": lambda frame: _nal_payloads(H264, frame),
    "h265": lambda frame: _nal_payloads(H265, frame),
    "vp8": _vp8,
}
VIDEO_CODECS = frozenset(_VIDEO)
"""The names of video codecs whose frames can be wrapped."""
AUDIO_CODECS = frozenset({"opus", "pcmu", "pcma"})
"""The names of audio codecs whose packets can be wrapped."""
