"""Rooms on LiveKit servers: a robot enters, and comes back until it leaves."""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import SplitResult, urlsplit

from slicer.background import Background
from slicer.clock import Clock, Timer
from slicer.errors import BadInput, RoomError
from slicer.rooms import Context, Listener, backoff
from slicer.rooms.keyframes import SharedRequests
from slicer.rooms.livekit.address import LiveKitAddress
from slicer.rooms.livekit.session import End, Resources, Session, join
from slicer.rooms.livekit.settings import LiveKitSettings
from slicer.rooms.livekit.signalling import Entry
from slicer.rooms.livekit.token import make_token
from slicer.rooms.network import local_addresses
from slicer.rooms.open_rooms import OpenRooms
from slicer.rooms.trouble import LOOK
from slicer.slicing.facts import Fact, RoomEntered, RoomLost, Stopped
from slicer.slicing.outputs import Subscribe, TrackKey, TrackOutput
from slicer.webrtc.connection import Network
from slicer.webrtc.path import media_path

logger = logging.getLogger(__name__)

MAX_SERVERS = 8
"""Other servers of a region list that are tried."""


class LiveKitConnector:
    """A connector for `livekit://` and `livekits://HOST[:PORT]/ROOM`."""

    def __init__(self, context: Context) -> None:
        self._settings, self._clock = context.livekit, context.clock
        self._rooms: OpenRooms[LiveKitRoom] = OpenRooms()
        self._requests = SharedRequests()

    def check(self, url: SplitResult) -> None:
        """Raise BadInput where this URL can never be a room; nothing is started."""
        self._address(url)

    async def open(self, url: SplitResult, robot: str, listen: Listener) -> "LiveKitRoom":
        address = self._address(url)
        left, requests = self._rooms.left, self._requests
        room = LiveKitRoom(address, self._settings, robot, self._clock, listen, left, requests)
        return self._rooms.add(room)

    @property
    def connections(self) -> int:
        """Rooms that media comes from."""
        return sum(room.inside for room in self._rooms)

    @property
    def counters(self) -> Counter[str]:
        """Of all rooms."""
        return self._rooms.counters

    async def close(self) -> None:
        await self._rooms.close()

    def _address(self, url: SplitResult) -> LiveKitAddress:
        address, settings = LiveKitAddress.parse(url), self._settings
        if not (address.token or address.key or (settings.key and settings.secret)):
            raise BadInput("livekit.key", "", "an API key and its secret, or a token in the URL")
        return address


class LiveKitRoom:
    """One robot's presence: one session after the other. *requests*: those for keyframes, of the
    robots in all rooms."""

    def __init__(
        self,
        address: LiveKitAddress,
        settings: LiveKitSettings,
        robot: str,
        clock: Clock,
        listen: Listener,
        left: "Callable[[LiveKitRoom], None]",
        requests: SharedRequests,
    ) -> None:
        self._address, self._robot = address, robot
        self._requests_of = requests.of((address.server, address.room))
        self._settings = replace(settings, quality=address.quality or settings.quality)
        self._clock, self._listen, self._left = clock, listen, left
        self._path = media_path()
        self._session: Session | None = None
        self._token = address.token
        self._servers = [address.server]
        self._background = Background()
        self._counted: Counter[str] = Counter()
        self._looking: Timer | None = None
        self._over = False

    @property
    def inside(self) -> bool:
        """Whether it is in the room now."""
        return self._session is not None

    @property
    def counters(self) -> Counter[str]:
        """Of all its sessions."""
        return self._counted + (self._session.counters if self._session else Counter[str]())

    async def enter(self) -> None:
        """Join. Raises RoomError."""
        session = await self._join(self._servers[0])
        self._background.start(self._run(session))
        self._look()

    def subscribe(self, subscribe: Subscribe) -> None:
        if self._session is not None:
            self._session.subscribe(subscribe)

    def unsubscribe(self, track: TrackKey) -> None:
        if self._session is not None:
            self._session.unsubscribe(track)

    async def leave(self) -> None:
        if self._over:
            return
        self._over = True
        if self._looking is not None:
            self._looking.cancel()
        self._background.cancel()
        await self._background.wait()
        if self._session is not None:
            await self._end(self._session)
        self._left(self)

    async def _run(self, session: Session) -> None:
        """Come back, whenever the session is over."""
        while True:
            end = await session.over
            if end.end is not None:
                self._tell(Stopped(end.end))
            else:
                self._tell(RoomLost(end.reason))
            await self._end(session)
            if end.end is not None:
                return
            self._servers = servers_after(self._address, end)
            session = await self._again()

    async def _again(self) -> Session:
        failures = 0
        while True:
            failures += 1
            await self._clock.sleep(backoff.wait(failures, random.random()))  # noqa: S311
            try:
                return await self._join(self._servers[(failures - 1) % len(self._servers)])
            except RoomError as error:
                self._counted["entries_failed"] += 1
                logger.info("! not back in room %s: %s", self._address.room, error)

    async def _join(self, server: str) -> Session:
        """Enter by this server; everyone is told. Raises RoomError."""
        at, settings = self._address, self._settings
        split = urlsplit(server)
        addresses = await local_addresses(
            split.hostname or at.host, split.port or at.port, settings.advertise
        )
        network = Network(addresses, settings.silence, settings.connect_timeout)
        entry = Entry(server, self._token or self._made_token())
        signalling, joined = await join(entry, settings)
        resources = Resources(self._path, network, self._clock, self._requests_of)
        session = Session(entry, signalling, joined, settings, resources, self._tell)
        try:
            await session.connect()
        except BaseException:
            await session.close()
            raise
        self._session = session
        self._tell(RoomEntered())
        for fact in session.arrive():
            self._tell(fact)
        return session

    def _made_token(self) -> str:
        at, settings = self._address, self._settings
        key, secret = at.key or settings.key, at.secret or settings.secret
        return make_token(key, secret, at.room, self._robot, time.time())

    async def _end(self, session: Session) -> None:
        if self._token:
            self._token = session.token
        self._counted += session.counters
        self._session = None
        await session.close()

    def _look(self) -> None:
        self._looking = self._clock.call_at(self._clock.now() + LOOK, self._look)
        if self._session is not None:
            self._session.look()

    def _tell(self, fact: Fact | TrackOutput) -> None:
        if not self._over:
            self._listen(fact)


def servers_after(address: LiveKitAddress, end: End) -> list[str]:
    """Where to come back: where the server sends us, then the room's own. A server that is not as
    well protected as the room's own is left out."""
    found = []
    for url in end.servers:
        split = urlsplit(url)
        secure = split.scheme in {"wss", "https"}
        if split.netloc and (secure or address.server.startswith("ws://")):
            found.append(f"{'wss' if secure else 'ws'}://{split.netloc}")
    return list(dict.fromkeys([*found[:MAX_SERVERS], address.server]))
