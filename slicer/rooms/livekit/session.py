"""One stay in a LiveKit room: signalling, one connection, and what comes by it.

The signalling may break while media goes on. Then we come back as the participant we were, tell
what we had (`SyncState`), and offer anew; nothing is lost. Where that fails, or the connection
breaks, the stay is over. The way back is open only on `/rtc/v1`: by the older one a server restarts
ICE, which our connections do not do.
"""

import asyncio
import json
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from livekit.protocol import models, rtc

from slicer.background import Background
from slicer.clock import Clock
from slicer.errors import BadInput, LimitReached, RoomError
from slicer.rooms import Listener, backoff
from slicer.rooms.livekit.negotiation import Negotiation, offered
from slicer.rooms.livekit.participants import Participants
from slicer.rooms.livekit.pauses import Pauses
from slicer.rooms.livekit.settings import LiveKitSettings, Quality
from slicer.rooms.livekit.signalling import Entry, Signalling
from slicer.rooms.livekit.tracks import Tracks
from slicer.rooms.livekit.troubles import Troubles
from slicer.rtp.parameters import Kind, Slot
from slicer.slicing.facts import Fact
from slicer.slicing.keyframe_requests import RequestsOf
from slicer.slicing.outputs import (
    EndReason,
    PictureCut,
    Subscribe,
    TrackKey,
    TrackOutput,
    TrackRefused,
)
from slicer.slicing.spec import VideoSpec
from slicer.webrtc.connection import Connection, Events, Network
from slicer.webrtc.ice_servers import IceServer
from slicer.webrtc.path import MediaPath
from slicer.webrtc.profile import Profile

