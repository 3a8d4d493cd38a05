"""RTP that is sent to us, as a room: `rtp://`. Its anchor is there while packets come.

The room is our own ports, so it is never lost. A sender that is silent for `rtp.silence` seconds
has left; whoever comes next is the anchor anew. What is sent to a port without a key, and whose
first packets look like SRTP, is refused until another source takes the port: it is dropped, and not
sliced as media. The anchor comes anew then, with what is sent to the other ports.
"""

import secrets
from collections import Counter
from collections.abc import Callable
from functools import partial
from urllib.parse import SplitResult

from slicer.clock import Clock, Timer
from slicer.errors import RoomError
from slicer.hot import Bundle
from slicer.rooms import Context, Listener
from slicer.rooms.open_rooms import OpenRooms
from slicer.rooms.rtp.ciphertext import Ciphertext
from slicer.rooms.rtp.session import Session
from slicer.rooms.rtp.settings import RtpSettings
from slicer.rooms.rtp.sockets import Sender, Sockets
from slicer.rooms.trouble import LOOK as TROUBLE_LOOK
from slicer.rooms.trouble import Watch
from slicer.rtp.parameters import RtpParameters
from slicer.slicing.facts import AnchorJoined, AnchorLeft, Fact, RoomEntered, TrackPublished
from slicer.slicing.outputs import AnchorTrouble, Subscribe, TrackKey, TrackOutput, TrackRefused
from slicer.webrtc.driver import BundleDriver

LOOK = 1.0
"""Seconds between two looks whether the sender is silent."""
ENCRYPTED = "encrypted (SRTP), and the room has no key: `key` in its URL, or a=crypto in its file"


class RtpConnector:
    """Opens sessions of plain RTP as rooms."""

    def __init__(self, context: Context) -> None:
        self._settings, self._clock = context.rtp, context.clock
        self._rooms: OpenRooms[RtpRoom] = OpenRooms()

    @property
    def connections(self) -> int:
        """Senders that are here now."""
        return sum(room.connected for room in self._rooms)

    @property
    def counters(self) -> Counter[str]:
        """Of all sockets and receivers."""
        return self._rooms.counters

    def check(self, url: SplitResult) -> None:
        """Raise BadInput where the URL, or the file that it names, can be no session."""
        Session.parse(url)

    async def open(self, url: SplitResult, robot: str, listen: Listener) -> "RtpRoom":
        """Prepare; `enter` listens. Raises BadInput."""
        room = RtpRoom(Session.parse(url), self._settings, self._clock, listen, self._rooms.left)
        return self._rooms.add(room)

    async def close(self) -> None:
        """Leave every room."""
        await self._rooms.close()


