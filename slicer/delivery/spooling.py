"""What an outbox has the spool do: a disk that fails is told, and slices wait in memory then."""

from slicer.delivery.delivery import Delivery
from slicer.delivery.held import Held
from slicer.delivery.outcome import OutboxCounters, OutboxListener
from slicer.delivery.spool.folder import Folder
from slicer.delivery.spool.spool import Evict, Spool
from slicer.delivery.trouble import Trouble
from slicer.errors import StorageUnavailable
from slicer.media.slice import File


class Spooling:
    """The spool's folder of one destination."""

    def __init__(
        self,
        spool: tuple[Spool, Folder],
        held: Held,
        troubles: Trouble,
        listener: OutboxListener,
        counters: OutboxCounters,
    ) -> None:
        (self._spool, self._folder), self._held = spool, held
        self._troubles, self._listener, self._counters = troubles, listener, counters

    async def write(self, delivery: Delivery, file: File, evict: Evict) -> bool:
        """Put a slice's file on the disk; whether it is there. *evict*: as the spool's."""
        memory = delivery.size
        try:
            await self._spool.write(self._folder, delivery, file, evict)
        except StorageUnavailable as error:
            self._troubles.tell_disk(delivery.info, error)
            return False
        self._troubles.disk_recovered()
        self._held.spooled(delivery, memory)
        self._counters.spooled += 1
        self._listener.on_spooled(file)
        return True

    async def read(self, delivery: Delivery) -> File:
        """The file of a slice on the disk. Raises as the spool's does."""
        return await self._spool.read(delivery, self._folder.urls)

    async def mark_permitted(self, delivery: Delivery) -> None:
        """A slice on the disk may be delivered, as is known by now."""
        try:
            await self._spool.mark_permitted(delivery)
        except StorageUnavailable as error:
            self._troubles.tell_disk(delivery.info, error)

    async def mark_judged(self, delivery: Delivery) -> None:
        """A slice on the disk is to be stored, whatever becomes of this process."""
        try:
            await self._spool.mark_judged(delivery)
        except StorageUnavailable as error:
            self._troubles.tell_disk(delivery.info, error)
