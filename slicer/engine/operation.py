"""What an operator may see of an engine's stores, suppliers and waiting slices, and may do to them.

All of it is read when asked for, and costs nothing before.
"""

from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from itertools import islice

from slicer.delivery.encoding import EncodingPool
from slicer.delivery.spool.spool import Spool
from slicer.engine.destination import Destination, Destinations
from slicer.engine.destination_key import Lookup
from slicer.engine.judges import Judges
from slicer.media.slice import File

MAX_LISTED = 500
"""Slices that are listed of one store."""


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """One store, or the backup of one. *failing*: it is left alone; *reason*: its last failure
    since it last took something; *held*, *memory*: slices of its outbox, and bytes of memory."""

    label: str
    backup: bool
    failing: bool
    reason: str
    held: int
    memory: int
    stored: int
    dropped: int


@dataclass(frozen=True, slots=True)
class SupplierHealth:
    """One account of a supplier. *failing*, *reason*: as a store's; *waiting*: slices."""

    label: str
    failing: bool
    reason: str
    waiting: int
    judged: int
    hits: int
    unjudged: int


@dataclass(frozen=True, slots=True)
class SpoolHealth:
    """The folder in which slices wait. *failures*: of its disk; *damaged*: records set aside."""

    slices: int
    bytes: int
    failures: int
    damaged: int


@dataclass(frozen=True, slots=True)
class WaitingSlice:
    """A slice that no store has yet. *phase*: as in delivery.py, in lower case; *spooled*: it is on
    the disk; *failures*: tries so far; *reason*: why its last try failed, or, where it has not been
    tried, why the store is left alone."""

    key: str
    task: str
    phase: str
    store: str
    size: int
    failures: int
    spooled: bool
    reason: str = ""


class Operation:
    """For the loop's thread."""

    def __init__(
        self,
        destinations: Destinations,
        judges: Judges,
        encoding: EncodingPool,
        spool: Spool | None,
        lookup: Lookup,
    ) -> None:
        self._destinations, self._judges, self._encoding = destinations, judges, encoding
        self._spool, self._lookup = spool, lookup

    def watch(
        self, watch: Callable[[File], None] | None, looked_at: Callable[[], bool] = lambda: False
    ) -> None:
        """Be told of each file that is made, whole and before any store has it. While *looked_at*
        says so, files are made at once that would be made only when their store takes them. One
        watcher."""
        self._encoding.watch, self._encoding.looked_at = watch, looked_at

    def stores(self) -> list[StoreHealth]:
        """Every store that is open."""
        found = []
        for destination in self._destinations.all():
            outbox = destination.outbox
            for number, upstream in enumerate(outbox.upstreams):
                error = upstream.circuit.last or (outbox.trouble if number == 0 else None)
                found.append(
                    StoreHealth(
                        upstream.storage.label,
                        number > 0,
                        not upstream.circuit.closed,
                        str(error or ""),
                        outbox.held,
                        outbox.memory,
                        outbox.counters.stored,
                        outbox.counters.dropped + outbox.counters.overflowed,
                    )
                )
        return found

    def suppliers(self) -> list[SupplierHealth]:
        """Every account that is open."""
        return [
            SupplierHealth(
                one.supplier.label,
                one.open,
                str(one.trouble or ""),
                one.waiting,
                one.counters.judged,
                one.counters.hits,
                one.counters.unjudged,
            )
            for one in self._judges.all()
        ]

    def spool(self) -> SpoolHealth | None:
        """The spool, if there is one."""
        if self._spool is None:
            return None
        ledger = self._spool.ledger
        return SpoolHealth(len(ledger), ledger.bytes, self._spool.failures, self._spool.damaged)

    async def spool_load(self) -> float:
        """How full the spool is, from 0 to 1; 1 also where its disk is full. 0 without one."""
        return 0.0 if self._spool is None else await self._spool.load()

    def waiting(self) -> list[WaitingSlice]:
        """The oldest slices of each store that it does not have yet."""
        return [
            WaitingSlice(
                delivery.info.key,
                delivery.info.task,
                delivery.phase.name.lower(),
                destination.storage.label,
                delivery.size,
                delivery.failures,
                delivery.path is not None,
                delivery.trouble or _outage(destination),
            )
            for destination in self._destinations.all()
            for delivery in islice(destination.outbox.waiting(), MAX_LISTED)
        ]

    def try_again(self) -> int:
        """Ask now every store and supplier that is waited for, and look up again the keys of stores
        that stayed shut. Gives how many slices wait."""
        self._destinations.resend(self._lookup)
        for destination in self._destinations.all():
            destination.outbox.hurry()
        self._judges.hurry()
        return sum(destination.outbox.held for destination in self._destinations.all())

    async def take_over(self, records: AsyncIterable[tuple[str, bytes]]) -> int:
        """Deliver what another process has cut (delivery/copies.py): records by their keys. Gives
        how many are on their way now. Raises OSError where the spool cannot take them."""
        return await self._destinations.take_over(records, self._lookup)

    def drop(self, key: str, reason: str) -> bool:
        """Give up a slice that waits. False where none of this key does, or a store has it just
        now."""
        return any(one.outbox.drop(key, reason) for one in self._destinations.all())


def _outage(destination: Destination) -> str:
    """Why the store of a destination is left alone, without the key of the slice that found out."""
    circuit = destination.outbox.upstreams[0].circuit
    return "" if circuit.closed or circuit.last is None else circuit.last.reason
