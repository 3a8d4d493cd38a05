"""One publisher: its connection, and its media cut for each robot that asked; knows no other."""

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slicer.clock import Clock, LoopClock
from slicer.hot import Receiver
from slicer.rooms import Listener
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import Cut, Subscribe, TrackKey
from slicer.webrtc.carrier import Carrier, Link
from slicer.webrtc.connection import Connection, Events
from slicer.webrtc.plane import PlanePump, running_plane
from slicer.webrtc.pump import Pump


@dataclass(frozen=True, slots=True)
class Network:
    """How a connection is made: *addresses* to offer, seconds of *silence* that end it."""

    addresses: Sequence[str]
    silence: float


class Anchor:
    """From the offer to the end of the connection. *joined* and *left* come at most once; *left*
    says why."""

    def __init__(
        self,
        user: str,
        clock: Clock,
        network: Network,
        joined: "Callable[[Anchor], None]",
        left: "Callable[[Anchor, str], None]",
    ) -> None:
        self.user = user
        self.etag = f'"{secrets.token_hex(8)}"'
        self.kinds: tuple[Kind, ...] = ()
        self._clock = clock
        events = Events(self._media, lambda: joined(self), lambda reason: left(self, reason))
        # The plane's thread has a clock of its own, which is the loop's.
        self._plane = running_plane() if isinstance(clock, LoopClock) else None
        carry = self._carry if self._plane is not None else None
        self.connection = Connection(network.addresses, events, network.silence, carry=carry)
        self._pump: Pump | PlanePump | None = None
        self._counted: Counter[str] = Counter()
        self._listeners: dict[TrackKey, Listener] = {}

    async def accept(self, offer: str) -> str:
        """Give the answer; the connection comes about meanwhile. Raises BadInput and RoomError."""
        answer = await self.connection.answer(offer)
        streams = self.connection.streams
        self.kinds = tuple(stream.kind for stream in streams)
        receiver = Receiver(self.user, streams, secrets.randbits(32))
        if self._plane is not None:
            self._pump = PlanePump(self._plane, receiver, self._deliver)
        else:
            self._pump = Pump(receiver, self._clock, self.connection.send_rtcp, self._deliver)
        return answer

    def subscribe(self, subscribe: Subscribe, listen: Listener) -> None:
        """Cut a track for this listener; a kind that is not published is ignored."""
        if self._pump is not None and subscribe.track.kind in self.kinds:
            self._listeners[subscribe.track] = listen
            self._pump.attach(subscribe)

    def unsubscribe(self, track: TrackKey) -> None:
        """Hand over the track's last cut and let it go."""
        if self._pump is not None and track in self._listeners:
            self._pump.detach(track)
            self._listeners.pop(track, None)

    def forget(self, listen: Listener) -> None:
        """Let go of all that this listener has, and tell it nothing."""
        for track in [track for track, who in self._listeners.items() if who is listen]:
            del self._listeners[track]
            if self._pump is not None:
                self._pump.detach(track)

    @property
    def counters(self) -> Counter[str]:
        """What its connection and its receiver refused, lost or found odd, by reason."""
        media = self._counted if self._pump is None else self._pump.counters
        return media + self.connection.counters

    def flush(self) -> None:
        """Hand over the last cut of every track: there will be no more media."""
        if self._pump is not None:
            self._pump.close()
            self._counted, self._pump = self._pump.counters, None
        self._listeners.clear()

    def _carry(self, link: Link) -> Carrier:
        assert isinstance(self._pump, PlanePump)
        return self._pump.carry(link)

    def _media(self, datagrams: list[bytes]) -> None:
        if self._pump is not None:
            self._pump.receive(datagrams)

    def _deliver(self, cut: Cut) -> None:
        listen = self._listeners.get(cut.track)
        if listen is not None:
            listen(cut)
