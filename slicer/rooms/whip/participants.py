"""The participants of one room: anchors that publish, and robots that watch them.

Every robot gets the same facts in the same order, whenever it comes: RoomEntered, then who is
there, then what changes. A robot may leave while it is told a fact; it then gets no further one.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from slicer.rooms import Listener
from slicer.rooms.whip.anchor import Anchor, refusals
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Fact,
    RoomEntered,
    TrackPublished,
    TrackUnpublished,
)
from slicer.slicing.outputs import AnchorTrouble

MAX_TOLD = 100
"""Publishers refused between two looks of whom the room is told; there may be a flood of them."""


class Participants:
    """The anchors and robots of one room. *end* closes an anchor's connection, now or soon."""

    def __init__(self, end: Callable[[Anchor], None]) -> None:
        self.anchors: dict[str, Anchor] = {}
        self._pending: dict[Anchor, str] = {}
        self._robots: list[Listener] = []
        self._end = end
        self._looked = 0.0
        self._refusals: Counter[tuple[str, str]] = Counter()  # user and reason
        self.closed = False

    def watch(self, listen: Listener) -> None:
        """Report to this robot who is here, and from now on what changes."""
        self._robots.append(listen)
        listen(RoomEntered())
        for anchor in list(self.anchors.values()):
            for fact in _arrival(anchor):
                self._tell_one(listen, fact)

    def unwatch(self, listen: Listener) -> None:
        """Report nothing more to this robot, and stop cutting for it."""
        if listen in self._robots:
            self._robots.remove(listen)
        for anchor in self.anchors.values():
            anchor.forget(listen)

    def expect(self, anchor: Anchor, address: str = "") -> None:
        """Note an anchor that is connecting, and where from."""
        self._pending[anchor] = address

    def replace(self, user: str) -> None:
        """This user offers anew: what of his has not connected yet is over."""
        for anchor in [one for one in self._pending if one.user == user]:
            del self._pending[anchor]
            self._end(anchor)

    def pending(self, address: str) -> int:
        """How many are connecting from this address."""
        return sum(where == address for where in self._pending.values())

    @property
    def connecting(self) -> int:
        """How many are connecting."""
        return len(self._pending)

    def expects(self, anchor: Anchor) -> bool:
        """Whether it is connecting."""
        return anchor in self._pending

    def turned_away(self, user: str, reason: str) -> None:
        """A publisher did not get in; the robots are told at the next look."""
        if (user, reason) in self._refusals or len(self._refusals) < MAX_TOLD:
            self._refusals[user, reason] += 1

    def joined(self, anchor: Anchor) -> None:
        """An expected anchor is connected. Of two connections of one user the newer stays."""
        if anchor not in self._pending:
            self._end(anchor)
            return
        del self._pending[anchor]
        if anchor.user in self.anchors:
            replaced = self.anchors[anchor.user]
            self.left(replaced, "replaced by a newer connection of the same user")
            self._end(replaced)
        self.anchors[anchor.user] = anchor
        for fact in _arrival(anchor):
            self._tell(fact)

    def refused(self, user: str, tracks: Sequence[tuple[str, str]]) -> None:
        """Nothing of what this user offers can be taken: kind and reason of each track."""
        for fact in refusals(user, tracks):
            self._tell(fact)

    def look(self, now: float) -> None:
        """Tell what of the anchors' media is given up."""
        self._looked = now
        for anchor in list(self.anchors.values()):
            self._tell_troubles(anchor)
        refusals, self._refusals = self._refusals, Counter()
        for (user, reason), count in refusals.items():
            self._tell(AnchorTrouble(user, reason, count))

    def _tell_troubles(self, anchor: Anchor) -> None:
        for trouble in anchor.troubles(self._looked):
            self._tell(trouble)

    def left(self, anchor: Anchor, reason: str) -> None:
        """An anchor's connection is over: its last cuts, then the facts. May be called twice."""
        self._pending.pop(anchor, None)
        if self.anchors.get(anchor.user) is not anchor:
            return
        del self.anchors[anchor.user]
        anchor.flush()
        self._tell_troubles(anchor)  # it may have been here for less than a look
        for kind, role in anchor.slots:
            self._tell(TrackUnpublished(anchor.user, kind, reason, role))
        self._tell(AnchorLeft(anchor.user, reason))

    def close(self) -> None:
        """End all connections: nobody watches any more."""
        self.closed = True
        present = [*self._pending, *self.anchors.values()]
        for anchor in present:
            self.left(anchor, "the room was closed")
            self._end(anchor)

    def _tell(self, fact: Fact) -> None:
        for listen in list(self._robots):
            self._tell_one(listen, fact)

    def _tell_one(self, listen: Listener, fact: Fact) -> None:
        # It may have left on the fact before, or on another robot's.
        if listen in self._robots:
            listen(fact)


def _arrival(anchor: Anchor) -> list[Fact]:
    tracks = [TrackPublished(anchor.user, *slot) for slot in anchor.slots]
    return [AnchorJoined(anchor.user), *tracks, *anchor.refused]
