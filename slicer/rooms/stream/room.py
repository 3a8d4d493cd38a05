"""A stream as a room with one anchor: `rtmp://`, `rtsp://`, `hls://` and `flv://`, and over TLS.

The anchor is there while the stream comes. A stream that ends or breaks is a room that was lost: it
is connected to again, by growing waits, until the task leaves. A recording has an end, and so has a
live playlist that says so: after it the room is gone.
"""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from urllib.parse import SplitResult

from slicer.background import Background
from slicer.clock import Clock
from slicer.errors import RoomError
from slicer.rooms import Context, Listener, backoff
from slicer.rooms.frames import EncodedFrame, FrameMedia
from slicer.rooms.open_rooms import OpenRooms
from slicer.rooms.stream.address import StreamAddress
from slicer.rooms.stream.reader import Reader, ReaderEvents
from slicer.rooms.stream.settings import StreamSettings
from slicer.rooms.stream.tracks import Tracks
from slicer.rtp.parameters import Role
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Fact,
    RoomEntered,
    RoomLost,
    Stopped,
    TrackPublished,
)
from slicer.slicing.outputs import EndReason, Subscribe, TrackKey, TrackOutput, TrackRefused

logger = logging.getLogger(__name__)


class StreamConnector:
    """Opens streams as rooms."""

    def __init__(self, context: Context) -> None:
        self._settings, self._clock = context.stream, context.clock
        self._rooms: OpenRooms[StreamRoom] = OpenRooms()

    @property
    def connections(self) -> int:
        """Streams that come now."""
        return sum(room.connected for room in self._rooms)

    @property
    def counters(self) -> Counter[str]:
        """Of all streams and their receivers."""
        return self._rooms.counters

    def check(self, url: SplitResult) -> None:
        """Raise BadInput where this URL can never be a stream; nothing is started."""
        StreamAddress.parse(url)

    async def open(self, url: SplitResult, robot: str, listen: Listener) -> "StreamRoom":
        """Prepare; `enter` connects. Raises BadInput."""
        address = StreamAddress.parse(url)
        room = StreamRoom(address, self._settings, self._clock, listen, self._rooms.left)
        return self._rooms.add(room)

    async def close(self) -> None:
        """Leave every room."""
        await self._rooms.close()


class StreamRoom:
    """One robot's presence in one stream."""

    def __init__(
        self,
        address: StreamAddress,
        settings: StreamSettings,
        clock: Clock,
        listen: Listener,
        left: "Callable[[StreamRoom], None]",
    ) -> None:
        self._address, self._settings, self._clock = address, settings, clock
        self._listen: Listener | None = listen
        self._left = left
        self._reader: Reader | None = None
        self._media: FrameMedia | None = None
        self._finite = False
        self._entered = False
        self._ended: Counter[str] = Counter()
        self._background = Background()
        self._opened: asyncio.Future[str] | None = None

    @property
    def connected(self) -> bool:
        """Whether the stream comes."""
        return self._media is not None

    @property
    def counters(self) -> Counter[str]:
        """What all connections to the stream refused, lost or found odd, by reason."""
        total = self._ended.copy()
        for one in (self._reader, self._media):
            total += Counter() if one is None else one.counters
        return total

    async def enter(self) -> None:
        """Connect; raises RoomError where no media comes within `connect_timeout` seconds."""
        if self._listen is None:
            raise RoomError("the stream was left")
        await self._connect()

    def subscribe(self, subscribe: Subscribe) -> None:
        if self._media is not None and subscribe.track.anchor == self._address.anchor:
            self._media.attach(subscribe)

    def unsubscribe(self, track: TrackKey) -> None:
        if self._media is not None:
            self._media.detach(track)

    async def leave(self) -> None:
        self._listen = None
        if self._opened is not None:
            _settle(self._opened, "the stream was left")
        self._release()
        self._background.cancel()
        self._left(self)

    async def _connect(self) -> None:
        """Until the first facts are told. Raises RoomError."""
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._opened = done

        def opened(tracks: Tracks, finite: bool) -> None:
            if done.done():
                return  # given up in this very moment
            if self._entered and finite:
                # It has got an end since we were here; to play it again would slice it twice.
                self._over()
            else:
                self._begin(tracks, finite)
            _settle(done, "")

        def ended(reason: str) -> None:
            if done.cancelled():
                return  # given up in this very moment
            if done.done():
                self._lose(reason)
            _settle(done, reason)

        events = ReaderEvents(opened, self._frames, ended)
        self._reader = reader = Reader(self._address, self._settings, events)
        reader.start()
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                reason = await done
        except TimeoutError:
            seconds = self._settings.connect_timeout
            late = reader.refusal or f"no media within {seconds:g} s"
            reason = late if done.cancelled() else done.result()
        if reason:
            self._release()
            raise RoomError(reason)

    def _begin(self, tracks: Tracks, finite: bool) -> None:
        anchor = self._address.anchor
        codecs = {(kind, Role.MAIN): codec for kind, codec in tracks.codecs.items()}
        self._media = FrameMedia(anchor, codecs, self._clock, self._tell)
        self._finite, self._entered = finite, True
        self._tell(RoomEntered())
        self._tell(AnchorJoined(anchor))
        for kind in tracks.codecs:
            self._tell(TrackPublished(anchor, kind))
        for kind, reason in dict.fromkeys(tracks.refused):
            self._tell(TrackRefused(anchor, kind, reason))

    def _frames(self, frames: Sequence[EncodedFrame]) -> None:
        if self._media is not None:
            self._media.receive(frames)

    def _lose(self, reason: str) -> None:
        """The connection is over: the last cuts, then the facts; and connect again."""
        if self._finite:
            self._over()
            return
        # The task gives its tracks back while it takes this, and gets the last cuts.
        self._tell(RoomLost(reason))
        self._release()
        if self._listen is not None:
            self._background.start(self._reconnect())

    def _over(self) -> None:
        """The stream has come to its end."""
        media = self._media
        if media is not None:
            media.close()
            self._tell(AnchorLeft(self._address.anchor, "the stream ended"))
        self._tell(Stopped(EndReason.ROOM_GONE))
        self._release()

    async def _reconnect(self) -> None:
        failures = 0
        while self._listen is not None:
            failures += 1
            await self._clock.sleep(backoff.wait(failures, _chance()))
            try:
                await self._connect()
            except RoomError as error:
                self._ended["reconnects_failed"] += 1
                logger.info("- stream of %s: not back yet: %s", self._address.anchor, error)
                self._tell(RoomLost(str(error)))
            else:
                return

    def _release(self) -> None:
        """End the connection; what it counted is kept."""
        reader, self._reader = self._reader, None
        media, self._media = self._media, None
        if reader is not None:
            reader.stop()
            self._ended += reader.counters
        if media is not None:
            media.close()
            self._ended += media.counters

    def _tell(self, event: Fact | TrackOutput) -> None:
        if self._listen is not None:
            self._listen(event)


def _chance() -> float:
    """In [0, 1)."""
    return secrets.randbelow(1 << 16) / (1 << 16)


def _settle(done: asyncio.Future[str], reason: str) -> None:
    if not done.done():
        done.set_result(reason)
