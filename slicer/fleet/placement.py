"""Which worker gets a task: the one with the least load, in the wanted zone if it can be."""

from collections.abc import Iterable, Mapping
from hashlib import blake2s

from slicer.fleet.beat import Beat

FULL = 1.0
"""The load at which a worker takes no further task."""
ZONE_FULL = 0.8
"""The load at which a task goes to another zone rather than into the one that is wanted."""


def place(
    task: str,
    workers: Iterable[Beat],
    tasks: Mapping[str, int],
    zone: str = "",
    avoid: str = "",
    together: str = "",
) -> str | None:
    """A worker's name, or None where all are full or draining, or there is none.

    *tasks*: how many each one has by the records, which know more than its last beat; *zone*: the
    one that is wanted, if any; *avoid*: a worker that is taken only where there is no other;
    *together*: tasks for which this is the same have the same place, whoever looks for it: how much
    is taken does not count, as long as it is not all.
    """
    free = [
        (load, beat)
        for beat in workers
        if not beat.draining and (load := load_of(beat, tasks.get(beat.worker, 0))) < FULL
    ]
    if not free:
        return None

    def rank(one: tuple[float, Beat]) -> tuple[bool, bool, float, bytes]:
        load, beat = one
        elsewhere = bool(zone) and (beat.zone != zone or load >= ZONE_FULL)
        # Those who place at the same time must not all take the same one of equals.
        chance = blake2s(f"{together or task} {beat.worker}".encode(), digest_size=8).digest()
        return beat.worker == avoid, elsewhere, 0.0 if together else round(load, 2), chance

    return min(free, key=rank)[1].worker


def load_of(beat: Beat, tasks: int) -> float:
    """How much of a worker is taken: of its tasks or of what it says itself, whichever is more."""
    return max(tasks / beat.capacity if beat.capacity else FULL, beat.load)
