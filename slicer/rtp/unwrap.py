"""Counters that wrap made plain integers, once, at ingress; nothing behind it knows a wrap."""


class Unwrapper:
    """Extends a counter of *bits* bits to one that does not wrap (RFC 3550 A.1).

    Each value is taken as the one nearest to the last; so it may also go back.
    """

    __slots__ = ("_half", "_last", "_size")

    def __init__(self, bits: int) -> None:
        self._size = 1 << bits
        self._half = self._size >> 1
        self._last: int | None = None

    def unwrap(self, value: int) -> int:
        """The extended value; the first one is itself."""
        last = value if self._last is None else self._last
        self._last = last + (value - last + self._half) % self._size - self._half
        return self._last

    def peek(self, value: int) -> int:
        """The extended value, without moving on."""
        last = value if self._last is None else self._last
        return last + (value - last + self._half) % self._size - self._half
