"""A room of TRTC: `trtc://SDKAPPID/ROOM`, entered as an audience by Tencent's SDK.

`?id=number` says that ROOM is a numeric id: TRTC has the rooms 123 and "123" apart. An anchor's
track is published with its first frame, which tells the codec. Audio and video timestamps are taken
for clocks of their own, since nothing says that they share one. The SDK connects again by itself.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from urllib.parse import SplitResult, unquote

from slicer.clock import Clock
from slicer.errors import BadInput, RoomError
from slicer.rooms import Context, Listener
from slicer.rooms.frames import EncodedFrame, FrameMedia
from slicer.rooms.open_rooms import OpenRooms
from slicer.rooms.options import options
from slicer.rooms.redaction import shown
from slicer.rooms.trtc import cloud as sdk
from slicer.rooms.trtc.cloud import Cloud, CloudEvents, CloudFrame, Entrance
from slicer.rooms.trtc.settings import TrtcSettings
from slicer.rtp.parameters import H264, H265, OPUS, Codec, Kind, Slot
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Fact,
    RoomEntered,
    RoomLost,
    Stopped,
    TrackPublished,
    TrackUnpublished,
)
from slicer.slicing.outputs import EndReason, Subscribe, TrackKey, TrackOutput, TrackRefused
from slicer.usersig import ROBOT, Privilege, SdkApp
from slicer.webrtc.counts import PACKETS

_CODECS = {
    Kind.AUDIO: {"opus": OPUS},
    Kind.VIDEO: {"h264": H264, "h265": H265},
}
_PRIVILEGES = ROBOT | Privilege.RECEIVE_AUXILIARY
_ROOM = re.compile(r"/([^/]{1,64})")


class TrtcConnector:
    """Opens rooms of TRTC, of the application that the settings name."""

    def __init__(self, context: Context) -> None:
        self._settings, self._clock = context.trtc, context.clock
        self._rooms: OpenRooms[TrtcRoom] = OpenRooms()

    @property
    def connections(self) -> int:
        """Rooms that robots are in."""
        return len(self._rooms)

    @property
    def counters(self) -> Counter[str]:
        """Of all rooms and their receivers."""
        return self._rooms.counters

    def check(self, url: SplitResult) -> None:
        """Raise BadInput where this URL can never be a room, or the SDK is not installed."""
        self._entrance(url, "robot")
        sdk.load()

    async def open(self, url: SplitResult, robot: str, listen: Listener) -> "TrtcRoom":
        """Prepare; `enter` enters. Raises BadInput."""
        entrance, liteav = self._entrance(url, robot), await asyncio.to_thread(sdk.load)
        room = TrtcRoom(entrance, self._settings, self._clock, listen, self._rooms.left)
        room.cloud = Cloud(liteav, room.events())
        return self._rooms.add(room)

    async def close(self) -> None:
        """Leave every room."""
        await self._rooms.close()

    def _entrance(self, url: SplitResult, robot: str) -> Entrance:
        chosen, room = options(url, {"id"}), _ROOM.fullmatch(unquote(url.path))
        numeric = chosen.get("id") == "number"
        allowed = "trtc://SDKAPPID/ROOM, with ?id=number for a numeric room id, 1 to 4294967295"
        known = chosen.get("id") in {None, "number"} and url.fragment == ""
        if room is None or not known or (numeric and not re.fullmatch(r"\d{1,10}", room[1])):
            raise BadInput("room", shown(url.geturl()), allowed)
        if numeric and not 0 < int(room[1]) < 2**32:
            raise BadInput("room", shown(url.geturl()), allowed)
        settings = self._settings
        if not settings.sdk_app_id:
            raise BadInput("trtc.sdk_app_id", 0, "the SDKAppID of the room's application")
        if url.netloc != str(settings.sdk_app_id):
            raise BadInput("room", shown(url.geturl()), "the SDKAppID of trtc.sdk_app_id")
        app = SdkApp(settings.sdk_app_id, settings.usersig_key)
        now = int(self._clock.wall(self._clock.now()).timestamp())
        name: int | str = int(room[1]) if numeric else room[1]
        allowed_to = app.private_map_key(robot, name, now, privileges=_PRIVILEGES)
        return Entrance(app.sdkappid, robot, app.usersig(robot, now), allowed_to, name)


class User:
    """An anchor: its media, and the codec of each track that it sends. *refused*: tracks of which
    it was told that their codec cannot be taken."""

    def __init__(self, media: FrameMedia) -> None:
        self.media = media
        self.codecs: dict[Slot, Codec] = {}
        self.refused: set[Slot] = set()


class TrtcRoom:
    """One robot's presence in one room."""

    cloud: Cloud

    def __init__(
        self,
        entrance: Entrance,
        settings: TrtcSettings,
        clock: Clock,
        listen: Listener,
        left: "Callable[[TrtcRoom], None]",
    ) -> None:
        self._entrance, self._settings, self._clock = entrance, settings, clock
        self._listen: Listener | None = listen
        self._left = left
        self._done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._users: dict[str, User] = {}
        self._inside = False
        self._lost = False
        self._own: Counter[str] = Counter()

    def events(self) -> CloudEvents:
        """What the SDK calls back."""
        return CloudEvents(
            entered=self._entered,
            exited=lambda: self._over(EndReason.ROOM_GONE),
            error=self._error,
            connected=self._connected,
            joined=self._joined,
            left=self._gone,
            available=self._available,
            frames=self._frames,
        )

    @property
    def counters(self) -> Counter[str]:
        """What the room and its receivers refused, lost or found odd, by reason."""
        total = self._own + self.cloud.counters
        return sum((user.media.counters for user in self._users.values()), total)

    async def enter(self) -> None:
        """Enter. Raises RoomError with the SDK's reason, or after `enter_timeout`: the SDK itself
        tries on for long without a word."""
        if self._listen is None:
            raise RoomError("the room was left")
        seconds = self._settings.enter_timeout
        try:
            async with asyncio.timeout(seconds):
                refused = await asyncio.to_thread(self.cloud.enter, self._entrance)
                reason = sdk.words(refused) if refused else await self._done
        except TimeoutError:
            reason = f"TRTC: not let in within {seconds:g} s"
        if reason:
            await self.leave()
            raise RoomError(reason)

    def subscribe(self, subscribe: Subscribe) -> None:
        user = self._users.get(subscribe.track.anchor)
        if user is not None:
            self.cloud.subscribe(subscribe.track.anchor, subscribe.track.slot, wanted=True)
            user.media.attach(subscribe)

    def unsubscribe(self, track: TrackKey) -> None:
        user = self._users.get(track.anchor)
        if user is not None:
            user.media.detach(track)
            if self._inside and not self._lost:
                self.cloud.subscribe(track.anchor, track.slot, wanted=False)

    async def leave(self) -> None:
        if self._listen is None:
            return
        self._listen = None
        self.cloud.silence()
        for user in list(self._users):
            self._forget(user)
        self._left(self)
        # The SDK takes its time; nobody waits for it longer than to be let in.
        with_limit = asyncio.wait_for(asyncio.to_thread(self.cloud.exit), 5)
        await asyncio.gather(with_limit, return_exceptions=True)

    def _entered(self) -> None:
        self._inside = True
        self._tell(RoomEntered())
        for user in list(self._users):
            self._tell(AnchorJoined(user))
        if not self._done.done():
            self._done.set_result("")

    def _error(self, error: int) -> None:
        if not self._done.done():
            self._done.set_result(sdk.words(error))
        elif error == sdk.BANNED:
            self._over(EndReason.KICKED)
        else:
            self._lose(sdk.words(error))

    def _connected(self, connected: bool) -> None:
        if not self._inside:
            return
        if not connected:
            self._lose("TRTC: the connection broke")
        elif self._lost:
            self._lost = False
            self._entered()

    def _lose(self, reason: str) -> None:
        if self._lost:
            return
        self._lost = True
        # The task gives its tracks back while it takes this, and gets the last cuts.
        self._tell(RoomLost(reason))
        for user in list(self._users):
            self._forget(user)
            self._users[user] = self._user(user)

    def _over(self, reason: EndReason) -> None:
        for user in list(self._users):
            self._gone(user, "the room ended")
        self._tell(Stopped(reason))

    def _joined(self, user: str) -> None:
        if user not in self._users:
            self._users[user] = self._user(user)
            if self._inside and not self._lost:
                self._tell(AnchorJoined(user))

    def _gone(self, user: str, reason: str) -> None:
        if user in self._users:
            self._forget(user)
            self._tell(AnchorLeft(user, reason))

    def _available(self, user: str, slot: Slot, there: bool) -> None:
        """It begins with its first frame; here it ends."""
        known = self._users.get(user)
        if known is not None and not there and known.codecs.pop(slot, None) is not None:
            known.media.set_codecs(known.codecs)
            kind, role = slot
            self._tell(TrackUnpublished(user, kind, "the anchor stopped it", role))

    def _frames(self, frames: list[CloudFrame]) -> None:
        for frame in [] if self._lost else frames:
            self._joined(frame.user)
            user, (kind, role) = self._users[frame.user], frame.slot
            codec = _CODECS[kind].get(frame.codec)
            if codec is None:
                self._refuse(frame.user, user, frame.slot)
                continue
            if user.codecs.get(frame.slot) is not codec:
                self._publish(frame.user, user, frame.slot, codec)
            ticks = frame.milliseconds * codec.clock_rate // 1000
            user.media.receive([EncodedFrame(kind, ticks, frame.data, role)])

    def _refuse(self, name: str, user: User, slot: Slot) -> None:
        """A frame of a codec that is none of ours: told once, and each is counted."""
        self._own.update(("unknown_codec", f"{PACKETS}refused"))
        if slot not in user.refused:
            user.refused.add(slot)
            kind, role = slot
            allowed = " or ".join(_CODECS[kind])
            self._tell(TrackRefused(name, kind, f"a codec that is not {allowed}", role))

    def _publish(self, name: str, user: User, slot: Slot, codec: Codec) -> None:
        kind, role = slot
        if slot in user.codecs:
            self._tell(TrackUnpublished(name, kind, "its codec changed", role))
        user.codecs[slot] = codec
        user.media.set_codecs(user.codecs)
        self._tell(TrackPublished(name, kind, role))

    def _user(self, name: str) -> User:
        return User(FrameMedia(name, {}, self._clock, self._tell, reports=False))

    def _forget(self, name: str) -> None:
        media = self._users.pop(name).media
        media.close()
        self._own += media.counters

    def _tell(self, event: Fact | TrackOutput) -> None:
        if self._listen is not None:
            self._listen(event)
