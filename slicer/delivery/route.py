"""Which store the next slice goes to: the first, or its backup while the first fails; no loop."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from slicer.delivery.circuit import Circuit
from slicer.delivery.entry import Entry
from slicer.delivery.retry import Backoff
from slicer.storage import Storage


@dataclass(slots=True)
class Lane:
    """One store with its circuit, and what failed there since it last took something."""

    storage: Storage
    circuit: Circuit
    failed: list[Entry] = field(default_factory=list)


class Route:
    """A store, and perhaps a second one that takes its place after *backup_after* seconds."""

    def __init__(
        self,
        storage: Storage,
        backup: Storage | None,
        backup_after: float,
        backoff: Backoff,
        chance: Callable[[], float],
    ) -> None:
        self.first = Lane(storage, Circuit(backoff, chance))
        self._backup = Lane(backup, Circuit(backoff, chance)) if backup else None
        self._backup_after = backup_after

    @property
    def lanes(self) -> list[Lane]:
        return [self.first, self._backup] if self._backup else [self.first]

    @property
    def closed(self) -> bool:
        """The first store works, as far as is known."""
        return self.first.circuit.closed

    def choose(self, now: float) -> Lane | None:
        """Where an upload may start now. The first store goes on being tried, one by one."""
        if self.first.circuit.allows(now):
            return self.first
        backup = self._backup
        if backup is None or now < self._stands_in() or not backup.circuit.allows(now):
            return None
        return backup

    def wakes_at(self, now: float) -> float | None:
        """When `choose` may come to give another answer by itself."""
        return min((moment for moment in self._moments() if moment > now), default=None)

    def _moments(self) -> Iterator[float]:
        for lane in self.lanes:
            if lane.circuit.opens_at is not None:
                yield lane.circuit.opens_at
        if self._backup and self.first.circuit.failing_since is not None:
            yield self._stands_in()

    def _stands_in(self) -> float:
        since = self.first.circuit.failing_since
        return float("inf") if since is None else since + self._backup_after
