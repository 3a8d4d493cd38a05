"""Transport-wide congestion control feedback: when each packet of a connection arrived.

The format of draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1: a base time in steps of
64 ms, a status for each sequence number, a difference of arrival in steps of 250 µs for each
packet that came.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from struct import pack, unpack_from
from typing import ClassVar, Self

from slicer.rtp.rtcp.feedback import TRANSPORT_FEEDBACK_TYPE
from slicer.rtp.rtcp.reports import Parts

TICK = 0.000_25
"""Seconds of one step of a difference."""
MAX_PACKETS = 500
"""Most sequence numbers in one feedback; at two bytes each it still fits a datagram."""
_TICKS_PER_REFERENCE = 256
_REFERENCE_BITS = 24
_HEAD = "!LLHHHBB"
_HEAD_SIZE = 16
_MAX_RUN = 0x1FFF
_MISSING, _SMALL, _LARGE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """One feedback, as it is on the wire.

    *base_sequence*: 16 bits, of the first entry of *deltas*; *reference*: signed 24 bits, in 64 ms;
    *count*: 8 bits, grows with each feedback sent; *deltas*: for each sequence number in turn the
    difference to the arrival before it in 250 µs (the first one to *reference*), or None where the
    packet did not come.
    """

    FORMAT: ClassVar[tuple[int, int]] = (TRANSPORT_FEEDBACK_TYPE, 15)
    sender_ssrc: int
    media_ssrc: int
    base_sequence: int
    reference: int
    count: int
    deltas: tuple[int | None, ...]

    def arrivals(self) -> list[tuple[int, float | None]]:
        """(16-bit sequence number, seconds of arrival or None), on the sender's reference time."""
        ticks, found = self.reference * _TICKS_PER_REFERENCE, []
        for index, delta in enumerate(self.deltas):
            ticks += delta or 0
            seconds = None if delta is None else ticks * TICK
            found.append((self.base_sequence + index & 0xFFFF, seconds))
        return found

    def pack(self) -> Parts:
        """Raises ValueError where a number does not fit."""
        head = pack(
            _HEAD,
            self.sender_ssrc,
            self.media_ssrc,
            self.base_sequence,
            len(self.deltas),
            self.reference >> 8 & 0xFFFF,
            self.reference & 0xFF,
            self.count,
        )
        symbols = [_symbol(delta) for delta in self.deltas]
        body = head + b"".join(pack("!H", chunk) for chunk in _chunks(symbols))
        for delta, symbol in zip(self.deltas, symbols, strict=True):
            if delta is not None:
                body += pack("!B" if symbol == _SMALL else "!h", delta)
        return (*self.FORMAT, body + bytes(-len(body) % 4))

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Raises struct.error or ValueError where it is malformed."""
        sender, media, base, status_count, high, low, count = unpack_from(_HEAD, body)
        symbols, position = _statuses(body, status_count)
        deltas: list[int | None] = []
        for symbol in symbols:
            if symbol == _MISSING:
                deltas.append(None)
                continue
            (delta,) = unpack_from("!B" if symbol == _SMALL else "!h", body, position)
            position += symbol
            deltas.append(delta)
        reference = (high << 8 | low) - (1 << _REFERENCE_BITS if high >> 15 else 0)
        return cls(sender, media, base, reference, count, tuple(deltas))


def feedback_for(
    sender_ssrc: int, media_ssrc: int, count: int, arrivals: Iterable[tuple[int, float | None]]
) -> list[TransportFeedback]:
    """Feedback about (unwrapped transport sequence number, seconds of arrival or None).

    *arrivals* ascend by sequence number; one that is left out counts as missing. *count* is that of
    the first feedback. There is more than one where arrivals lie more than 8 s apart or the
    sequence numbers too far; none where nothing arrived.
    """
    feedbacks: list[TransportFeedback] = []
    builder: _Builder | None = None
    for sequence, seconds in arrivals:
        if builder is None or not builder.take(sequence, seconds):
            if builder is not None and builder.arrived:
                feedbacks.append(builder.build(sender_ssrc, media_ssrc, count + len(feedbacks)))
            builder = _Builder(sequence, seconds)
    if builder is not None and builder.arrived:
        feedbacks.append(builder.build(sender_ssrc, media_ssrc, count + len(feedbacks)))
    return feedbacks


class _Builder:
    """Gathers what one feedback can hold."""

    def __init__(self, sequence: int, seconds: float | None) -> None:
        self._base = sequence
        self._reference = 0
        self._last = 0
        self._deltas: list[int | None] = []
        self.arrived = False
        self.take(sequence, seconds)

    def take(self, sequence: int, seconds: float | None) -> bool:
        """Add one more; False where it does not fit."""
        skipped = sequence - self._base - len(self._deltas)
        if skipped < 0:
            raise ValueError("transport sequence numbers do not ascend")
        if len(self._deltas) + skipped >= MAX_PACKETS:
            return False
        delta = None
        if seconds is not None:
            ticks = round(seconds / TICK)
            if not self.arrived:
                self._reference = ticks // _TICKS_PER_REFERENCE
                self._last = self._reference * _TICKS_PER_REFERENCE
            delta = ticks - self._last
            if not -0x8000 <= delta <= 0x7FFF:
                return False
            self._last, self.arrived = ticks, True
        self._deltas += [None] * skipped
        self._deltas.append(delta)
        return True

    def build(self, sender_ssrc: int, media_ssrc: int, count: int) -> TransportFeedback:
        half = 1 << _REFERENCE_BITS - 1
        reference = (self._reference + half) % (2 * half) - half
        base, deltas = self._base & 0xFFFF, tuple(self._deltas)
        return TransportFeedback(sender_ssrc, media_ssrc, base, reference, count & 0xFF, deltas)


def _symbol(delta: int | None) -> int:
    if delta is None:
        return _MISSING
    return _SMALL if 0 <= delta <= 0xFF else _LARGE


def _chunks(symbols: Sequence[int]) -> Iterator[int]:
    """Status chunks of 16 bits: the one that holds most of what comes next, each time (3.1.1)."""
    position = 0
    while position < len(symbols):
        run = _run(symbols, position)
        one_bit = symbols[position : position + 14]
        if run >= len(one_bit) or (run > 7 and _LARGE in one_bit):
            yield symbols[position] << 13 | run
            position += run
        elif _LARGE not in one_bit:
            yield 0x8000 | _vector(one_bit, 1)
            position += 14
        else:
            yield 0xC000 | _vector(symbols[position : position + 7], 2)
            position += 7


def _run(symbols: Sequence[int], start: int) -> int:
    end = start
    while end < len(symbols) and end - start < _MAX_RUN and symbols[end] == symbols[start]:
        end += 1
    return end - start


def _vector(symbols: Sequence[int], bits: int) -> int:
    value = 0
    for index, symbol in enumerate(symbols):
        value |= symbol << 14 - bits * (index + 1)
    return value


def _statuses(body: bytes, count: int) -> tuple[list[int], int]:
    """The status of *count* packets, and where the differences begin."""
    symbols: list[int] = []
    position = _HEAD_SIZE
    while len(symbols) < count:
        (chunk,) = unpack_from("!H", body, position)
        position += 2
        if not chunk & 0x8000:
            found = [chunk >> 13 & 3] * min(chunk & _MAX_RUN, count)
        elif chunk & 0x4000:
            found = [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            found = [chunk >> shift & 1 for shift in range(13, -1, -1)]
        if 3 in found[: count - len(symbols)]:
            raise ValueError("reserved packet status")
        symbols += found
    return symbols[:count], position
