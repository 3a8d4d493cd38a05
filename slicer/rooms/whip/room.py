"""Our own rooms: anchors publish by WHIP to our server; robots watch inside the process."""

import secrets
from collections import Counter
from dataclasses import replace
from urllib.parse import SplitResult

from slicer.background import Background
from slicer.clock import Clock
from slicer.errors import BadInput, LimitReached, RoomError, TaskNotExist, Unauthorized, shown
from slicer.http import HttpSettings, Server, source_of
from slicer.rooms import Authorize, Context, Listener
from slicer.rooms.trouble import LOOK
from slicer.rooms.whip import ice_servers
from slicer.rooms.whip.address import RoomAddress
from slicer.rooms.whip.anchor import PUBLISHER, Anchor
from slicer.rooms.whip.authorization import authorization
from slicer.rooms.whip.endpoint import Published, WhipApp
from slicer.rooms.whip.media_port import MediaPorts
from slicer.rooms.whip.participants import Participants
from slicer.rooms.whip.settings import WhipSettings
from slicer.slicing.outputs import Subscribe, TrackKey
from slicer.webrtc.connection import Network
from slicer.webrtc.lite.port import UdpPort
from slicer.webrtc.path import media_path

_NO_SESSION = "no such session: it has ended, or never was"


class WhipConnector:
    """A connector for `whip://HOST:PORT/ROOM`: one server for each HOST:PORT, shared by its rooms.

    A room is there from the first `open` to the last `leave`; then its anchors are disconnected.
    The servers go on listening until `close`.
    """

    def __init__(self, context: Context) -> None:
        self._settings, self._http, self._clock = context.whip, context.http, context.clock
        self._authorize = context.authorize or authorization(context.whip, context.clock)
        ice_servers.check(context.whip)
        ice_servers.check_secret(context.whip)
        self._media_ports = MediaPorts(context.whip, context.clock)
        self._sites: dict[tuple[str, int], Site] = {}
        self._ended: Counter[str] = Counter()

    def check(self, url: SplitResult) -> None:
        """Raise BadInput where this URL can never be a room; nothing is started."""
        RoomAddress.parse(url)
        self._media_ports.check()

    async def open(self, url: SplitResult, robot: str, listen: Listener) -> "WhipRoom":
        """Open a room; the first of an address starts its server. Raises BadInput, RoomError."""
        at = RoomAddress.parse(url)
        site = self._sites.get((at.host, at.port))
        if site is None:
            port = self._media_ports.open(at.host, at.port)
            site = Site(at, port, self._settings, self._http, self._authorize, self._clock)
            self._sites[at.host, at.port] = site
        return WhipRoom(site, at.room, listen)

    def endpoint(self, url: SplitResult) -> str:
        """The WHIP URL of an open room, without the user that follows. Raises RoomError."""
        at = RoomAddress.parse(url)
        site = self._sites.get((at.host, at.port))
        if site is None:
            raise RoomError(f"{url.geturl()} is not open")
        return site.endpoint(at.room)

    @property
    def connections(self) -> int:
        """Publishers' connections."""
        return sum(site.publishers for site in self._sites.values())

    @property
    def counters(self) -> Counter[str]:
        """Of all connections and their receivers."""
        counted = self._ended + self._media_ports.counters
        return sum((site.counters for site in self._sites.values()), counted)

    async def close(self) -> None:
        """End all rooms and servers."""
        sites, self._sites = list(self._sites.values()), {}
        for site in sites:
            await site.close()
            self._ended += site.counters
        self._media_ports.close()


class WhipRoom:
    """One robot's presence in one of our rooms."""

    def __init__(self, site: "Site", name: str, listen: Listener) -> None:
        self._site = site
        self._name = name
        self._tell = listen
        self._participants: Participants | None = site.hold(name)

    async def enter(self) -> None:
        """Receive who is here, then what changes. Raises RoomError after `leave`."""
        if self._participants is None:
            raise RoomError(f"room {self._name} was left")
        self._participants.watch(self._tell)

    def subscribe(self, subscribe: Subscribe) -> None:
        anchor = self._anchor(subscribe.track.anchor)
        if anchor is not None:
            anchor.subscribe(subscribe, self._tell)

    def unsubscribe(self, track: TrackKey) -> None:
        anchor = self._anchor(track.anchor)
        if anchor is not None:
            anchor.unsubscribe(track)

    async def leave(self) -> None:
        if self._participants is not None:
            self._participants.unwatch(self._tell)
            self._participants = None
            self._site.release(self._name)

    def _anchor(self, user: str) -> Anchor | None:
        return None if self._participants is None else self._participants.anchors.get(user)