PROFILE = Profile(named_ssrcs=True)
"""The server forwards packets without the MID that it agreed on."""
RESUMES = 5
"""Tries to come back as the same participant, before the room is entered anew."""
PING_INTERVAL, PING_TIMEOUT = 10.0, 20.0
"""Seconds, where the server does not say."""
MAX_ICE_SERVERS = 16
"""STUN and TURN servers that are taken of a server."""
MAX_EARLY = 32
"""Candidates kept until there is a description that they belong to."""
_ENDS = {
    models.DisconnectReason.DUPLICATE_IDENTITY: EndReason.REPLACED,
    models.DisconnectReason.PARTICIPANT_REMOVED: EndReason.KICKED,
    models.DisconnectReason.ROOM_DELETED: EndReason.ROOM_GONE,
    models.DisconnectReason.ROOM_CLOSED: EndReason.ROOM_GONE,
}
_QUALITIES = {
    Quality.LOW: models.VideoQuality.LOW,
    Quality.MEDIUM: models.VideoQuality.MEDIUM,
    Quality.HIGH: models.VideoQuality.HIGH,
}
_REFUSALS = {
    models.SubscriptionError.SE_CODEC_UNSUPPORTED: "the server cannot send its codec to us",
    models.SubscriptionError.SE_TRACK_NOTFOUND: "the server does not find it",
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class End:
    """Why a stay is over. *end*: the task's, where the room is not to be entered again. *servers*:
    where the server sends us instead."""

    reason: str
    end: EndReason | None = None
    servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resources:
    """What a session needs on our side. *requests_of*: those for keyframes to the room's anchors,
    of all tasks."""

    path: MediaPath
    network: Network
    clock: Clock
    requests_of: RequestsOf


async def join(entry: Entry, settings: LiveKitSettings) -> tuple[Signalling, rtc.JoinResponse]:
    """Ask to be let in. Raises RoomError."""
    signalling, first = await Signalling.begin(entry, settings)
    message = first.WhichOneof("message")
    if message == "join":
        return signalling, first.join
    await signalling.close()
    if message == "leave":
        raise RoomError(f"the server sends us away: {_left(first.leave).reason}")
    raise RoomError(f"the server begins with {message}, not join")


class Session:
    """What begins with `join`, until `close`. *listen* gets the cuts, and facts after those of
    *participants*."""

    def __init__(
        self,
        entry: Entry,
        signalling: Signalling,
        joined: rtc.JoinResponse,
        settings: LiveKitSettings,
        resources: Resources,
        listen: Listener,
    ) -> None:
        self._entry = replace(entry, sid=joined.participant.sid)
        self._signalling, self._joined, self._settings = signalling, joined, settings
        self._listen = listen
        self.over: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.participants = Participants(joined.participant.identity)
        # Until the robot is in, nobody can be subscribed to: what comes before is told by `arrive`.
        self._early_facts: list[Fact] | None = self.participants.update(joined.other_participants)
        self._snapshot = False  # whether the next update tells everyone who is there
        self._background = Background()
        self._outgoing: asyncio.Queue[rtc.SignalRequest] = asyncio.Queue()
        self._settled = asyncio.Event()
        self._requests_of = resources.requests_of
        self._media = resources.path.open(self._deliver, self._requests_of)
        first, later = Events(self._settled.set, self._lost), Events(lambda: None, self._lost)
        self._network = replace(resources.network, ice_servers=_ice_servers(joined))
        # By the older way in, the server offers, by a connection that begins with what we take. It
        # lets us in by another one, to publish by: that one carries nothing.
        self._two = signalling.offers
        events = later if self._two else first
        self._primary = self._connection = Connection(self._network, self._media, events, PROFILE)
        if self._two:
            nothing = resources.path.open(lambda _cut: None)
            self._primary = Connection(self._network, nothing, first, PROFILE)
        self._negotiation = Negotiation(self._primary, self._outgoing.put_nowait)
        self._tracks = Tracks(self._media)
        self._pauses = Pauses(resources.clock, self._set) if settings.pause else None
        bound, muted = self._network.silence, self.participants.muted
        self._troubles = Troubles(self._media, resources.clock, bound, muted)
        self._asked: dict[tuple[str, Slot], str] = {}  # SIDs of what the server is to send
        self._qualities: dict[str, models.VideoQuality] = {}  # that were asked for, by SID
        self._early: list[tuple[Connection, str]] = []
        self._heard = 0.0
        self._counted: Counter[str] = Counter()
        self._closed = False

    @property
    def token(self) -> str:
        """The newest one that the server gave, or that of the entry."""
        return self._entry.token

    @property
    def counters(self) -> Counter[str]:
        """What its connection and its media refused, lost or found odd, by reason."""
        counted = self._counted + self._troubles.counters
        return counted + self._media.counters + self._connection.counters

    async def connect(self) -> None:
        """Return once media can come. Raises RoomError."""
        self._background.start(self._read())
        self._background.start(self._write())
        self._background.start(self._ping())
        await self._negotiation.require(1, 1)
        await self._until_connected(self._network.connect_timeout)

    def arrive(self) -> list[Fact]:
        """Who is there now, and of whom something was refused; what changes is told from now on."""
        early, self._early_facts = self._early_facts or [], None
        refused = [fact for fact in early if isinstance(fact, TrackRefused)]
        return [*self.participants.everyone(), *refused]

    def subscribe(self, subscribe: Subscribe) -> None:
        """Have the server send this track, and cut it."""
        anchor, slot = subscribe.track.anchor, subscribe.track.slot
        self._tracks.subscribe(subscribe)
        if sid := self.participants.track(anchor, slot):
            self._asked[anchor, slot] = sid
            self._troubles.flow(anchor, slot, True)
            self._ask(sid, True)
            if slot[0] is Kind.VIDEO:
                self._set(sid, disabled=False)

    def unsubscribe(self, track: TrackKey) -> None:
        """Give the track's last cut; the server need not send it."""
        self._tracks.unsubscribe(track)
        for trouble in self._troubles.end(track.anchor, track.slot):
            self._listen(trouble)
        if sid := self._asked.pop((track.anchor, track.slot), None):
            if self._pauses is not None:
                self._pauses.forget(sid)
            self._qualities.pop(sid, None)
            self._ask(sid, False)

    def look(self) -> None:
        """Tell whose media is expected and does not come, or is not as it should be."""
        for trouble in self._troubles.look():
            self._listen(trouble)

    async def close(self) -> None:
        """Leave. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._end(End("we left"))
        if self._pauses is not None:
            self._pauses.close()
            self._pauses = None
        self._media.close()
        leave = rtc.LeaveRequest(reason=models.DisconnectReason.CLIENT_INITIATED)
        await self._signalling.send(rtc.SignalRequest(leave=leave))
        await self._signalling.close()
        self._background.cancel()
        await self._background.wait()
        await self._connection.close()
        if self._two:
            await self._primary.close()

    async def _until_connected(self, seconds: float) -> None:
        """Return once media can come. Raises RoomError, also for a server that describes nothing:
        before its answer, the connection has no time-out of its own."""
        try:
            async with asyncio.timeout(seconds):
                await self._settled.wait()
        except TimeoutError:
            what = "not connected" if self._negotiation.answer.sdp else "no answer"
            self._end(End(f"{what} within {seconds:g} s"))
        if self.over.done():
            raise RoomError(f"no connection: {self.over.result().reason}")

    def _ask(self, sid: str, wanted: bool) -> None:
        update = rtc.UpdateSubscription(track_sids=[sid], subscribe=wanted)
        self._outgoing.put_nowait(rtc.SignalRequest(subscription=update))

    def _set(self, sid: str, disabled: bool) -> None:
        """Whether the server is to send this video now, and in which layer."""
        if (found := self.participants.owner(sid)) in self._asked:
            self._troubles.flow(*found, not disabled)
        quality = self._quality(sid)
        self._qualities[sid] = quality
        update = rtc.UpdateTrackSettings(track_sids=[sid], disabled=disabled, quality=quality)
        self._outgoing.put_nowait(rtc.SignalRequest(track_setting=update))

    def _quality(self, sid: str) -> models.VideoQuality:
        """The layer that is enough for the task's pictures."""
        most = _QUALITIES[self._settings.quality]
        owner = self.participants.owner(sid)
        spec = None if owner is None else self._tracks.spec(*owner)
        if owner is None or not isinstance(spec, VideoSpec):
            return most
        return self.participants.quality(owner[0], owner[1][1], spec.max_height, most)

    def _set_changed(self) -> None:
        """Publishers change the sizes of their layers: have another one sent where it is enough."""
        paused = () if self._pauses is None else self._pauses.paused
        for (_, (kind, _)), sid in self._asked.items():
            if kind is Kind.VIDEO and self._quality(sid) != self._qualities.get(sid):
                self._set(sid, sid in paused)

    def _deliver(self, cut: TrackOutput) -> None:
        self._listen(cut)
        if isinstance(cut, PictureCut) and self._pauses is not None and not self._closed:
            what = cut.track.anchor, cut.track.slot
            sid, spec = self._asked.get(what), self._tracks.spec(*what)
            if sid and isinstance(spec, VideoSpec):
                self._pauses.taken(sid, cut, spec, self._requests_of(*what))

    async def _write(self) -> None:
        while True:
            request = await self._outgoing.get()
            await self._signalling.send(request)  # the signalling of now: it may be another one

    async def _read(self) -> None:
        """Take what the server says, until the stay is over."""
        while not self.over.done():
            try:
                response = await self._signalling.receive()
            except RoomError as broken:
                if not await self._resume():
                    self._end(End(str(broken)))
                continue
            self._heard = asyncio.get_running_loop().time()
            try:
                await self._take(response)
            except (BadInput, LimitReached, RoomError) as error:
                self._end(End(f"the server's description cannot be taken: {error}"))

    async def _take(self, response: rtc.SignalResponse) -> None:
        message = response.WhichOneof("message")
        taker = _TAKERS.get(message or "")
        if taker is not None:
            await taker(self, response)

    async def _take_answer(self, response: rtc.SignalResponse) -> None:
        sections = await self._negotiation.accept(response.answer)
        await self._add_candidates()
        if sections is not None and not self._two:
            self._tracks.place(sections, self.participants.owner)

    async def _take_offer(self, response: rtc.SignalResponse) -> None:
        offer = response.offer
        sdp = await self._connection.answer(offer.sdp)
        answer = rtc.SessionDescription(type="answer", sdp=sdp, id=offer.id)
        self._outgoing.put_nowait(rtc.SignalRequest(answer=answer))
        await self._add_candidates()
        self._tracks.place(offered(offer, self._connection.streams), self.participants.owner)

    async def _take_trickle(self, response: rtc.SignalResponse) -> None:
        trickle = response.trickle
        try:
            candidate = f"a={json.loads(trickle.candidateInit)['candidate']}\r\n"
        except (ValueError, TypeError, KeyError):
            self._counted["candidates_ignored"] += 1
            return
        ours = trickle.target == rtc.SignalTarget.PUBLISHER
        connection = self._primary if ours else self._connection
        self._early = [*self._early, (connection, candidate)][-MAX_EARLY:]
        await self._add_candidates()

    async def _add_candidates(self) -> None:
        """Those that came before the description they belong to wait for it."""
        early, self._early = self._early, []
        for connection, candidate in early:
            if not await connection.add_candidates(candidate):
                self._early.append((connection, candidate))

    async def _take_requirement(self, response: rtc.SignalResponse) -> None:
        needed = response.media_sections_requirement
        await self._negotiation.require(needed.num_audios, needed.num_videos)

    async def _take_update(self, response: rtc.SignalResponse) -> None:
        participants = response.update.participants
        take = self.participants.replace if self._snapshot else self.participants.update
        self._snapshot = False
        facts = take(participants)
        if self._early_facts is not None:
            self._early_facts += facts
            return
        for fact in facts:
            self._listen(fact)
        self._set_changed()

    async def _take_leave(self, response: rtc.SignalResponse) -> None:
        leave = response.leave
        if leave.action != rtc.LeaveRequest.Action.RESUME or not await self._resume():
            self._end(_left(leave))

    async def _take_token(self, response: rtc.SignalResponse) -> None:
        self._entry = replace(self._entry, token=response.refresh_token)

    async def _take_moved(self, response: rtc.SignalResponse) -> None:
        name = response.room_moved.room.name
        self._end(End(f"moved to room {name}", EndReason.KICKED))

    async def _take_subscription(self, response: rtc.SignalResponse) -> None:
        refusal = response.subscription_response
        self._refuse(refusal.track_sid, _REFUSALS.get(refusal.err, "the server does not send it"))

    async def _take_permission(self, response: rtc.SignalResponse) -> None:
        permission = response.subscription_permission_update
        if not permission.allowed:
            self._refuse(permission.track_sid, "its publisher does not allow it")

    def _refuse(self, track: str, reason: str) -> None:
        if found := self.participants.owner(track):
            anchor, (kind, role) = found
            self._listen(TrackRefused(anchor, kind, reason, role))

    async def _resume(self) -> bool:
        """Come back as the same participant, media going on; False where that cannot be."""
        if self._signalling.offers:
            return False
        await self._signalling.close()
        for failures in range(1, RESUMES + 1):
            if self.over.done():
                return False
            try:
                signalling, first = await Signalling.begin(self._entry, self._settings)
            except RoomError as error:
                logger.info("! not back in the room: %s", error)
                self._counted["resumes_failed"] += 1
                await asyncio.sleep(backoff.wait(failures, random.random()))  # noqa: S311
                continue
            if first.WhichOneof("message") != "reconnect":
                await signalling.close()
                return False
            self._signalling = signalling
            self._counted["resumes"] += 1
            self._snapshot = True
            self._outgoing.put_nowait(rtc.SignalRequest(sync_state=self._state()))
            await self._negotiation.again()
            return True
        return False

    def _state(self) -> rtc.SyncState:
        """What we have, for a server that may have forgotten."""
        sids = self._asked.values()
        return rtc.SyncState(
            offer=self._negotiation.offer,
            answer=self._negotiation.answer,
            subscription=rtc.UpdateSubscription(track_sids=sids, subscribe=True),
            track_sids_disabled=() if self._pauses is None else self._pauses.paused,
        )

    async def _ping(self) -> None:
        """Ask the server now and then, and break the signalling where it is silent."""
        interval = float(self._joined.ping_interval) or PING_INTERVAL
        silence = float(self._joined.ping_timeout) or PING_TIMEOUT
        loop = asyncio.get_running_loop()
        self._heard = loop.time()
        while True:
            await asyncio.sleep(interval)
            if loop.time() - self._heard > silence:
                self._heard = loop.time()
                await self._signalling.close()
            await self._signalling.ping(0.0)

    def _lost(self, reason: str) -> None:
        self._end(End(reason))

    def _end(self, end: End) -> None:
        if not self.over.done():
            self.over.set_result(end)
            self._settled.set()


_TAKERS: dict[str, Callable[[Session, rtc.SignalResponse], Awaitable[None]]] = {
    "answer": Session._take_answer,
    "offer": Session._take_offer,
    "trickle": Session._take_trickle,
    "media_sections_requirement": Session._take_requirement,
    "update": Session._take_update,
    "leave": Session._take_leave,
    "refresh_token": Session._take_token,
    "room_moved": Session._take_moved,
    "subscription_response": Session._take_subscription,
    "subscription_permission_update": Session._take_permission,
}


def _ice_servers(join: rtc.JoinResponse) -> tuple[IceServer, ...]:
    found = join.ice_servers[:MAX_ICE_SERVERS]
    return tuple(IceServer(tuple(one.urls), one.username, one.credential) for one in found)


def _left(leave: rtc.LeaveRequest) -> End:
    """What a server means that sends us away."""
    try:
        reason = models.DisconnectReason.Name(leave.reason).lower().replace("_", " ")
    except ValueError:
        reason = f"reason {leave.reason}"
    servers = tuple(region.url for region in leave.regions.regions)
    return End(f"the server says: {reason}", _ENDS.get(leave.reason), servers)
