"""Whether a store may be asked now, and which of two: circuit breakers and failover; pure.

Closed, uploads go side by side. After THRESHOLD failures in a row, or one in which the store asks
for fewer requests, it is open: the store is left alone for a while that grows with each round.
Then it is half open: one single upload tries, and what becomes of it closes or opens it again.
A supplier of verdicts has a circuit as well, and its requests are the uploads.

A store may have a backup, which takes its place once it has failed for a while. The first one goes
on being tried, one upload at a time, and gets everything back with the first that succeeds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Generic, TypeVar

from slicer.delivery.delivery import Delivery
from slicer.delivery.retry import Backoff
from slicer.delivery.slices import Store
from slicer.errors import ModerationError, StorageError, StorageRefused, SupplierRefused

Failure = TypeVar("Failure", StorageError, ModerationError)

THRESHOLD = 3
MAX_RETRY_AFTER = 3600.0
"""Seconds: no store is left alone for longer because of a header."""


class Circuit(Generic[Failure]):
    """The circuit of one store. *now* in seconds that never step back."""

    def __init__(self, backoff: Backoff, chance: Callable[[], float]) -> None:
        self._backoff, self._chance = backoff, chance
        self._failures = self._rounds = 0
        self._probing = False
        self.failing_since: float | None = None
        """When the first of the failures since the last success was."""
        self.opens_at: float | None = None
        """None: closed. Otherwise when the next single upload may try."""
        self.last: Failure | None = None
        """The last failure since the last success."""

    @property
    def closed(self) -> bool:
        return self.opens_at is None

    def allows(self, now: float) -> bool:
        """Whether an upload may start."""
        return self.opens_at is None or (now >= self.opens_at and not self._probing)

    def start(self) -> bool:
        """An upload starts; whether it is the one that tries."""
        self._probing = self.opens_at is not None
        return self._probing

    def abandon(self, probe: bool) -> None:
        """An upload came to no end that says anything of the store."""
        if probe:
            self._probing = False

    def succeed(self) -> None:
        """The store took something: all may go again."""
        self._failures = self._rounds = 0
        self._probing = False
        self.failing_since = self.opens_at = self.last = None

    def fail(self, error: Failure, probe: bool, now: float) -> None:
        """The store did not take something. One that had started earlier lengthens no wait."""
        self.last = error
        self._failures += 1
        if self.failing_since is None:
            self.failing_since = now
        if probe:
            self._probing = False
        asked = error.retry_after is not None
        enough = asked or self._failures >= THRESHOLD
        if enough if self.closed else probe:
            self._rounds += 1
            self.opens_at = now + self._wait(error)

    def hurry(self, now: float) -> None:
        """Let the next upload try at once."""
        if self.opens_at is not None:
            self.opens_at = min(self.opens_at, now)

    def _wait(self, error: Failure) -> float:
        if isinstance(error, StorageRefused | SupplierRefused):
            return self._backoff.after_refusal(self._chance())
        # As if one slice alone had met them all: the first round follows THRESHOLD failures.
        wait = self._backoff.after_failure(THRESHOLD + self._rounds - 1, self._chance())
        return max(wait, min(error.retry_after or 0.0, MAX_RETRY_AFTER))


@dataclass(slots=True)
class Upstream:
    """One store with its circuit, and what failed there since it last took something."""

    storage: Store
    circuit: Circuit[StorageError]
    failed: list[Delivery] = field(default_factory=list)


class Failover:
    """A store, and perhaps a second one that takes its place after *backup_after* seconds."""

    def __init__(
        self,
        storage: Store,
        backup: Store | None,
        backup_after: float,
        backoff: Backoff,
        chance: Callable[[], float],
    ) -> None:
        self.first = Upstream(storage, Circuit(backoff, chance))
        self._backup = Upstream(backup, Circuit(backoff, chance)) if backup else None
        self._backup_after = backup_after

    @property
    def upstreams(self) -> list[Upstream]:
        return [self.first, self._backup] if self._backup else [self.first]

    def choose(self, now: float) -> Upstream | None:
        """Where an upload may start now."""
        if self.first.circuit.allows(now):
            return self.first
        backup = self._backup
        if backup is None or now < self._backup_from() or not backup.circuit.allows(now):
            return None
        return backup

    def wakes_at(self, now: float) -> float | None:
        """When `choose` may come to give another answer by itself."""
        if self.first.circuit.opens_at is None:
            return None
        moments = [each.circuit.opens_at or inf for each in self.upstreams]
        moments.append(self._backup_from() if self._backup else inf)
        wakes = min((moment for moment in moments if moment > now), default=inf)
        return None if wakes == inf else wakes

    def _backup_from(self) -> float:
        since = self.first.circuit.failing_since
        return inf if since is None else since + self._backup_after
