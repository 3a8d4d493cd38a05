"""A capture as a room: its anchors join, publish and leave as they did when it was recorded."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from urllib.parse import SplitResult

from slicer.clock import Clock
from slicer.hot import Bundle
from slicer.rooms import Context, Listener, Pace
from slicer.rooms.open_rooms import OpenRooms
from slicer.rooms.replay.capture import Capture, Captured, Elapsed
from slicer.rooms.replay.decryption import Decryption
from slicer.rooms.replay.recording import ENCRYPTED, Recording, payload_type
from slicer.rooms.replay.source import Source
from slicer.rooms.trouble import Watch
from slicer.rtp import rtcp
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Fact,
    RoomEntered,
    Stopped,
    TrackPublished,
)
from slicer.slicing.outputs import (
    AnchorTrouble,
    EndReason,
    Subscribe,
    TrackKey,
    TrackOutput,
    TrackRefused,
    Transmit,
)
from slicer.webrtc.counts import PACKETS

TICK = 0.01
"""Packets captured within this many seconds are given to a bundle together."""
LEAST_STEP = 0.001
"""Seconds by which each timer moves the time on."""
QUIET = 60.0
"""Seconds without a packet after which no timer gives a cut: slices end after 30 s, and names wait
10 s at most. The rest of a gap is passed at once, for a capture may be gaps alone."""
BATCHES_A_TURN = 16
"""Batches given at full speed before the loop has a turn; about a millisecond of work."""
_REFUSED = ("encrypted",)
_OTHERS = ("unknown payload type", "nobody's", "stun", "dtls", "other")

logger = logging.getLogger(__name__)


class ReplayConnector:
    """Opens captures as rooms: `replay:///file?speed=max`."""

    def __init__(self, context: Context) -> None:
        self._clock, self._pace = context.clock, context.pace
        self._rooms: OpenRooms[ReplayRoom] = OpenRooms()
        self.account: Counter[str] = Counter()
        """What the captures opened so far hold, by name (see docs/captures.md)."""

    @property
    def connections(self) -> int:
        """Captures that play."""
        return len(self._rooms)

    @property
    def counters(self) -> Counter[str]:
        """Of all captures and their bundles."""
        return self._rooms.counters

    def check(self, url: SplitResult) -> None:
        """Raise BadInput where the options, the file or its .sdp cannot be read."""
        source = Source.parse(url)
        source.streams()
        source.read_keys()
        with source.open() as file:
            Capture(file)

    async def open(self, url: SplitResult, robot: str, listen: Listener) -> "ReplayRoom":
        """Look through the file. Raises BadInput, and RoomError where there is nobody in it."""
        recording = await asyncio.to_thread(Recording.survey, Source.parse(url), self.account)
        room = ReplayRoom(recording, self._clock, self._pace, listen, self._rooms.left)
        return self._rooms.add(room)

    async def close(self) -> None:
        """Nothing is shared."""


class ReplayRoom:
    """One capture while it plays.

    *now*, as bundles and cuts see it, is the capture's own time at any speed. It is placed so that
    the clock's wall time for it is the time of capture, where the file has one: then the cuts and
    their names depend on the file alone, and not on how fast it plays. At the end everyone leaves,
    and the room ends.
    """

    def __init__(
        self,
        recording: Recording,
        clock: Clock,
        pace: Pace,
        listen: Listener,
        left: "Callable[[ReplayRoom], None]",
    ) -> None:
        self._left = left
        self._recording, self._clock, self._pace = recording, clock, pace
        self._listen: Listener | None = listen
        self._bundles: dict[str, Bundle] = {}
        self._published: set[tuple[str, Kind]] = set()
        self._origin = self._now = 0.0
        self._started = 0.0
        self._unyielded = 0
        self._player: asyncio.Task[None] | None = None
        self._passed_over: Counter[str] = Counter()
        self._given = 0

    @property
    def counters(self) -> Counter[str]:
        """What the capture and its bundles passed over, by reason; and packets by fate."""
        passed = self._passed_over
        fates = {
            f"{PACKETS}media": self._given,
            f"{PACKETS}refused": sum(passed[reason] for reason in _REFUSED),
            f"{PACKETS}other": sum(passed[reason] for reason in _OTHERS),
        }
        return sum((bundle.counters for bundle in self._bundles.values()), passed + Counter(fates))

    async def enter(self) -> None:
        """Start to play."""
        self._started = self._clock.now()
        self._origin = self._now = self._beginning()
        self._tell(RoomEntered())
        for anchor, kind in self._recording.refused:
            self._tell(TrackRefused(anchor, kind, ENCRYPTED))
        self._player = asyncio.create_task(self._play())

    def subscribe(self, subscribe: Subscribe) -> None:
        """Cut this track from the packet on that comes next."""
        bundle = self._bundles.get(subscribe.track.anchor)
        if bundle is not None:
            self._dispatch(bundle.attach(subscribe.track, subscribe.spec, self._now))

    def unsubscribe(self, track: TrackKey) -> None:
        """Hand over the track's last cut."""
        bundle = self._bundles.get(track.anchor)
        if bundle is not None:
            self._dispatch(bundle.detach(track, self._now))

    async def leave(self) -> None:
        """Stop playing; what is held is dropped."""
        self._listen = None
        if self._player is not None and self._player is not asyncio.current_task():
            self._player.cancel()
            await asyncio.wait([self._player])
        self._left(self)

    def _beginning(self) -> float:
        """The *now* of the capture's start.

        Where the file does not say it, or says a time to come, it is such that the capture ends at
        the moment at which it will have been played: no slice is named in the future.
        """
        seconds, speed = self._recording.seconds, self._recording.source.speed
        recorded = self._recording.began - self._clock.wall(0.0).timestamp()
        if self._recording.began > 0 and recorded + seconds <= self._started:
            return recorded
        return self._started - max(0.0, seconds - seconds / speed)

    async def _play(self) -> None:
        try:
            with self._recording.source.open() as file:
                decryption = Decryption(self._recording.keys, self._recording.opened)
                capture = Capture(file, decryption.on_dtls, decryption.add_log)
                for when, batch in batches(decryption.opened(capture)):
                    await self._advance(self._origin + when)
                    self._feed(batch)
            self._passed_over.update(capture.counters + decryption.counters)
            self._end()
        except Exception:
            logger.exception("replay of %s broke off", self._recording.source.path.name)
            self._tell(Stopped(EndReason.ROOM_GONE))
        if self._passed_over:
            name = self._recording.source.path.name
            logger.info("replay of %s passed over %s", name, dict(self._passed_over))

    async def _advance(self, until: float) -> None:
        """Let capture time pass up to *until*, with every timer that matters on the way."""
        quiet = self._now + QUIET
        while (due := self._deadline()) < min(until, quiet):
            await self._wait(due)
            self._now = due
            for bundle in self._bundles.values():
                deadline = bundle.deadline()
                if deadline is not None and deadline <= due:
                    self._dispatch(bundle.handle_timer(due))
        await self._wait(until)
        self._now = until

    def _deadline(self) -> float:
        """The next timer; always later than now, so that time goes on."""
        deadlines = (bundle.deadline() for bundle in self._bundles.values())
        due = min((deadline for deadline in deadlines if deadline is not None), default=math.inf)
        return max(due, self._now + LEAST_STEP)

    async def _wait(self, moment: float) -> None:
        """Wait until this capture time is reached at our speed, and until cuts are taken again."""
        when = self._started + (moment - self._origin) / self._recording.source.speed
        if when > self._clock.now():
            await self._clock.sleep(when - self._clock.now())
        else:
            self._unyielded = (self._unyielded + 1) % BATCHES_A_TURN
            if not self._unyielded:
                await asyncio.sleep(0)
        await self._pace()

    def _feed(self, batch: Sequence[Captured]) -> None:
        """Give each anchor its datagrams; the first ones are facts before that."""
        datagrams: dict[str, list[bytes]] = {}
        for captured in batch:
            control = rtcp.is_rtcp(captured.data)
            kind = None if control else self._recording.kinds.get(payload_type(captured))
            anchor = self._recording.owner(captured, control=control)
            if not control and kind is None:
                self._passed_over["unknown payload type"] += 1
            elif anchor is None:
                hidden = not control and self._recording.is_encrypted(captured)
                self._passed_over["encrypted" if hidden else "nobody's"] += 1
            else:
                datagrams.setdefault(anchor, []).append(captured.data)
                if kind is not None:
                    self._publish(anchor, kind)
        for anchor, theirs in datagrams.items():
            if anchor in self._bundles:
                self._given += len(theirs)
                self._dispatch(self._bundles[anchor].receive(theirs, self._now))

    def _publish(self, anchor: str, kind: Kind) -> None:
        if anchor not in self._bundles:
            # Nobody receives our reports, so any SSRC will do.
            bundle = self._bundles[anchor] = Bundle(ssrc=1)
            bundle.set_sections(anchor, self._recording.streams, self._now)
            self._tell(AnchorJoined(anchor))
        if (anchor, kind) not in self._published:
            self._published.add((anchor, kind))
            self._tell(TrackPublished(anchor, kind))

    def _end(self) -> None:
        for anchor, bundle in self._bundles.items():
            self._dispatch(bundle.flush(self._now))
            for words, count in Watch().look(bundle.counters, self._now):
                self._tell(AnchorTrouble(anchor, words, count))
            self._tell(AnchorLeft(anchor, "the capture is over"))
        self._tell(Stopped(EndReason.ROOM_GONE))

    def _dispatch(self, outputs: Sequence[TrackOutput | Transmit]) -> None:
        for output in outputs:
            if not isinstance(output, Transmit):
                self._tell(output)

    def _tell(self, event: Fact | TrackOutput) -> None:
        if self._listen is not None:
            self._listen(event)


def batches(captured: Iterable[Captured]) -> Iterator[tuple[float, list[Captured]]]:
    """Group datagrams by TICK. The time of a batch, its last datagram's, never steps back."""
    batch: list[Captured] = []
    elapsed = Elapsed()
    now = began = 0.0
    for one in captured:
        reached = elapsed.reach(one.seconds)
        if batch and reached - began > TICK:
            yield now, batch
            batch = []
        if not batch:
            began = reached
        now = reached
        batch.append(one)
    if batch:
        yield now, batch
