"""Which slice is uploaded next: in order within each track, small ones first between them; pure.

A track has one upload under way at a time, so its slices arrive in the order they were cut. Between
tracks the one goes first whose head has the least `sendable_since + size / BYTES_A_SECOND`: a large
slice lets smaller ones pass, for as long as its size says and no longer, so none starves. Where
both audio and pictures wait, they take turns: audio never waits behind more than one picture.
"""

import heapq

from slicer.delivery.delivery import SENDABLE, Delivery, Phase
from slicer.rtp.parameters import Kind

BYTES_A_SECOND = 100_000.0
"""A slice of 1 MB lets smaller ones pass for ten seconds."""

Key = tuple[str, ...]


class UploadQueue:
    """Slices that are to be sent. Each method costs O(log n)."""

    def __init__(self) -> None:
        self._queues: dict[Key, list[tuple[int, Delivery]]] = {}
        self._busy: set[Key] = set()
        self._heads: dict[Kind, list[tuple[float, int, Delivery]]] = {kind: [] for kind in Kind}
        self._turns = [Kind.AUDIO, Kind.VIDEO]
        self._exposed: dict[Key, Delivery] = {}

    @property
    def entries(self) -> int:
        """What `pop` may have to look at, entries that no longer hold included."""
        return sum(map(len, self._heads.values()))

    def add(self, delivery: Delivery) -> None:
        """Take a slice; it holds up those of its track with higher numbers until it is gone."""
        heapq.heappush(self._queues.setdefault(delivery.queue, []), (delivery.number, delivery))
        self.refresh(delivery)

    def pop(self) -> Delivery | None:
        """The next one to send, if there is one; its track is busy until `free` is called."""
        for kind in self._turns:
            heads = self._heads[kind]
            # Entries that no longer hold are skipped here, not searched for when they change.
            while heads:
                _, _, head = heapq.heappop(heads)
                # What was exposed may be gone, or a lower number may have come back before it.
                if self._exposed.get(head.queue) is head and head.phase in SENDABLE:
                    heapq.heappop(self._queues[head.queue])
                    del self._exposed[head.queue]
                    self._busy.add(head.queue)
                    self._turns.remove(kind)
                    self._turns.append(kind)
                    return head
        return None

    def free(self, delivery: Delivery) -> None:
        """What was popped is under way no longer."""
        self._busy.discard(delivery.queue)
        self.refresh(delivery)

    def refresh(self, delivery: Delivery) -> None:
        """The phase of a slice has changed: have the head of its track stand where `pop` looks,
        once."""
        key = delivery.queue
        queue = self._queues.get(key, [])
        while queue and queue[0][1].phase is Phase.GONE:
            heapq.heappop(queue)
        if not queue:
            self._queues.pop(key, None)
            self._exposed.pop(key, None)
            return
        head = queue[0][1]
        if head.phase not in SENDABLE or key in self._busy or self._exposed.get(key) is head:
            return
        self._exposed[key] = head
        urgency = head.sendable_since + head.size / BYTES_A_SECOND
        heapq.heappush(self._heads[head.kind], (urgency, head.number, head))
