"""Files of slices that wait as their cuts, made for who watches, and for nobody else.

Without a spool, a slice that waits for its store has no file: it is made for each try (WAITING, in
`delivery.py`). Who watches files would see nothing new while a store fails or hangs. So, while
somebody looks, the file of such a slice is made once beside its way, told, and dropped.
"""

import logging

from slicer.background import Background
from slicer.clock import Clock
from slicer.delivery.delivery import Delivery, Phase
from slicer.delivery.encoding import EncodingPool

PATIENCE = 1.0
"""Seconds that a slice waits before its file is made for who watches: a store that works has begun
with it by then, and the file is made for both."""

logger = logging.getLogger(__name__)


class Previews:
    """Those of one outbox."""

    def __init__(self, encoding: EncodingPool, clock: Clock) -> None:
        self._encoding, self._clock = encoding, clock
        self._background = Background()

    def add(self, delivery: Delivery) -> None:
        """A slice was taken without its file."""
        if self._encoding.looked_at():
            self._background.start(self._make(delivery))

    async def close(self) -> None:
        """Make no more. May be called twice."""
        await self._background.finish(0.0)

    async def _make(self, delivery: Delivery) -> None:
        await self._clock.sleep(PATIENCE)
        # What delivery needs goes first: pictures for the wall take no more than half of the pool.
        if delivery.phase is not Phase.WAITING or self._encoding.crowded or delivery.make is None:
            return
        try:
            await self._encoding.make(delivery.kind, delivery.make, delivery.holder)
        except Exception as error:  # whatever a codec raises; the slice's own try tells of it
            logger.debug("- %s cannot be shown: %s", delivery.info.key, error)
