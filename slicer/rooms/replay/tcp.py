"""RTP and RTCP interleaved with RTSP in a TCP connection (RFC 2326 10.12, RFC 7826 14).

Theory of operation. Each direction is a stream of bytes: segments are put in order, and what came
before is cut off. A frame is '$', a channel, a length, and an RTP or RTCP packet; between frames
stand RTSP messages. A '$' counts only where such a packet follows. So messages are passed over
without being read, and after a hole the next frame is found again. A segment that never comes (the
capture lost it) is given up once MAX_HELD bytes or MAX_HELD_SEGMENTS wait behind it.
"""

import struct
from collections import Counter
from collections.abc import Iterator

MAX_STREAMS = 256
"""Directions of connections that are followed; the one that was silent longest makes room."""
MAX_HELD = 256 * 1024
"""Bytes of one stream behind a hole."""
MAX_HELD_SEGMENTS = 256
_MARK = b"$"
_FRAME = 4
_SMALLEST = 8
_CHANNELS = 32
_SYN = 2


class _Stream:
    """One direction of one connection. *found*: it has given a frame."""

    def __init__(self, sequence: int) -> None:
        self.found = False
        self._next = sequence
        self._buffer = b""
        self._held: dict[int, bytes] = {}

    def receive(self, sequence: int, data: bytes) -> Iterator[bytes]:
        ahead = _distance(sequence, self._next)
        if ahead > 0:
            self._held[sequence] = max(self._held.get(sequence, b""), data, key=len)
            held = sum(map(len, self._held.values()))
            if held <= MAX_HELD and len(self._held) <= MAX_HELD_SEGMENTS:
                return
            # Given up: go on behind the hole, with nothing of the frame that it cut.
            self._next = min(self._held, key=lambda at: _distance(at, self._next))
            self._buffer = b""
        else:
            self._take(data[-ahead:])
        while self._held:
            first = min(self._held, key=lambda at: _distance(at, self._next))
            ahead = _distance(first, self._next)
            if ahead > 0:
                break
            self._take(self._held.pop(first)[-ahead:])
        for frame in self._frames():
            self.found = True
            yield frame

    def _take(self, data: bytes) -> None:
        self._next = (self._next + len(data)) & 0xFFFFFFFF
        self._buffer += data

    def _frames(self) -> Iterator[bytes]:
        at = 0
        while (at := self._buffer.find(_MARK, at)) >= 0:
            if len(self._buffer) < at + _FRAME + _SMALLEST:
                break
            channel, length = struct.unpack_from("!xBH", self._buffer, at)
            start = at + _FRAME
            if channel >= _CHANNELS or length < _SMALLEST or self._buffer[start] >> 6 != 2:
                at += 1
            elif start + length > len(self._buffer):
                break
            else:
                yield self._buffer[start : start + length]
                at = start + length
        self._buffer = b"" if at < 0 else self._buffer[at:]


class TcpStreams:
    """The TCP connections of one capture. Segments of those without a frame count `not udp`."""

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._streams: dict[tuple[str, str], _Stream] = {}

    def receive(self, flow: tuple[str, str], segment: bytes) -> list[bytes]:
        """The RTP and RTCP packets that this segment completes."""
        if len(segment) < 20 or not 20 <= (start := (segment[12] >> 4) * 4) <= len(segment):
            self._counters["not udp"] += 1
            return []
        sequence = int.from_bytes(segment[4:8])
        if segment[13] & _SYN:
            sequence += 1
            self._streams.pop(flow, None)
        stream = self._streams.pop(flow, None) or _Stream(sequence)
        if len(self._streams) == MAX_STREAMS:
            del self._streams[next(iter(self._streams))]
        self._streams[flow] = stream
        found = [*stream.receive(sequence, segment[start:])]
        if not stream.found:
            self._counters["not udp"] += 1
        return found


def _distance(sequence: int, other: int) -> int:
    """How far a sequence number is ahead of another one, below 0 where it is behind."""
    return ((sequence - other + 0x80000000) & 0xFFFFFFFF) - 0x80000000
