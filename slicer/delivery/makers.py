"""Where files are made: sound before pictures, within a bound that all tasks share; knows no codec.

Opus costs a millisecond, a picture ten to sixty. Where more pictures are cut than the cores can
make, they wait, in the order they were cut, and sound goes past them.
"""

from collections import Counter

from slicer.delivery.job import Job
from slicer.media.slice import Slice
from slicer.rtp.parameters import Kind
from slicer.threads import ThreadPool

MAX_WAITING = 2_000
"""Files of each kind, over all tasks. Two cores make so many pictures of 720p in 15 s."""

_LANES = {Kind.AUDIO: 0, Kind.VIDEO: 1}
LANES = len(_LANES)


class Makers:
    """Makes files in the threads of a crew of LANES lanes. For the loop's thread."""

    def __init__(self, crew: ThreadPool, max_waiting: int = MAX_WAITING) -> None:
        self._crew, self._max_waiting = crew, max_waiting
        self._waiting: Counter[Kind] = Counter()

    @property
    def waiting(self) -> int:
        """Files that wait to be made, or are being made."""
        return self._waiting.total()

    @property
    def crowded(self) -> bool:
        """Half of a bound is reached: who can wait should."""
        return any(count > self._max_waiting // 2 for count in self._waiting.values())

    def full(self, kind: Kind) -> bool:
        """Whether the bound of this kind is reached. `make` does not look at it: a file that is
        made anew for another try has been let in before."""
        return self._waiting[kind] >= self._max_waiting

    async def make(self, job: Job) -> Slice:
        """The file of a job. Raises what its `make` raises."""
        kind = job.track.kind
        self._waiting[kind] += 1
        try:
            return await self._crew.run(job.make, _LANES[kind])
        finally:
            self._waiting[kind] -= 1
