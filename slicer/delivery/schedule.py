"""Which slice goes next: in order within each track, small ones first between them; pure.

A track has one slice under way at a time, so its slices arrive in the order they were cut. Between
tracks the one goes first whose head has the least `ready + size / PATIENCE`: a large slice lets
smaller ones pass, for as long as its size says and no longer, so none starves. Where both sound and
pictures wait, they take turns: sound never waits behind more than one picture.
"""

import heapq

from slicer.delivery.entry import Entry
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey

PATIENCE = 100_000.0
"""Bytes a second: a slice of 1 MB lets smaller ones pass for ten seconds."""


class Schedule:
    """Entries that are to be sent. Each method costs O(log n)."""

    def __init__(self) -> None:
        self._tracks: dict[TrackKey, list[tuple[int, Entry]]] = {}
        self._busy: set[TrackKey] = set()
        self._heads: dict[Kind, list[tuple[float, int, Entry]]] = {kind: [] for kind in Kind}
        self._turns = [Kind.AUDIO, Kind.VIDEO]
        self._exposed: dict[TrackKey, Entry] = {}

    def add(self, entry: Entry) -> None:
        """Take an entry; it holds up those of its track with higher numbers until it is ready."""
        heapq.heappush(self._tracks.setdefault(entry.track, []), (entry.sequence, entry))
        self._expose(entry.track)

    def make_ready(self, entry: Entry, now: float) -> None:
        """An entry that was added can be sent."""
        entry.ready = now
        self._expose(entry.track)

    def pop(self) -> Entry | None:
        """The next entry to send, if there is one; its track is busy until `free` is called."""
        for kind in self._turns:
            if entry := self._pop(kind):
                self._turns = [other for other in Kind if other is not kind] + [kind]
                return entry
        return None

    def free(self, track: TrackKey) -> None:
        """What was popped of this track is under way no longer."""
        self._busy.discard(track)
        self._expose(track)

    def passed(self, entry: Entry) -> None:
        """An entry is gone (its `gone` is set): what it held up may go."""
        self._expose(entry.track)

    def _pop(self, kind: Kind) -> Entry | None:
        heads = self._heads[kind]
        while heads:
            _, _, entry = heapq.heappop(heads)
            if entry.track not in self._busy and self._head(entry.track) is entry:
                heapq.heappop(self._tracks[entry.track])
                self._exposed.pop(entry.track, None)
                self._busy.add(entry.track)
                return entry
        return None

    def _head(self, track: TrackKey) -> Entry | None:
        waiting = self._tracks.get(track, [])
        while waiting and waiting[0][1].gone:
            heapq.heappop(waiting)
        if not waiting:
            self._tracks.pop(track, None)
            return None
        return waiting[0][1]

    def _expose(self, track: TrackKey) -> None:
        """Have the head of a track stand where `pop` looks, once."""
        head = self._head(track)
        if head is None or head.ready is None or track in self._busy:
            return
        if self._exposed.get(track) is not head:
            self._exposed[track] = head
            urgency = head.ready + head.size / PATIENCE
            heapq.heappush(self._heads[track.kind], (urgency, head.sequence, head))
