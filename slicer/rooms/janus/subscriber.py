"""One publisher's media: a subscriber handle of Janus, a connection, and its pauses.

Theory of operation. Janus offers, we answer (`join`, `start`), once and whenever the streams
change. What is wanted changes at any time, by the task and by the publisher; a message to Janus
takes a while. So nothing is sent where something changes: that wakes the one coroutine that talks
to Janus, and it does what is to be done by then, one thing after the other. What all tracks need
together is asked for in one message.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from slicer.background import Background
from slicer.clock import Clock
from slicer.errors import BadInput, RoomError
from slicer.rooms.janus.layers import height_of
from slicer.rooms.janus.messages import (
    Feed,
    Id,
    Message,
    OfferedStream,
    offer,
    offered_streams,
    plugin_data,
)
from slicer.rooms.janus.session import Handle, Session
from slicer.rooms.janus.streams import FeedStream
from slicer.rooms.janus.video import Video
from slicer.rooms.pause import resume_at
from slicer.rooms.silence import MediaSilence
from slicer.rooms.trouble import Watch
from slicer.rtp.parameters import Kind, Role, RtpParameters, Slot
from slicer.slicing.keyframe_requests import RequestsOf
from slicer.slicing.outputs import AnchorTrouble, PictureCut, Subscribe, TrackKey, TrackOutput
from slicer.slicing.spec import VideoSpec
from slicer.webrtc.connection import Connection, Events, Network
from slicer.webrtc.path import MediaPath
from slicer.webrtc.profile import Profile

PROFILE = Profile(sections=dict.fromkeys(Kind, len(Role)))


@dataclass(frozen=True, slots=True)
class Presence:
    """Our being in a room: what a subscription to one of its publishers has to say."""

    session: Session
    room: Id
    pin: str
    private_id: int | None

    def join(self, feed: Id, mids: list[str]) -> dict[str, object]:
        """The request for these streams of a feed."""
        body: dict[str, object] = {"request": "join", "ptype": "subscriber", "room": self.room}
        body["streams"] = [{"feed": feed, "mid": mid} for mid in mids]
        if self.pin:
            body["pin"] = self.pin
        if self.private_id is not None:
            body["private_id"] = self.private_id
        return body


@dataclass(frozen=True, slots=True)
class Media:
    """What media needs on our side. *pause*: whether video is paused between pictures.
    *requests_of*: those for keyframes to the room's anchors, of all tasks."""

    path: MediaPath
    network: Network
    clock: Clock
    pause: bool
    requests_of: RequestsOf


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a subscription ended. *refused*: another try would end in the same way."""

    reason: str
    refused: bool = False


class Subscriber:
    """From the first subscription to the end. *ended* is called once, unless we close it; the last
    cuts come before it."""

    def __init__(
        self,
        feed: Feed,
        presence: Presence,
        media: Media,
        deliver: Callable[[TrackOutput], None],
        ended: "Callable[[Subscriber, Ended], None]",
    ) -> None:
        self.feed = feed
        self._presence, self._clock, self._pauses = presence, media.clock, media.pause
        self._listen, self._ended = deliver, ended
        self._media = media.path.open(self._deliver, media.requests_of)
        events = Events(lambda: None, lambda reason: self._end(Ended(reason)))
        self._connection = Connection(media.network, self._media, events, PROFILE)
        self._tracks: dict[TrackKey, Subscribe] = {}
        self._attached: set[TrackKey] = set()
        self._handle: Handle | None = None
        self._asked: Mapping[Slot, FeedStream] = {}
        self._offered: list[OfferedStream] = []
        self._offer: str | None = None
        self._sections: tuple[RtpParameters, ...] = ()
        self._wake = asyncio.Event()
        slots = [(Kind.VIDEO, role) for role in Role]
        self._videos = {
            slot: Video(media.clock, self._changed, media.requests_of(feed.anchor, slot))
            for slot in slots
        }
        self._watch, self._silence = Watch(), MediaSilence(feed.anchor, media.network.silence)
        self._muted: Collection[Slot] = ()
        self._over = False
        self._background = Background()
        self._talking: asyncio.Task[None] | None = self._background.start(self._talk())

    @property
    def counters(self) -> Counter[str]:
        """What its connection and its media refused, lost or found odd, by reason."""
        return self._media.counters + self._connection.counters + self._silence.counters

    @property
    def idle(self) -> bool:
        """Whether no track is wanted of it."""
        return not self._tracks

    def subscribe(self, subscribe: Subscribe) -> None:
        """Cut a track, as soon as it comes."""
        self._tracks[subscribe.track] = subscribe
        if isinstance(subscribe.spec, VideoSpec):
            self._videos[subscribe.track.slot].layers.height = subscribe.spec.max_height
            self._videos[subscribe.track.slot].flow()
        self._attach()
        self._wake.set()

    def unsubscribe(self, track: TrackKey) -> None:
        """Deliver the track's last cut and release it."""
        if self._tracks.pop(track, None) is not None and track in self._attached:
            self._attached.discard(track)
            self._media.detach(track)
        self._expect()
        self._wake.set()

    def mute(self, slots: Collection[Slot]) -> None:
        """Those tracks, and no others, are muted by the room's moderators."""
        self._muted = slots
        self._expect()

    def replace(self, feed: Feed) -> None:
        """The publisher sends other streams than before."""
        self.feed = feed
        self._wake.set()

    def troubles(self, now: float) -> list[AnchorTrouble]:
        """What a user must know of its media since the last look."""
        rose = self._watch.look(self.counters, now)
        risen = [AnchorTrouble(self.feed.anchor, reason, count) for reason, count in rose]
        media = self._media.media_heard(self.feed.anchor)
        return risen + self._silence.look(media, self._media.heard)

    async def close(self) -> None:
        """End it; no cut follows."""
        self._tracks.clear()
        self._release()
        await self._background.wait()

    async def _talk(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._step()
        except BadInput as error:
            self._end(Ended(f"its offer cannot be taken: {error}", refused=True))
        except RoomError as error:
            self._end(Ended(str(error)))

    async def _step(self) -> None:
        """Do what is to be done by now. Raises RoomError, BadInput."""
        wanted = self._wanted()
        if self._handle is None and wanted:
            self._asked = wanted
            self._handle = await self._presence.session.attach(self._on_message)
            mids = [stream.mid for stream in wanted.values()]
            await self._handle.message(self._presence.join(self.feed.id, mids))
        if self._handle is None:
            return
        if self._offer is not None:
            await self._answer(self._handle, self._offer)
        if wanted != self._asked:
            await self._change(self._handle, wanted)
        for slot, video in self._videos.items():
            for how in video.requests():
                await self._configure(self._handle, slot, how)

    def _wanted(self) -> dict[Slot, FeedStream]:
        slots = {track.slot for track in self._tracks}
        return {slot: stream for slot, stream in self.feed.streams.items() if slot in slots}

    async def _answer(self, handle: Handle, sdp: str) -> None:
        self._offer = None
        answer = await self._connection.answer(sdp)
        self._sections = self._with_roles(self._connection.streams)
        self._media.set_sections(self.feed.anchor, self._sections)
        self._attached = {track for track in self._attached if track.slot in self._slots}
        self._attach()
        await handle.message({"request": "start"}, answer)

    def _with_roles(self, sections: Iterable[RtpParameters]) -> tuple[RtpParameters, ...]:
        """The m-lines, each in the role of the feed's stream that comes by it."""
        feed_mids = {one.mid: one.feed_mid for one in self._offered}
        known = (*self.feed.streams.values(), *self._asked.values())
        roles = {one.mid: one.role for one in known}
        return tuple(
            replace(one, role=roles.get(feed_mids.get(one.mid, ""), Role.MAIN)) for one in sections
        )

    async def _change(self, handle: Handle, wanted: Mapping[Slot, FeedStream]) -> None:
        """Have Janus send these streams; it offers anew."""
        before, self._asked = self._asked, wanted
        mids = {one.feed_mid: one.mid for one in self._offered if one.feed_mid}
        gone = [stream.mid for slot, stream in before.items() if wanted.get(slot) != stream]
        if stopped := [{"sub_mid": mids[mid]} for mid in gone if mid in mids]:
            await handle.message({"request": "unsubscribe", "streams": stopped})
        new = [stream.mid for slot, stream in wanted.items() if before.get(slot) != stream]
        for slot, video in self._videos.items():
            if wanted.get(slot) != before.get(slot):
                video.replaced()
        if added := [{"feed": self.feed.id, "mid": mid} for mid in new]:
            await handle.message({"request": "subscribe", "streams": added})

    async def _configure(self, handle: Handle, slot: Slot, how: Mapping[str, object]) -> None:
        """Pause a video, resume it, or take another substream of it."""
        video = self._asked.get(slot)
        mids = [one.mid for one in self._offered if video and one.feed_mid == video.mid]
        if streams := [{"mid": mid, **how} for mid in mids]:
            await handle.message({"request": "configure", "streams": streams})

    @property
    def _slots(self) -> set[Slot]:
        return {section.slot for section in self._sections}

    def _attach(self) -> None:
        """Cut what is wanted and comes by now."""
        for track, subscribe in self._tracks.items():
            if track not in self._attached and track.slot in self._slots:
                self._attached.add(track)
                self._media.attach(subscribe)
        self._expect()

    def _expect(self) -> None:
        """Note whether media should come."""
        paused = {slot for slot, video in self._videos.items() if video.paused}
        flowing = {track.slot for track in self._attached}.difference(self._muted, paused)
        self._silence.expect(bool(flowing), self._clock.now())

    def _changed(self) -> None:
        """A video is to be paused or resumed."""
        self._expect()
        self._wake.set()

    def _deliver(self, cut: TrackOutput) -> None:
        subscribe = self._tracks.get(cut.track)
        if isinstance(cut, PictureCut) and subscribe and isinstance(subscribe.spec, VideoSpec):
            now = self._clock.now()
            video = self._videos[cut.track.slot]
            video.layers.measured(height_of(cut))
            until = resume_at(cut, subscribe.spec, now)
            if until is not None and self._pauses and not video.shared:
                video.pause(until, subscribe.spec.asks_every)
            else:
                video.flow()
        self._listen(cut)

    def _on_message(self, message: Message) -> None:
        """Take a message to the handle; one that cannot be read ends this subscription alone."""
        try:
            self._take(message)
        except RoomError as error:
            self._end(Ended(str(error)))

    def _take(self, message: Message) -> None:
        match message["janus"]:
            case "event":
                data = plugin_data(message)
                if data.get("videoroom") in {"attached", "updated"} and "streams" in data:
                    self._offered = offered_streams(data)
                self._offer = offer(message) or self._offer
                self._layer_told(data)
                self._wake.set()
            case "trickle":
                self._trickle(message.get("candidate"))
            case "hangup":
                self._end(Ended(f"Janus hung up: {str(message.get('reason'))[:80]}"))
            case "detached":
                self._end(Ended("Janus ended the subscription"))

    def _layer_told(self, data: Message) -> None:
        """Janus may say which substream of one of our m-lines it has come to."""
        feed_mids = {one.feed_mid for one in self._offered if one.mid == data.get("mid")}
        for slot, stream in self._asked.items():
            if slot in self._videos and stream.mid in feed_mids:
                self._videos[slot].layers.told(data.get("substream"))

    def _trickle(self, candidate: object) -> None:
        line = candidate.get("candidate") if isinstance(candidate, Mapping) else None
        if isinstance(line, str):
            self._background.start(self._add_candidate(line))

    async def _add_candidate(self, line: str) -> None:
        try:
            await self._connection.add_candidates(f"a={line}\r\n")
        except BadInput as error:
            self._end(Ended(str(error)))

    def _end(self, ended: Ended) -> None:
        if not self._over:
            self._media.close()
            self._release()
            self._ended(self, ended)

    def _release(self) -> None:
        """Talk no more, and let everything go."""
        if self._over:
            return
        self._over = True
        for video in self._videos.values():
            video.end()
        # Once it is cancelled it keeps its error, and so the frames that hold us.
        talking, self._talking = self._talking, None
        if talking is not None:
            talking.cancel()
        self._background.start(self._let_go())

    async def _let_go(self) -> None:
        await self._connection.close()
        if self._handle is not None:
            await self._handle.detach()
