"""Rooms on WHEP servers: anchors are played one by one, as a list says who is there."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import SplitResult

from slicer.background import Background
from slicer.clock import Clock, Timer
from slicer.errors import RoomError
from slicer.errors import shown as shown_value
from slicer.rooms import Context, Listener, backoff
from slicer.rooms.keyframes import SharedRequests
from slicer.rooms.network import local_addresses
from slicer.rooms.open_rooms import OpenRooms
from slicer.rooms.trouble import LOOK
from slicer.rooms.whep.address import WhepAddress
from slicer.rooms.whep.client import UNANSWERED, Client
from slicer.rooms.whep.listing import listed, usable
from slicer.rooms.whep.session import Failure, Session
from slicer.rooms.whep.settings import WhepSettings
from slicer.rooms.whep.viewer import Viewer
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import Fact, RoomEntered, RoomLost
from slicer.slicing.outputs import Subscribe, TrackKey, TrackOutput, TrackRefused
from slicer.webrtc.connection import Network
from slicer.webrtc.path import media_path

MISSES = 2
"""Lists in a row without an anchor after which it is gone: a list is read page by page while
others come and go."""

MAX_REFUSALS = 1_000
"""Anchors for which a refusal is remembered, so that it is told once; further ones are not told."""

logger = logging.getLogger(__name__)


class WhepConnector:
    """A connector for `whep://` and `wheps://HOST[:PORT]/ROOM`."""

    def __init__(self, context: Context) -> None:
        self._settings, self._clock = context.whep, context.clock
        self._rooms: OpenRooms[WhepRoom] = OpenRooms()
        self._requests = SharedRequests()

    def check(self, url: SplitResult) -> None:
        """Raise BadInput where this URL can never be a room; nothing is started."""
        WhepAddress.parse(url)

    async def open(self, url: SplitResult, robot: str, listen: Listener) -> "WhepRoom":
        address, left = WhepAddress.parse(url), self._rooms.left
        room = WhepRoom(address, self._settings, self._clock, listen, left, self._requests)
        return self._rooms.add(room)

    @property
    def connections(self) -> int:
        """Anchors that are played."""
        return sum(room.playing for room in self._rooms)

    @property
    def counters(self) -> Counter[str]:
        """Of all rooms."""
        return self._rooms.counters

    async def close(self) -> None:
        await self._rooms.close()


class WhepRoom:
    """One robot's presence: a viewer for each anchor that is listed.

    The room is lost when its server cannot be asked while nobody is played, and back when it
    answers. While somebody is played, a list that fails is counted and changes nothing. *requests*:
    those for keyframes, of the robots in all rooms.
    """

    def __init__(
        self,
        address: WhepAddress,
        settings: WhepSettings,
        clock: Clock,
        listen: Listener,
        left: "Callable[[WhepRoom], None]",
        requests: SharedRequests,
    ) -> None:
        self._address, self._settings, self._clock = address, settings, clock
        self._requests_of = requests.of((address.server, address.endpoint, address.room))
        self._listen, self._left = listen, left
        bearer = f"Bearer {settings.bearer}" if settings.bearer else ""
        self._client = Client(address.authorization or bearer, settings)
        self._path = media_path()
        self._network = Network(())
        self._viewers: dict[str, Viewer] = {}
        self._missed: Counter[str] = Counter()
        self._refusals: dict[str, str] = {}
        self._counted: Counter[str] = Counter()
        self._background = Background()
        self._timer: Timer | None = None
        self._lost = False
        self._over = False

    @property
    def playing(self) -> int:
        """Anchors whose media comes."""
        return sum(viewer.playing for viewer in self._viewers.values())

    @property
    def counters(self) -> Counter[str]:
        """Of the room and all its viewers."""
        return sum((one.counters for one in self._viewers.values()), self._counted.copy())

    async def enter(self) -> None:
        """Begin to play. Raises RoomError where the server cannot be asked or wants other
        credentials."""
        at, settings = self._address, self._settings
        addresses = await local_addresses(at.host, at.port, settings.advertise)
        self._network = Network(addresses, settings.silence, settings.connect_timeout)
        names = await listed(at, self._client)
        if names:
            answer = await self._client.options(at.anchor_url(names[0]))
            if answer.status == UNANSWERED:
                raise RoomError(answer.reason)
            if answer.status in {401, 403}:
                raise RoomError(f"the server wants other credentials: it answers {answer.reason}")
            self._network = replace(self._network, ice_servers=answer.ice_servers)
        self._tell(RoomEntered())
        self._reconcile(names)
        self._look()
        if not at.anchors:
            self._background.start(self._watch())

    def subscribe(self, subscribe: Subscribe) -> None:
        if viewer := self._viewers.get(subscribe.track.anchor):
            viewer.subscribe(subscribe)

    def unsubscribe(self, track: TrackKey) -> None:
        if viewer := self._viewers.get(track.anchor):
            viewer.unsubscribe(track)

    async def leave(self) -> None:
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._background.cancel()
        viewers, self._viewers = self._viewers, {}
        await asyncio.gather(*(viewer.stop("the robot left") for viewer in viewers.values()))
        await self._background.wait()
        await self._client.close()
        self._counted += sum((one.counters for one in viewers.values()), Counter[str]())
        self._left(self)

    async def _watch(self) -> None:
        """Ask who is there, again and again."""
        failures = 0
        while True:
            pause = backoff.wait(failures, random.random()) if failures else 0.0  # noqa: S311
            await self._clock.sleep(max(self._settings.poll, pause))
            try:
                names = await listed(self._address, self._client)
            except RoomError as error:
                failures += 1
                self._counted["lists_failed"] += 1
                logger.info("! room %s: %s", self._address.room, error)
                self._unreachable(str(error))
            else:
                failures = 0
                self._reachable()
                self._reconcile(names)

    def _reconcile(self, names: Sequence[str]) -> None:
        """Have a viewer for each of these, and for no other one."""
        for gone in self._viewers.keys() - set(names):
            self._missed[gone] += 1
            if self._missed[gone] >= MISSES:
                viewer = self._viewers[gone]
                self._background.start(self._end(viewer))
        for name in names:
            self._missed.pop(name, None)
            if name in self._viewers:
                continue
            if not usable(name):
                self._refuse(shown_value(name), "its name can be none of an anchor")
            elif len(self._viewers) >= self._settings.max_anchors:
                self._refuse(name, f"the most that are played at once: {len(self._viewers)}")
            else:
                self._viewers[name] = Viewer(
                    name, self._connect, self._tell, self._settings.poll, self._told
                )

    async def _end(self, viewer: Viewer) -> None:
        """An anchor is listed no longer. It stays in the table until its last cuts are told."""
        await viewer.stop("it is listed no longer")
        if self._viewers.get(viewer.anchor) is viewer:
            del self._viewers[viewer.anchor]
            self._counted += viewer.counters
        self._refusals.pop(viewer.anchor, None)

    async def _connect(self, anchor: str) -> Session | Failure:
        session = Session(self._client, self._path, self._network, self._tell, self._requests_of)
        failure: Failure | None = None
        try:
            failure = await session.start(self._address.anchor_url(anchor), anchor)
        except asyncio.CancelledError:
            failure = Failure("cancelled")
            raise
        finally:
            if failure is not None:
                await session.close()
        if session.ice_servers:  # those of an answer are of use for the next connection
            self._network = replace(self._network, ice_servers=session.ice_servers)
        return failure or session

    def _told(self, anchor: str, failure: Failure | None) -> None:
        """What came of a try to play an anchor."""
        if failure is not None and failure.status == UNANSWERED:
            self._unreachable(failure.reason)
            return
        self._reachable()
        if failure is None:
            self._refusals.pop(anchor, None)
        elif not failure.absent:
            self._refuse(anchor, failure.reason)

    def _refuse(self, anchor: str, reason: str) -> None:
        """Tell why an anchor is not played, each reason once in a row."""
        if self._refusals.get(anchor) != reason and len(self._refusals) < MAX_REFUSALS:
            self._refusals[anchor] = reason
            self._counted["anchors_refused"] += 1
            for kind in Kind:
                self._tell(TrackRefused(anchor, kind, reason))

    def _unreachable(self, reason: str) -> None:
        if not self._lost and not self.playing:
            self._lost = True
            self._tell(RoomLost(reason))
            for viewer in self._viewers.values():
                viewer.forget()

    def _reachable(self) -> None:
        if self._lost:
            self._lost = False
            self._tell(RoomEntered())

    def _look(self) -> None:
        self._timer = self._clock.call_at(self._clock.now() + LOOK, self._look)
        for viewer in list(self._viewers.values()):
            viewer.look(self._clock.now())

    def _tell(self, fact: Fact | TrackOutput) -> None:
        if not self._over:
            self._listen(fact)
