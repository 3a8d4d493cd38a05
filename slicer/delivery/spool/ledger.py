"""What the spool holds, by kind and age, and what has to go at its bounds; pure: no disk."""

from collections.abc import Iterator
from itertools import takewhile

from slicer.delivery.entry import Entry
from slicer.rtp.parameters import Kind

# What goes first at the bound. Pictures weigh most and are missed least: the next one comes soon.
FIRST_TO_GO = (Kind.VIDEO, Kind.AUDIO)


class Ledger:
    """The entries on the disk, oldest first within each kind."""

    def __init__(self, max_bytes: int) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        self._kinds: dict[Kind, dict[int, Entry]] = {kind: {} for kind in FIRST_TO_GO}

    def __len__(self) -> int:
        return sum(len(kind) for kind in self._kinds.values())

    @property
    def crowded(self) -> bool:
        """Half full: who can wait should."""
        return self.bytes > self._max_bytes // 2

    def add(self, entry: Entry) -> None:
        """Count an entry."""
        self._kinds[entry.track.kind][entry.sequence] = entry
        self.bytes += entry.size

    def remove(self, entry: Entry) -> None:
        """An entry is off the disk. One that is not there does no harm."""
        if self._kinds[entry.track.kind].pop(entry.sequence, None) is not None:
            self.bytes -= entry.size

    def claim(self, size: int) -> list[Entry]:
        """Count *size* bytes that are about to be written, until `release`. Gives what has to go
        for them: the oldest pictures, then the oldest sound.

        What is under way stays. Where all of it would not be enough, nothing goes and nothing is
        counted: raises ValueError.
        """
        excess = self.bytes + size - self._max_bytes
        chosen: list[Entry] = []
        for entry in self._in_turn():
            if excess <= 0:
                break
            chosen.append(entry)
            excess -= entry.size
        if excess > 0:
            raise ValueError("larger than what the spool may hold")
        self.bytes += size
        return chosen

    def release(self, size: int) -> None:
        """What was claimed is written, and added, or it failed."""
        self.bytes -= size

    def too_old(self, now: float) -> list[Entry]:
        """What is past its deadline and not under way."""
        old: list[Entry] = []
        for kind in self._kinds.values():
            old += takewhile(lambda entry: entry.deadline <= now, kind.values())
        return [entry for entry in old if not entry.uploading]

    def sort(self) -> None:
        """Put into their order what was added out of it."""
        self._kinds = {kind: dict(sorted(self._kinds[kind].items())) for kind in FIRST_TO_GO}

    def _in_turn(self) -> Iterator[Entry]:
        for kind in FIRST_TO_GO:
            yield from (entry for entry in self._kinds[kind].values() if not entry.uploading)
