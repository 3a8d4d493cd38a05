"""One publisher: its connection, and its media cut for each robot that subscribes."""

import secrets
from collections import Counter
from collections.abc import Callable, Sequence

from slicer.rooms import Listener
from slicer.rooms.roles import assign_roles
from slicer.rooms.trouble import Watch
from slicer.rtp.parameters import Kind, Role, Slot
from slicer.slicing.outputs import AnchorTrouble, Subscribe, TrackKey, TrackOutput, TrackRefused
from slicer.webrtc.connection import Connection, Events, Network
from slicer.webrtc.path import MediaPath
from slicer.webrtc.profile import Profile

PUBLISHER = Profile(sections=dict.fromkeys(Kind, len(Role)))
"""Sections of each kind: a main and an auxiliary one."""


class Anchor:
    """From the offer to the end of the connection. *joined* and *left* come at most once; *left*
    says why."""

    def __init__(
        self,
        user: str,
        path: MediaPath,
        network: Network,
        joined: "Callable[[Anchor], None]",
        left: "Callable[[Anchor, str], None]",
        profile: Profile = PUBLISHER,
    ) -> None:
        self.user = user
        self.etag = _entity_tag()
        self.slots: tuple[Slot, ...] = ()
        self.refused: tuple[TrackRefused, ...] = ()
        self.media = path.open(self._deliver)
        events = Events(lambda: joined(self), lambda reason: left(self, reason))
        self.connection = Connection(network, self.media, events, profile)
        self._listeners: dict[TrackKey, Listener] = {}
        self._watch = Watch()
        self._over = False

    async def accept(self, offer: str) -> str:
        """Answer an offer; the connection is set up meanwhile. Raises BadInput and RoomError."""
        answer = await self.connection.answer(offer)
        streams = assign_roles(self.connection.streams)
        self.slots = tuple(stream.slot for stream in streams)
        self.refused = refusals(
            self.user, [(one.kind, one.reason) for one in self.connection.refused]
        )
        self.media.set_sections(self.user, streams)
        return answer

    async def restart(self, fragment: str) -> tuple[str, str] | None:
        """Restart ICE: the new entity-tag and our fragment. None before there is an agreement."""
        ours = await self.connection.restart(fragment)
        if ours is None:
            return None
        self.etag = _entity_tag()
        return self.etag, ours

    def subscribe(self, subscribe: Subscribe, listen: Listener) -> None:
        """Cut a track for this listener; what is not published is ignored."""
        if subscribe.track.slot in self.slots and not self._over:
            self._listeners[subscribe.track] = listen
            self.media.attach(subscribe)

    def unsubscribe(self, track: TrackKey) -> None:
        """Deliver the track's last cut and release it."""
        if track in self._listeners:
            self.media.detach(track)
            self._listeners.pop(track, None)

    def forget(self, listen: Listener) -> None:
        """Release every track of this listener; it gets no more cuts."""
        for track in [track for track, who in self._listeners.items() if who is listen]:
            del self._listeners[track]
            self.media.detach(track)

    @property
    def counters(self) -> Counter[str]:
        """What its connection and its media refused, lost or found odd, by reason."""
        return self.media.counters + self.connection.counters

    def troubles(self, now: float) -> list[AnchorTrouble]:
        """What a user must know of its media since the last look."""
        rose = self._watch.look(self.counters, now)
        return [AnchorTrouble(self.user, reason, count) for reason, count in rose]

    def flush(self) -> None:
        """Deliver the last cut of every track: the media is over."""
        if not self._over:
            self._over = True
            self.media.close()
        self._listeners.clear()

    def _deliver(self, cut: TrackOutput) -> None:
        listen = self._listeners.get(cut.track)
        if listen is not None:
            listen(cut)


def _entity_tag() -> str:
    return f'"{secrets.token_hex(8)}"'


def refusals(user: str, tracks: Sequence[tuple[str, str]]) -> tuple[TrackRefused, ...]:
    """What is told of tracks that cannot be taken, by kind and reason: each pair once."""
    found = (TrackRefused(user, Kind(kind), why) for kind, why in tracks if kind in set(Kind))
    return tuple(dict.fromkeys(found))
