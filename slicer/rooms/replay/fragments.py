"""Fragments of IP packets, put together again (RFC 791 3.2, RFC 8200 4.5)."""

from collections import Counter
from dataclasses import dataclass, field

MAX_PACKETS = 64
"""Packets that wait for fragments at one time; the one that waits longest makes room."""
MAX_SIZE = 65_535
MAX_PARTS = 1_024
"""Fragments of one packet."""


@dataclass(slots=True)
class _Partial:
    """*parts*: offset → bytes; *size*: of the whole packet, once its last fragment is here."""

    parts: dict[int, bytes] = field(default_factory=dict)
    size: int = MAX_SIZE + 1
    held: int = 0


class Fragments:
    """The packets of one capture that are not whole yet. A fragment lost counts `fragment`."""

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._waiting: dict[bytes, _Partial] = {}

    def put(self, key: bytes, offset: int, data: bytes, *, last: bool) -> bytes | None:
        """Take a fragment; gives what the packet carries once it is whole.

        *key* is the same for all fragments of one packet. Fragments that overlap are an attack
        (RFC 5722 3, RFC 1858), so the packet never becomes whole. Raises ValueError where one
        cannot be part of any.
        """
        if offset + len(data) > MAX_SIZE:
            raise ValueError("a fragment beyond the longest packet")
        if offset == 0 and last:  # RFC 6946: a fragment that is the whole packet
            return data
        if key not in self._waiting and len(self._waiting) == MAX_PACKETS:
            self._drop(next(iter(self._waiting)))
        partial = self._waiting.setdefault(key, _Partial())
        if offset in partial.parts or len(partial.parts) == MAX_PARTS:
            self._counters["fragment"] += 1  # sent twice
            return None
        partial.parts[offset] = data
        partial.held += len(data)
        if last:
            partial.size = offset + len(data)
        if partial.held < partial.size:
            return None
        return self._whole(key, partial)

    def close(self) -> None:
        """Nothing more comes."""
        for key in [*self._waiting]:
            self._drop(key)

    def _whole(self, key: bytes, partial: _Partial) -> bytes | None:
        whole = b""
        for offset in sorted(partial.parts):
            if offset != len(whole):
                self._drop(key)
                return None
            whole += partial.parts[offset]
        del self._waiting[key]
        return whole

    def _drop(self, key: bytes) -> None:
        self._counters["fragment"] += len(self._waiting.pop(key).parts)
