"""What the spool holds, by kind and age, and what has to go at its bounds; pure: no disk.

At the bound, what goes first is of anchors that have too much of it (`share.py`): one that floods
the spool costs himself alone. Then the rest: its pictures, then its audio, the oldest first.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import takewhile

from slicer.delivery.delivery import Delivery, Phase
from slicer.delivery.share import has_too_much
from slicer.rtp.parameters import Kind

# What goes first at the bound. Pictures weigh most and are missed least: the next one comes soon.
FIRST_TO_GO = (Kind.VIDEO, Kind.AUDIO)


class Ledger:
    """The slices on the disk, oldest first within each kind."""

    def __init__(self, max_bytes: int) -> None:
        self.bytes = 0
        self.max_bytes = max_bytes
        self._kinds: dict[Kind, dict[int, Delivery]] = {kind: {} for kind in FIRST_TO_GO}
        self._of: Counter[tuple[str, ...]] = Counter()  # bytes by holder

    def __len__(self) -> int:
        return sum(len(kind) for kind in self._kinds.values())

    @property
    def crowded(self) -> bool:
        """Half full: who can wait should."""
        return self.bytes > self.max_bytes // 2

    def add(self, delivery: Delivery) -> None:
        """Count a slice."""
        self._kinds[delivery.kind][delivery.number] = delivery
        self.bytes += delivery.size
        self._of[delivery.holder] += delivery.size

    def remove(self, delivery: Delivery) -> None:
        """A slice is off the disk. One that is not there does no harm."""
        if self._kinds[delivery.kind].pop(delivery.number, None) is not None:
            self.bytes -= delivery.size
            self._of[delivery.holder] -= delivery.size
            if not self._of[delivery.holder]:
                del self._of[delivery.holder]

    def claim(self, size: int) -> list[Delivery]:
        """Count *size* bytes that are about to be written, until `release`. Gives what has to go
        for them, as this module's head says.

        What is being uploaded stays. Where all the rest would not be enough, nothing goes and
        nothing is counted: raises ValueError.
        """
        excess = self.bytes + size - self.max_bytes
        chosen: list[Delivery] = []
        if excess > 0:  # mostly there is room
            for delivery in self._in_turn():
                if excess <= 0:
                    break
                chosen.append(delivery)
                excess -= delivery.size
        if excess > 0:
            raise ValueError("larger than what the spool may hold")
        self.bytes += size
        return chosen

    def release(self, size: int) -> None:
        """What was claimed is written, and added, or it failed."""
        self.bytes -= size

    def too_old(self, now: float) -> list[Delivery]:
        """What is past its deadline and not being uploaded."""
        old: list[Delivery] = []
        for kind in self._kinds.values():
            old += takewhile(lambda delivery: delivery.deadline <= now, kind.values())
        return [delivery for delivery in old if delivery.phase is not Phase.UPLOADING]

    def sort(self) -> None:
        """Put into their order what was added out of it."""
        self._kinds = {kind: dict(sorted(self._kinds[kind].items())) for kind in FIRST_TO_GO}

    def _in_turn(self) -> Iterator[Delivery]:
        holders, bound = len(self._of), self.max_bytes
        greedy = {one for one, held in self._of.items() if has_too_much(held, holders, bound)}
        for first in (True, False) if greedy else (False,):
            for kind in FIRST_TO_GO:
                for delivery in self._kinds[kind].values():
                    there = (delivery.holder in greedy) is first
                    if there and delivery.phase is not Phase.UPLOADING:
                        yield delivery
