"""Lays Opus packets end to end, and fills the holes between them with packets.

A short hole is filled with packets of the neighbour's TOC byte alone: a decoder takes them for lost
ones and conceals them. What is left of a long hole is filled with frames of digital silence. Both
need no encoder. A hole of one packet is repaired where the packet behind it has a copy of the lost
one (in-band FEC): that packet alone is coded anew. Not so in longer holes. What is coded anew fits
the state of one decoder, and decoders differ in what they guess before it: FFmpeg's own then
made an error louder than the audio that was lost.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from slicer.errors import MediaError
from slicer.media import fec
from slicer.rtp.codecs.opus import frame_size
from slicer.slicing.outputs import AudioPacket

MAX_PRE_ROLL = 48_000
"""What comes earlier before the slice is left out: RFC 7845 5.1 has 16 bits for the pre-skip."""
CONCEALED = 5_760
"""120 ms of a hole are concealed by the decoder; after that its guess is worse than silence."""
SHORTEST = 120
"""2.5 ms, the shortest Opus frame: holes are filled in multiples of it."""
MAX_RECOVERED = 600
"""Packets coded anew in a slice, 0.7 s of CPU at most; further ones are concealed."""

# A CELT full-band mono frame (configurations 31 to 28) whose silence flag is set, RFC 6716 4.3.
_SILENCES = tuple(
    (frame_size(payload[0]), payload)
    for payload in (b"\xf8\xff\xfe", b"\xf0\xff\xfe", b"\xe8\xff\xfe", b"\xe0\xff\xfe")
)


class Laid(NamedTuple):
    """Packets without holes: samples to skip at their beginning, durations (48 kHz), payloads.

    *recovered*: places in *payloads* of lost packets coded anew; *concealed*: of the first packet
    that fills a hole.
    """

    pre_skip: int
    durations: list[int]
    payloads: list[bytes]
    recovered: list[int]
    concealed: list[int]


def lay(packets: Sequence[AudioPacket], start: int, end: int) -> Laid:
    """Cover [*start*, *end*) of 48 kHz media time with the packets that matter, and with filling.

    The first `pre_skip` samples come before *start*; the rest is as long as the slice or longer.
    Packets that do not lie on the 2.5 ms grid of the first one move by less than 2.5 ms.
    """
    packets = packets[bisect_right(packets, start - MAX_PRE_ROLL, key=_end) :]
    return lay_whole(packets, start, end) or lay_holed(packets, start, end)


def lay_whole(packets: Sequence[AudioPacket], start: int, end: int) -> Laid | None:
    """As `lay`, where each packet begins as the one before it ends: so it mostly is, and this is
    done three times as fast. None where it is not so."""
    if not packets:
        return None
    timestamps = [packet[0] for packet in packets]
    durations = [packet[1] for packet in packets]
    position = timestamps[0]
    if position > start or list(accumulate(durations[:-1], initial=position)) != timestamps:
        return None
    count = bisect_left(timestamps, end)
    if not count:
        return None
    payloads = [packet[2] for packet in packets[:count]]
    laid = Laid(start - position, durations[:count], payloads, [], [])
    position = timestamps[count - 1] + durations[count - 1]
    _fill(laid, _up(end - position), payloads[count - 1][0])
    return laid


def lay_holed(packets: Sequence[AudioPacket], start: int, end: int) -> Laid:
    position = packets[0].timestamp if packets else start
    if position > start:
        position -= _up(position - start)
    laid = Laid(max(start - position, 0), [], [], [], [])
    toc = packets[0].payload[0] if packets else None
    left = MAX_RECOVERED
    for timestamp, ticks, payload in packets:
        if timestamp >= end or position >= end:
            break
        if timestamp > position:
            copied = fec.carries(payload) if left and laid.payloads else 0
            if copied and copied <= timestamp - position < copied + SHORTEST:
                left -= 1
                if coded := _recover(laid, payload, copied):
                    laid.recovered.append(len(laid.payloads) - 1)
                    position += coded
            place = len(laid.payloads)
            position += _fill(laid, timestamp - position, toc)
            if len(laid.payloads) > place:
                laid.concealed.append(place)
        elif timestamp + ticks <= position:
            continue
        laid.durations.append(ticks)
        laid.payloads.append(payload)
        position += ticks
        toc = payload[0]
    _fill(laid, _up(end - position), toc)
    return laid


def _recover(laid: Laid, after: bytes, ticks: int) -> int:
    """Lay the frame that *after* has a copy of; the samples laid, 0 where no decoder takes it."""
    try:
        payload = fec.recover(laid.payloads, after)
    except MediaError:
        return 0
    laid.durations.append(ticks)
    laid.payloads.append(payload)
    return ticks


def _end(packet: AudioPacket) -> int:
    return packet.timestamp + packet.duration


def _up(ticks: int) -> int:
    return -(-ticks // SHORTEST) * SHORTEST


def _fill(laid: Laid, hole: int, toc: int | None) -> int:
    # Before its first packet a decoder "conceals" with silence and stays fresh. Coded silence would
    # leave it with the wrong energies: in CELT what follows takes 100 ms to fade in.
    conceal = CONCEALED if laid.payloads else hole
    filled = 0
    for ticks, payload in filling(hole, toc, conceal):
        laid.durations.append(ticks)
        laid.payloads.append(payload)
        filled += ticks
    return filled


def filling(hole: int, toc: int | None, conceal: int = CONCEALED) -> Iterator[tuple[int, bytes]]:
    """Durations and payloads that fill *hole* ticks of 48 kHz, whole 2.5 ms of it.

    *toc* is the first byte of a packet beside the hole. It alone is a packet whose frame was lost
    (RFC 6716 3.2.1): the decoder conceals it, for *conceal* ticks at most. The rest is silence.
    """
    if toc is not None:
        concealed = min(hole, conceal)
        for ticks, payload in _lost_frames(toc):
            while ticks <= concealed:
                yield ticks, payload
                concealed -= ticks
                hole -= ticks
    for ticks, payload in _SILENCES:
        while ticks <= hole:
            yield ticks, payload
            hole -= ticks


def _lost_frames(toc: int) -> Iterator[tuple[int, bytes]]:
    """Empty frames as the TOC byte's, then shorter ones of its mode (RFC 6716 3.1, table 2)."""
    hybrid = 12 <= toc >> 3 < 16
    sizes = 0b1 if hybrid else 0b11
    for size in range((toc >> 3) & sizes, -1, -1):
        shorter = (toc & ~(sizes << 3) & 0xFC) | size << 3
        yield frame_size(shorter), bytes([shorter])
