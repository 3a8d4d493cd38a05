"""Rooms of Janus: a robot that joins, watches who publishes, and comes back when it is lost."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from urllib.parse import SplitResult

from slicer.background import Background
from slicer.clock import Clock, Timer
from slicer.errors import RoomError
from slicer.rooms import Context, Listener
from slicer.rooms.backoff import wait
from slicer.rooms.janus.address import JanusAddress
from slicer.rooms.janus.entrance import enter
from slicer.rooms.janus.messages import Message, identity, plugin_data
from slicer.rooms.janus.participants import Participants
from slicer.rooms.janus.session import Session
from slicer.rooms.janus.settings import JanusSettings
from slicer.rooms.janus.subscriber import Media, Presence
from slicer.rooms.janus.subscribers import Subscribers
from slicer.rooms.keyframes import SharedRequests
from slicer.rooms.network import local_addresses
from slicer.rooms.open_rooms import OpenRooms
from slicer.rooms.trouble import LOOK
from slicer.slicing.facts import Fact, RoomLost, Stopped
from slicer.slicing.outputs import Subscribe, TrackKey
from slicer.webrtc.connection import Network
from slicer.webrtc.path import media_path

ENTER_TIMEOUT = 15.0
"""Seconds that entering may take, from TCP to the answer to the join."""

logger = logging.getLogger(__name__)


class JanusConnector:
    """A connector for `janus://HOST[:PORT]/ROOM` and, by TLS, `januss://`."""

    def __init__(self, context: Context) -> None:
        self._settings, self._clock = context.janus, context.clock
        self._rooms: OpenRooms[JanusRoom] = OpenRooms()
        self._requests = SharedRequests()

    def check(self, url: SplitResult) -> None:
        """Raise BadInput where this URL can never be a room; nothing is started."""
        JanusAddress.parse(url, self._settings)

    async def open(self, url: SplitResult, robot: str, listen: Listener) -> "JanusRoom":
        """Prepare a room. Raises BadInput, RoomError."""
        address = JanusAddress.parse(url, self._settings)
        room = JanusRoom(
            address, robot, listen, self._settings, self._clock, self._rooms.left, self._requests
        )
        return self._rooms.add(room)

    @property
    def connections(self) -> int:
        """Publishers' connections, of all rooms."""
        return sum(room.connections for room in self._rooms)

    @property
    def counters(self) -> Counter[str]:
        """Of all connections and their receivers."""
        return self._rooms.counters

    async def close(self) -> None:
        """Leave all rooms."""
        await self._rooms.close()


class JanusRoom:
    """One robot's presence in one room. *left* is called once, at the end of `leave`. *requests*:
    those for keyframes, of the robots in all rooms."""

    def __init__(
        self,
        address: JanusAddress,
        robot: str,
        listen: Listener,
        settings: JanusSettings,
        clock: Clock,
        left: "Callable[[JanusRoom], None]",
        requests: SharedRequests,
    ) -> None:
        self._address, self._robot, self._listen = address, robot, listen
        self._settings, self._clock, self._left = settings, clock, left
        self._requests_of = requests.of((address.host, address.port, address.path, address.room))
        self._participants = Participants()
        self._session: Session | None = None
        self._media: Media | None = None
        self._subscribers: Subscribers | None = None
        self._ended: Counter[str] = Counter()
        self._background = Background()
        self._looking: Timer | None = None
        self._returning: asyncio.Task[None] | None = None
        self._over = False

    @property
    def connections(self) -> int:
        """Publishers' connections."""
        return 0 if self._subscribers is None else len(self._subscribers)

    @property
    def counters(self) -> Counter[str]:
        """Of its connections and their receivers, those that have ended too."""
        now = Counter[str]() if self._subscribers is None else self._subscribers.counters
        return self._ended + now

    async def enter(self) -> None:
        """Join, and report who publishes. Raises RoomError."""
        await self._enter()
        self._looking = self._clock.call_at(self._clock.now() + LOOK, self._look)

    def subscribe(self, subscribe: Subscribe) -> None:
        if self._subscribers is not None:
            self._subscribers.subscribe(subscribe)

    def unsubscribe(self, track: TrackKey) -> None:
        if self._subscribers is not None:
            self._subscribers.unsubscribe(track)

    async def leave(self) -> None:
        first, self._over = not self._over, True
        if self._looking is not None:
            self._looking.cancel()
        if self._returning is not None:
            self._returning.cancel()
        self._let_go()
        await self._background.wait()
        if first:
            self._left(self)

    async def _enter(self) -> None:
        """Raises RoomError within ENTER_TIMEOUT."""
        try:
            async with asyncio.timeout(ENTER_TIMEOUT):
                self._media = await self._prepared()
                session = await enter(self._address, self._robot, self._on_message, self._lost)
        except TimeoutError:
            raise RoomError(f"Janus did not let us in within {ENTER_TIMEOUT:g} s") from None
        if self._over or self._session is not session:
            await session.close()

    async def _prepared(self) -> Media:
        """Our side of the media. Raises RoomError where there is no way to Janus."""
        address, settings = self._address, self._settings
        port = address.port or 0
        addresses = await local_addresses(address.host, port, settings.advertise)
        network = Network(addresses, settings.silence)
        return Media(media_path(), network, self._clock, settings.pause, self._requests_of)

    def _on_message(self, session: Session, message: Message) -> None:
        """Take what Janus says to the robot. Raises RoomError where the session is over by it."""
        if message["janus"] == "detached":
            raise RoomError("Janus ended the robot's handle")
        if message["janus"] != "event" or self._over:
            return
        data = plugin_data(message)
        facts = self._participants.receive(data)
        if data.get("videoroom") == "joined":
            self._joined(session, data)
        for fact in facts:
            self._tell(fact)

    def _joined(self, session: Session, data: Message) -> None:
        """From here on the task may subscribe."""
        assert self._media is not None
        room = identity("room", data.get("room"))
        private_id = self._participants.private_id
        presence = Presence(session, room, self._address.pin, private_id)
        self._session = session
        self._subscribers = Subscribers(self._participants, presence, self._media, self._listen)

    def _tell(self, fact: Fact) -> None:
        if self._subscribers is not None:
            self._subscribers.tell(fact)
        if isinstance(fact, Stopped):
            self._over = True
            self._let_go()

    def _lost(self, reason: str) -> None:
        """The session has ended by itself: report that, and come back."""
        if self._over or self._session is None:
            return  # whoever enters is told by its request
        self._listen(RoomLost(reason))
        self._let_go()
        if not self._over:
            self._returning = self._background.start(self._come_back())

    async def _come_back(self) -> None:
        failures = 0
        while True:
            failures += 1
            await self._clock.sleep(wait(failures, random.random()))  # noqa: S311 (jitter)
            try:
                return await self._enter()
            except RoomError as error:
                logger.warning("! %s is still lost: %s", self._address.room, error)

    def _let_go(self) -> None:
        """End the presence that there is."""
        session, self._session = self._session, None
        subscribers, self._subscribers = self._subscribers, None
        if subscribers is not None:
            self._background.start(subscribers.close())
            self._ended += subscribers.counters
        if session is not None:
            self._background.start(session.close())

    def _look(self) -> None:
        self._looking = self._clock.call_at(self._clock.now() + LOOK, self._look)
        if self._subscribers is not None:
            self._subscribers.look()
