"""Which workers are alive, by their heartbeats. Nothing here asks for the time: it is given.

A worker that nobody has heard of for DEAD_AFTER seconds is dead, as far as can be known: it may
have ended, be frozen, or be cut off. Whoever listens may have been frozen itself, and then has
heard nobody. It sees that by its own timer, which came late, and gives everybody as much longer.
Or it may have been cut off itself: nobody was heard for DEAD_AFTER, and then somebody is. All that
were alive until then have their time again, so one that died meanwhile is known as dead DEAD_AFTER
after that first beat.
"""

from slicer.fleet.beat import Beat

DEAD_AFTER = 1.5
"""Seconds without a heartbeat after which a worker's tasks are given to others."""
FREEZE = 0.5
"""Seconds by which the timer is late where this process itself was held up."""


class Roster:
    """The workers that were heard of, or that a record names."""

    def __init__(self) -> None:
        self._beats: dict[str, Beat] = {}
        self._heard: dict[str, float] = {}
        self._last: float | None = None
        self._looked: float | None = None

    def receive(self, beat: Beat, now: float) -> None:
        """A worker was heard."""
        last = now if self._last is None else self._last
        if now - last > DEAD_AFTER:  # who listens was cut off: the others will be heard in a moment
            self._heard = {
                name: now if last - heard <= DEAD_AFTER else heard
                for name, heard in self._heard.items()
            }
        self._last = now
        self._beats[beat.worker] = beat
        self._heard[beat.worker] = now

    def expect(self, worker: str, now: float) -> None:
        """A record names a worker: unless it has been heard of, its time begins now."""
        if worker not in self._heard:
            self._beats[worker] = Beat(worker)
            self._heard[worker] = now

    def handle_timer(self, now: float) -> None:
        """Call this EVERY so often as workers beat, or more often."""
        late = now - self._looked if self._looked is not None else 0.0
        self._looked = now
        if late > FREEZE:
            self._heard = {name: min(now, heard + late) for name, heard in self._heard.items()}
            if self._last is not None:
                self._last = min(now, self._last + late)

    def silence(self, worker: str, now: float) -> float:
        """Seconds since it was heard; none for one that nobody knows."""
        return now - self._heard.get(worker, now)

    def is_dead(self, worker: str, now: float) -> bool:
        """Whether it has been silent for too long; one that nobody knows is not."""
        return self.silence(worker, now) > DEAD_AFTER

    def beat(self, worker: str) -> Beat | None:
        """What it said last."""
        return self._beats.get(worker)

    def rooms(self, worker: str, now: float) -> str:
        """Where publishers find the rooms of a worker that is not dead, as it has announced; or
        nothing."""
        beat = None if self.is_dead(worker, now) else self._beats.get(worker)
        return beat.rooms if beat is not None else ""

    def alive(self, now: float) -> list[Beat]:
        """The last beats of those that are not dead and have been heard."""
        return [
            beat
            for name, beat in self._beats.items()
            if beat.capacity and not self.is_dead(name, now)
        ]

    def dead(self, now: float) -> list[Beat]:
        """The last beats of those that are dead."""
        return [beat for name, beat in self._beats.items() if self.is_dead(name, now)]

    def forget(self, worker: str) -> None:
        """List it no more."""
        self._beats.pop(worker, None)
        self._heard.pop(worker, None)
