"""The slices that an outbox has taken and is not done with, and what they take of memory."""

import asyncio
from collections.abc import Iterator

from slicer.clock import Clock
from slicer.delivery.delivery import DROPPABLE, Delivery
from slicer.delivery.encoding import EncodingPool
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.share import may_take

FULL = "the outbox is full: slices are cut faster than made or stored"
OVER_SHARE = "the anchor has its share of the outbox: slices are cut faster than made or stored"


class Held:
    """Slices by number. *memory*: bytes that those hold that are not in the spool; *in_memory*: how
    many these are; *empty* is set while there is none at all."""

    def __init__(self, settings: OutboxSettings) -> None:
        self.memory = self.in_memory = 0
        self.empty = asyncio.Event()
        self.empty.set()
        self._settings = settings
        self._slices: dict[int, Delivery] = {}
        # In memory, by holder. No Counters: those are of Python where a key is missing or goes.
        self._counts: dict[tuple[str, ...], int] = {}
        self._bytes: dict[tuple[str, ...], int] = {}

    def __len__(self) -> int:
        return len(self._slices)

    def __iter__(self) -> Iterator[Delivery]:
        """As they are now; they may go meanwhile."""
        return iter(tuple(self._slices.values()))

    def droppable(self, key: str) -> Delivery | None:
        """The slice of this key, if it may be given up by hand."""
        found = (one for one in self if one.info.key == key and one.phase in DROPPABLE)
        return next(found, None)

    def full(self, size: int) -> bool:
        """Whether one more slice, of *size* bytes, would pass a bound."""
        settings = self._settings
        return self.in_memory >= settings.count or self.memory + size > settings.memory

    def over_share(self, holder: tuple[str, ...]) -> bool:
        """Whether this one holds so much in memory that the rest is for others."""
        settings = self._settings
        return not (
            may_take(self._counts.get(holder, 0), self.in_memory, settings.count)
            and may_take(self._bytes.get(holder, 0), self.memory, settings.memory)
        )

    def refusal(self, delivery: Delivery, encoding: EncodingPool | None) -> str:
        """Why this slice is not taken; empty where it is. *encoding*: makes its file at once."""
        kind, holder = delivery.kind, delivery.holder
        if self.full(delivery.size) or (encoding is not None and encoding.full(kind)):
            return FULL
        if self.over_share(holder) or (encoding is not None and encoding.over_share(kind, holder)):
            return OVER_SHARE
        return ""

    @property
    def crowded(self) -> bool:
        """Half of a bound is reached."""
        settings = self._settings
        return self.in_memory > settings.count // 2 or self.memory > settings.memory // 2

    def add(self, delivery: Delivery) -> None:
        """Count a slice."""
        self._slices[delivery.number] = delivery
        if delivery.path is None:
            self._count(delivery, 1, delivery.size)
        self.empty.clear()

    def remove(self, delivery: Delivery) -> None:
        """Done with a slice."""
        del self._slices[delivery.number]
        if delivery.path is None:
            self._count(delivery, -1, -delivery.size)
        if not self._slices:
            self.empty.set()

    async def emptied(self, clock: Clock, within: float) -> None:
        """Wait until there is none, or *within* seconds have gone."""
        over = asyncio.Event()
        timer = clock.call_at(clock.now() + within, over.set)
        waits = [asyncio.ensure_future(event.wait()) for event in (self.empty, over)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            for wait in waits:
                wait.cancel()

    def resize(self, delivery: Delivery, size: int) -> None:
        """A slice that waits in memory takes so many bytes now."""
        self._count(delivery, 0, size - delivery.size)
        delivery.size = size

    def spooled(self, delivery: Delivery, size: int) -> None:
        """A slice that took *size* bytes is in the spool now."""
        self._count(delivery, -1, -size)

    def _count(self, delivery: Delivery, count: int, size: int) -> None:
        self.in_memory += count
        self.memory += size
        holder = delivery.holder
        held = self._counts.get(holder, 0) + count
        if held:
            self._counts[holder] = held
            self._bytes[holder] = self._bytes.get(holder, 0) + size
        else:
            del self._counts[holder], self._bytes[holder]
