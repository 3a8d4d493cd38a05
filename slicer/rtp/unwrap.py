"""Unwraps sequence numbers and timestamps, once, at ingress: nothing behind it sees a wrap."""


class Unwrapper:
    """Extends a counter of *bits* bits to one that does not wrap (RFC 3550 A.1).

    Each value is taken as the one nearest to *last*; so it may also go back.
    """

    __slots__ = ("_half", "_mask", "last")

    def __init__(self, bits: int) -> None:
        self._half = 1 << (bits - 1)
        self._mask = (1 << bits) - 1
        self.last: int | None = None

    def unwrap(self, value: int) -> int:
        """The extended value, which is *last* from now on. The first value is taken as it is."""
        self.last = self.peek(value)
        return self.last

    def peek(self, value: int) -> int:
        """The extended value; *last* stays."""
        last = self.last
        if last is None:
            return value
        return last + ((value - last + self._half) & self._mask) - self._half