class RtpRoom:
    """One session, and the sender that is in it."""

    def __init__(
        self,
        session: Session,
        settings: RtpSettings,
        clock: Clock,
        listen: Listener,
        left: "Callable[[RtpRoom], None]",
    ) -> None:
        self._session, self._settings, self._clock = session, settings, clock
        self._listen: Listener | None = listen
        self._left = left
        self._sender = Sender(session.source)
        self._ciphertexts = [
            Ciphertext(() if port.keys else port.sections) for port in session.ports
        ]
        self._sockets: list[Sockets] = []
        self._media: BundleDriver | None = None
        self._heard = 0.0
        self._watch, self._looked = Watch(), clock.now()
        self._timer: Timer | None = None
        self._ended: Counter[str] = Counter()

    @property
    def connected(self) -> bool:
        """Whether a sender is here."""
        return self._media is not None

    @property
    def counters(self) -> Counter[str]:
        """What sockets and receivers refused, lost or found odd, by reason."""
        total = self._ended.copy()
        for one in (*self._sockets, self._media):
            total += Counter() if one is None else one.counters
        return total

    async def enter(self) -> None:
        """Listen. Raises RoomError where the ports cannot be had."""
        if self._listen is None:
            raise RoomError("the session was left")
        clock = self._clock
        try:
            for port, ciphertext in zip(self._session.ports, self._ciphertexts, strict=True):
                found, take = partial(self._found, ciphertext), partial(self._take, ciphertext)
                args = (self._session.host, port, self._sender, found, take, clock.now)
                self._sockets.append(Sockets(*args))
        except RoomError:
            self._close()
            raise
        self._tell(RoomEntered())
        for kind, reason in dict.fromkeys(self._session.refused):
            self._tell(TrackRefused(self._session.anchor, kind, reason))
        self._look()

    def subscribe(self, subscribe: Subscribe) -> None:
        if self._media is not None and subscribe.track.anchor == self._session.anchor:
            self._media.attach(subscribe)

    def unsubscribe(self, track: TrackKey) -> None:
        if self._media is not None:
            self._media.detach(track)

    async def leave(self) -> None:
        self._listen = None
        if self._timer is not None:
            self._timer.cancel()
        self._end_media()
        self._close()
        self._left(self)

    def _found(self, ciphertext: Ciphertext) -> None:
        """Another source sends to a port, maybe something else."""
        if ciphertext.seen and self._media is not None:
            self._end_media()
            self._tell(AnchorLeft(self._session.anchor, "another source sends what was encrypted"))
        ciphertext.forget()

    def _take(self, ciphertext: Ciphertext, datagrams: list[bytes]) -> None:
        """Give the receiver what came; the first of it are facts before that."""
        self._heard = self._clock.now()
        if not ciphertext.seen and ciphertext.is_in(datagrams):
            self._refuse(ciphertext)
        if ciphertext.seen:
            self._ended["encrypted"] += len(datagrams)
            return
        if self._media is None:
            self._join()
        if self._media is not None:
            self._media.receive(datagrams)

    def _join(self) -> None:
        anchor = self._session.anchor
        sections = [one for ciphertext, one in self._sections() if not ciphertext.seen]
        bundle = Bundle(secrets.randbits(32))
        self._media = BundleDriver(bundle, self._clock, self._transmit, self._tell)
        self._media.set_sections(anchor, sections)
        self._tell(AnchorJoined(anchor))
        for section in sections:
            self._tell(TrackPublished(anchor, section.kind))

    def _sections(self) -> list[tuple[Ciphertext, RtpParameters]]:
        """All of them, each with what looks at its port."""
        ports = zip(self._ciphertexts, self._session.ports, strict=True)
        return [(ciphertext, section) for ciphertext, port in ports for section in port.sections]

    def _refuse(self, ciphertext: Ciphertext) -> None:
        """Of ciphertext nothing is cut, nor of what came until it was known as such."""
        anchor, media = self._session.anchor, self._media
        kinds = (section.kind for of, section in self._sections() if of is ciphertext)
        for kind in dict.fromkeys(kinds):
            self._tell(TrackRefused(anchor, kind, ENCRYPTED))
        if media is not None:
            self._media = None
            media.stop()
            self._ended += media.counters
            self._tell(AnchorLeft(anchor, ENCRYPTED))

    def _transmit(self, compound: bytes) -> None:
        """To every port that the sender is known at: a compound may be about any of its tracks."""
        for sockets in self._sockets:
            sockets.transmit(compound)

    def _look(self) -> None:
        now, silence = self._clock.now(), self._settings.silence
        here = self.connected or any(one.seen for one in self._ciphertexts)
        if here and now - self._heard >= silence:
            if self.connected:
                self._end_media()
                self._tell_troubles(now)  # it may have been here for less than a look
                self._tell(AnchorLeft(self._session.anchor, f"nothing received for {silence:g} s"))
            for ciphertext in self._ciphertexts:
                ciphertext.forget()
            self._sender.forget()
            for sockets in self._sockets:
                sockets.forget()
        if now - self._looked >= TROUBLE_LOOK:
            self._tell_troubles(now)
        if self._listen is not None:
            self._timer = self._clock.call_at(now + LOOK, self._look)

    def _tell_troubles(self, now: float) -> None:
        """Also of one whose packets never could be read, and who so has not joined."""
        self._looked = now
        for reason, count in self._watch.look(self.counters, now):
            self._tell(AnchorTrouble(self._session.anchor, reason, count))

    def _end_media(self) -> None:
        """The last cuts; what was counted is kept."""
        media, self._media = self._media, None
        if media is not None:
            media.close()
            self._ended += media.counters

    def _close(self) -> None:
        sockets, self._sockets = self._sockets, []
        for one in sockets:
            one.close()
            self._ended += one.counters

    def _tell(self, event: Fact | TrackOutput) -> None:
        if self._listen is not None:
            self._listen(event)
