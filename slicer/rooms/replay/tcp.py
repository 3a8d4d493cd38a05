"""Media within TCP connections: segments put in order, and the packets taken out of their framing.

Theory of operation. Each direction is a stream of bytes: segments are put in order, and what came
before is cut off. How packets stand in it (`framing.py`) is not known at first: what may be one is
held until packets from there on prove it. Then frame follows frame. With RTSP, what is no frame is
a message, and passed over. With the others it is a sign that the place is lost, and it is sought
anew, as it is behind a hole. A segment that never comes (the capture lost it) is given up once
MAX_HELD bytes or MAX_HELD_SEGMENTS wait behind it.
"""

from collections import Counter
from collections.abc import Iterator

from slicer.rooms.replay.framing import Framing, proven

MAX_STREAMS = 256
"""Directions of connections that are followed; the one that was silent longest makes room."""
MAX_HELD = 256 * 1024
"""Bytes of one stream behind a hole."""
MAX_HELD_SEGMENTS = 256
MAX_UNPROVEN = 32 * 1024
"""Bytes of one stream that are held until a framing is proven. Packets of 1,200 bytes need 3 KB."""
_SYN = 2


class _Stream:
    """One direction of one connection. *found*: it has given a packet."""

    def __init__(self, sequence: int) -> None:
        self.found = False
        self._next = sequence
        self._buffer = b""
        self._framing: Framing | None = None
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
            self._buffer, self._framing = b"", None
        else:
            self._take(data[-ahead:])
        while self._held:
            first = min(self._held, key=lambda at: _distance(at, self._next))
            ahead = _distance(first, self._next)
            if ahead > 0:
                break
            self._take(self._held.pop(first)[-ahead:])
        for packet in self._packets():
            self.found = True
            yield packet

    def _take(self, data: bytes) -> None:
        self._next = (self._next + len(data)) & 0xFFFFFFFF
        self._buffer += data

    def _packets(self) -> Iterator[bytes]:
        while self._framing or self._settle():
            assert self._framing is not None
            frames, at = self._framing.chain(self._buffer, 0)
            packets = [self._buffer[one.start : one.end] for one in frames if one.end > one.start]
            self._buffer = self._buffer[at:]
            yield from packets
            if not self._framing.ends(self._buffer, 0):
                return
            self._framing = None

    def _settle(self) -> bool:
        """Find where frames begin that prove to be some; what cannot be their beginning is dropped.

        Of each framing, no later place is looked at while an earlier one may still prove right.
        """
        waits = len(self._buffer) - max(framing.needed for framing in Framing)
        for framing in Framing:
            for at in framing.starts(self._buffer):
                frames, end = framing.chain(self._buffer, at)
                if proven([self._buffer[one.start : one.end] for one in frames]):
                    self._buffer, self._framing = self._buffer[at:], framing
                    return True
                if not framing.ends(self._buffer, end):
                    waits = min(waits, at)
                    break
        self._buffer = self._buffer[max(waits, len(self._buffer) - MAX_UNPROVEN, 0) :]
        return False


class TcpStreams:
    """The TCP connections of one capture. Segments of those without a packet count `not udp`."""

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._streams: dict[tuple[str, str], _Stream] = {}

    def receive(self, flow: tuple[str, str], segment: bytes) -> list[bytes]:
        """The packets that this segment completes: RTP and RTCP, and what shares their connection
        (STUN, DTLS). Those of TURN are in their wrapping still."""
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
