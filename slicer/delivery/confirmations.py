"""Slices that are stored, and whose confirmation is still awaited."""

import logging
from collections.abc import Awaitable, Callable

from slicer.background import Background
from slicer.delivery.delivery import Delivery
from slicer.delivery.spool.spool import Spool

logger = logging.getLogger(__name__)

MAX_UNCONFIRMED = 1_000
"""Stored slices whose confirmation is still awaited. No upload begins beyond: slices then wait
within the bounds of the outbox and the spool, and not in a queue that nobody counts."""


class Confirmations:
    """Keeps the record of each in the spool until it is confirmed; where that fails, for the next
    start, which sends it again."""

    def __init__(self, spool: Spool | None, done: Callable[[], None]) -> None:
        """*done* is called after each one."""
        self._spool, self._done = spool, done
        self._waiting = Background()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """No upload should begin now."""
        return len(self._waiting) >= MAX_UNCONFIRMED

    def add(self, delivery: Delivery, confirmed: Awaitable[None] | None) -> None:
        """Remove the record of a stored slice, at once where nothing is to be awaited."""
        if confirmed is None:
            self._remove(delivery)
        else:
            self._waiting.start(self._wait(delivery, confirmed))

    async def finish(self, seconds: float) -> None:
        """Wait for so long; what is not confirmed by then keeps its record."""
        await self._waiting.finish(seconds)

    async def _wait(self, delivery: Delivery, confirmed: Awaitable[None]) -> None:
        try:
            await confirmed
        except Exception as error:  # a listener's fault must not stop deliveries
            logger.warning("! %s is not confirmed: %s", delivery.info.key, error)
        else:
            self._remove(delivery)
        self._waiting.release()
        self._done()

    def _remove(self, delivery: Delivery) -> None:
        if self._spool is not None and delivery.path is not None:
            self._spool.remove(delivery.path)
