"""The pieces of one frame, collected until it is complete."""

MAX_FRAME = 4 * 1024 * 1024
"""Largest frame put together, in bytes; a larger one is given up."""
MAX_PIECES = 32_768
"""Most pieces of one frame (a packet, a NAL unit, an OBU element); bounds what small ones cost."""


class Assembly:
    """Pieces of one access unit, in order, under one timestamp."""

    __slots__ = ("pieces", "size", "timestamp")

    def __init__(self, timestamp: int) -> None:
        self.timestamp = timestamp
        self.pieces: list[bytes] = []
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Append. Raises ValueError where the frame would pass MAX_FRAME or MAX_PIECES."""
        self.size += len(piece)
        if self.size > MAX_FRAME or len(self.pieces) == MAX_PIECES:
            raise ValueError(f"frame over {MAX_FRAME} bytes or {MAX_PIECES} pieces")
        self.pieces.append(piece)

    def join(self) -> bytes:
        """All pieces, end to end."""
        return b"".join(self.pieces)


class Boundary:
    """Tells whether a packet is known to be the first of its frame, by the packets around it."""

    __slots__ = ("_marked", "_timestamp")

    def __init__(self) -> None:
        self._timestamp: int | None = None
        self._marked = False

    def passed(self, timestamp: int, marker: bool, contiguous: bool) -> bool:
        """Note this packet; True where a frame ended just before it and nothing is missing."""
        known = contiguous and self._timestamp is not None
        first = known and (self._marked or timestamp != self._timestamp)
        self._timestamp, self._marked = timestamp, marker
        return first

    def forget(self) -> None:
        """A hole: what came before says nothing of what comes next."""
        self._timestamp = None