class Site:
    """One HOST:PORT: its server, the rooms on it and who publishes into them."""

    def __init__(
        self,
        at: RoomAddress,
        port: UdpPort,
        settings: WhipSettings,
        http: HttpSettings,
        authorize: Authorize,
        clock: Clock,
    ) -> None:
        self._authorize = authorize
        self._at = at
        self._settings = settings
        self._path = media_path()
        self._port = port
        self._network = Network((), settings.silence, port=port)
        self._profile = replace(
            PUBLISHER, redundancy=settings.redundancy, max_bitrate=settings.max_bitrate
        )
        self._rooms: dict[str, Participants] = {}
        self._held: dict[str, int] = {}
        self._sessions: dict[str, tuple[str, Anchor]] = {}
        self._ended: Counter[str] = Counter()
        self._background = Background()
        app = WhipApp(self, settings.allow_origin, settings.max_body).app
        try:
            self._server = Server(at.host, at.port, app, settings=http)
        except OSError as error:
            raise RoomError(error.strerror) from None
        self._clock = clock
        self._timer = clock.call_at(clock.now() + LOOK, self._look)

    def _look(self) -> None:
        self._timer = self._clock.call_at(self._clock.now() + LOOK, self._look)
        for participants in list(self._rooms.values()):
            participants.look(self._clock.now())

    def endpoint(self, room: str) -> str:
        host = f"[{self._at.host}]" if ":" in self._at.host else self._at.host
        return f"http://{host}:{self._server.port}/whip/{room}"

    def hold(self, room: str) -> Participants:
        """The room's participants, there until it is released as often as it was held."""
        self._held[room] = self._held.get(room, 0) + 1
        return self._rooms.setdefault(room, Participants(self._end))

    def release(self, room: str) -> None:
        self._held[room] -= 1
        if self._held[room] == 0:
            del self._held[room]
            self._rooms.pop(room).close()

    @property
    def publishers(self) -> int:
        """Connections that there are now."""
        return len(self._sessions)

    @property
    def counters(self) -> Counter[str]:
        """What its server and its connections counted, those that have ended too."""
        ended = self._ended + self._server.counters
        return sum((anchor.counters for _, anchor in self._sessions.values()), ended)

    async def close(self) -> None:
        self._timer.cancel()
        for participants in self._rooms.values():
            participants.close()
        await self._server.close()
        await self._background.wait()

    def authorize(self, room: str, user: str, bearer: str | None) -> str | None:
        """As an Authorize. A room of the same name on another server is another room."""
        try:
            return self._authorize(replace(self._at, room=room), user, bearer)
        except Unauthorized as error:
            text = f"! {shown(user)} may not publish into room {shown(room)}: {error}"
            self._server.tell("publishers_unauthorized", text)
            raise

    async def publish(self, room: str, user: str, offer: str, address: str) -> Published:
        """Make a session. Raises BadInput, TaskNotExist for a room nobody slices, LimitReached."""
        await self._port.turns.wait()
        participants = self._rooms.get(room)
        if participants is None:
            raise TaskNotExist(f"no task slices room {room!r}: start one, then publish")
        participants.replace(user)
        address = source_of(address)
        if reason := self._full(participants, address):
            self._ended["publishers_refused"] += 1
            participants.turned_away(user, f"refused: {reason}")
            raise LimitReached(reason)
        session = secrets.token_urlsafe(16)

        def left(anchor: Anchor, reason: str) -> None:
            participants.left(anchor, reason)
            self._forget(session)

        def ended(anchor: Anchor, reason: str) -> None:
            if participants.expects(anchor):
                self._ended["publishers_not_connected"] += 1
                participants.turned_away(user, f"not connected: {reason}")
            left(anchor, reason)

        anchor = Anchor(user, self._path, self._network, participants.joined, ended, self._profile)
        self._sessions[session] = (room, anchor)
        participants.expect(anchor, address)
        try:
            answer = await anchor.accept(offer)
        except BaseException as error:
            left(anchor, "its offer was not taken")
            self._end(anchor)
            if isinstance(error, BadInput):
                participants.refused(user, error.refused)
            raise
        if participants.closed:
            self._end(anchor)
            raise TaskNotExist(f"the last task has just left room {room!r}")
        now = self._clock.wall(self._clock.now()).timestamp()
        servers = ice_servers.links(self._settings, user, now)
        return Published(session, anchor.etag, answer, servers)

    def _full(self, participants: Participants, address: str) -> str:
        """Why one more cannot come; empty where it can."""
        settings = self._settings
        if len(self._sessions) >= settings.max_publishers:
            return f"{settings.max_publishers} publishers are here already"
        if participants.connecting >= settings.max_pending_room:
            return f"{participants.connecting} publishers of this room are connecting"
        pending = sum(one.pending(address) for one in self._rooms.values())
        if pending >= settings.max_pending:
            return f"{pending} publishers of {address or 'one address'} are connecting"
        return ""

    def etag(self, room: str, user: str, session: str) -> str:
        """The session's entity-tag. Raises TaskNotExist unless it is this user's, in this room."""
        there, anchor = self._session(session)
        if there != room or anchor.user != user:
            raise TaskNotExist(_NO_SESSION)
        return anchor.etag

    async def trickle(self, session: str, fragment: str) -> bool:
        return await self._session(session)[1].connection.add_candidates(fragment)

    async def restart(self, session: str, fragment: str) -> tuple[str, str] | None:
        """Restart the session's ICE: its new entity-tag and our fragment. Raises BadInput."""
        return await self._session(session)[1].restart(fragment)

    async def unpublish(self, session: str) -> None:
        room, anchor = self._session(session)
        participants = self._rooms.get(room)
        if participants is not None:
            participants.left(anchor, "unpublished by the publisher")
        self._forget(session)
        await anchor.connection.close()

    def _session(self, session: str) -> tuple[str, Anchor]:
        """Its room and its anchor. Raises TaskNotExist: it may end while a body is read."""
        if session not in self._sessions:
            raise TaskNotExist(_NO_SESSION)
        return self._sessions[session]

    def _forget(self, session: str) -> None:
        """The session is over and its media flushed; what it counted is kept."""
        if found := self._sessions.pop(session, None):
            self._ended += found[1].counters

    def _end(self, anchor: Anchor) -> None:
        """Close a connection that nobody waits for."""
        for session in [key for key, (_, one) in self._sessions.items() if one is anchor]:
            self._forget(session)
        self._background.start(anchor.connection.close())
