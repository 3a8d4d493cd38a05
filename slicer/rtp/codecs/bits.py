"""Headers that are read bit by bit."""


class Bits:
    """Reads bits, the most significant ones first. Raises ValueError behind the last one."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data), 8 * len(data)

    def take(self, count: int) -> int:
        """The number that the next *count* bits are."""
        self._left -= count
        if self._left < 0:
            raise ValueError("a header that is cut off")
        return self._value >> self._left & (1 << count) - 1
