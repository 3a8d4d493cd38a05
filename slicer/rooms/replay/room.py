"""A capture as a room: its anchors join, are heard and seen, and leave; nothing is sent."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import SplitResult

from slicer.clock import Clock
from slicer.hot import Receiver
from slicer.rooms import Context, Listener, Pace
from slicer.rooms.replay.capture import Capture, Captured, Protocol, protocol
from slicer.rooms.replay.recording import Recording, Source, payload_type
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorJoined, AnchorLeft, RoomEntered, Stopped, TrackPublished
from slicer.slicing.outputs import Cut, LeaveCode, Subscribe, TrackKey, Transmit

TICK = 0.01
"""Packets captured within this many seconds are given to a receiver together."""
LONGEST_GAP = 3_600.0
"""Seconds without a packet that are believed; a longer gap is a step of the capturing clock."""
LEAST_STEP = 0.001
AT_A_STRETCH = 16
"""Batches given at full speed before the loop has a turn; about a millisecond of work."""

logger = logging.getLogger(__name__)


class ReplayConnector:
    """Opens captures as rooms: `replay:///file?speed=max`."""

    def __init__(self, context: Context) -> None:
        self._clock, self._pace = context.clock, context.pace

    def check(self, url: SplitResult) -> None:
        """Raise BadInput where the options, the file or its .sdp cannot be read."""
        source = Source.parse(url)
        source.streams()
        with source.open() as file:
            Capture(file)

    async def open(self, url: SplitResult, robot: str, listen: Listener) -> "ReplayRoom":
        """Look through the file. Raises BadInput, and RoomError where there is nobody in it."""
        recording = await asyncio.to_thread(Recording.survey, Source.parse(url))
        return ReplayRoom(recording, self._clock, self._pace, listen)

    async def close(self) -> None:
        """Nothing is shared."""


class ReplayRoom:
    """One capture while it plays.

    *now*, as receivers and cuts see it, is the capture's own time at any speed, placed so that the
    clock's wall time for it is when the packets were captured (where the file says when): what is
    cut, and its names, depend on the file alone. At the end everyone leaves and the room is
    dismissed.
    """

    def __init__(self, recording: Recording, clock: Clock, pace: Pace, listen: Listener) -> None:
        self._recording, self._clock, self._pace = recording, clock, pace
        self._listen: Listener | None = listen
        self._receivers: dict[str, Receiver] = {}
        self._published: set[tuple[str, Kind]] = set()
        self._origin = self._now = 0.0
        self._started = 0.0
        self._stretch = 0
        self._player: asyncio.Task[None] | None = None
        self.counters: Counter[str] = Counter()

    async def enter(self) -> None:
        """Start to play."""
        self._started = self._clock.now()
        known = self._recording.began - self._clock.wall(0.0).timestamp()
        self._origin = self._now = known if self._recording.began else self._started
        self._tell(RoomEntered())
        self._player = asyncio.create_task(self._play())

    def subscribe(self, subscribe: Subscribe) -> None:
        """Cut this track from the packet on that comes next."""
        receiver = self._receivers.get(subscribe.track.anchor)
        if receiver is not None:
            self._dispatch(receiver.attach(subscribe.track, subscribe.spec, self._now))

    def unsubscribe(self, track: TrackKey) -> None:
        """Hand over the track's last cut."""
        receiver = self._receivers.get(track.anchor)
        if receiver is not None:
            self._dispatch(receiver.detach(track, self._now))

    async def leave(self) -> None:
        """Stop playing; what is held is dropped."""
        self._listen = None
        if self._player is not None and self._player is not asyncio.current_task():
            self._player.cancel()
            await asyncio.wait([self._player])

    async def _play(self) -> None:
        try:
            with self._recording.source.open() as file:
                capture = Capture(file)
                for when, batch in batches(capture):
                    await self._advance(self._origin + when)
                    self._feed(batch)
            self.counters.update(capture.counters)
            self._end()
        except Exception:
            logger.exception("replay of %s broke off", self._recording.source.path.name)
            self._tell(Stopped(LeaveCode.DISMISSED_BY_SERVER))
        if self.counters:
            name = self._recording.source.path.name
            logger.info("x replay of %s passed over %s", name, dict(self.counters))

    async def _advance(self, until: float) -> None:
        """Let capture time pass up to *until*, with every timer that is due on the way."""
        while (due := self._deadline()) < until:
            await self._wait(due)
            self._now = due
            for receiver in self._receivers.values():
                deadline = receiver.deadline()
                if deadline is not None and deadline <= due:
                    self._dispatch(receiver.handle_timer(due))
        await self._wait(until)
        self._now = until

    def _deadline(self) -> float:
        """The next timer; never the present, so that time goes on."""
        deadlines = (receiver.deadline() for receiver in self._receivers.values())
        due = min((deadline for deadline in deadlines if deadline is not None), default=math.inf)
        return max(due, self._now + LEAST_STEP)

    async def _wait(self, moment: float) -> None:
        """Until this capture time is reached at our speed, and until cuts are welcome."""
        when = self._started + (moment - self._origin) / self._recording.source.speed
        if when > self._clock.now():
            reached = asyncio.Event()
            timer = self._clock.call_at(when, reached.set)
            try:
                await reached.wait()
            finally:
                timer.cancel()
        else:
            self._stretch = (self._stretch + 1) % AT_A_STRETCH
            if not self._stretch:
                await asyncio.sleep(0)
        await self._pace()

    def _feed(self, batch: Sequence[Captured]) -> None:
        """Give each anchor its datagrams, after the facts that its first ones are."""
        datagrams: dict[str, list[bytes]] = {}
        for captured in batch:
            anchor = self._recording.anchors.get(captured.flow)
            if anchor is None:
                self.counters["nobody's"] += 1
            elif protocol(captured.data) is Protocol.RTCP:
                datagrams.setdefault(anchor, []).append(captured.data)
            elif kind := self._recording.kinds.get(payload_type(captured)):
                datagrams.setdefault(anchor, []).append(captured.data)
                self._publish(anchor, kind)
            else:
                self.counters["unknown payload type"] += 1
        for anchor, theirs in datagrams.items():
            if anchor in self._receivers:
                self._dispatch(self._receivers[anchor].receive(theirs, self._now))

    def _publish(self, anchor: str, kind: Kind) -> None:
        if anchor not in self._receivers:
            # No one gets our reports, so any SSRC will do for them.
            self._receivers[anchor] = Receiver(anchor, self._recording.streams, ssrc=1)
            self._tell(AnchorJoined(anchor))
        if (anchor, kind) not in self._published:
            self._published.add((anchor, kind))
            self._tell(TrackPublished(anchor, kind))

    def _end(self) -> None:
        for anchor, receiver in self._receivers.items():
            self._dispatch(receiver.flush(self._now))
            self._tell(AnchorLeft(anchor))
        self._tell(Stopped(LeaveCode.DISMISSED_BY_SERVER))

    def _dispatch(self, outputs: Sequence[Cut | Transmit]) -> None:
        for output in outputs:
            if not isinstance(output, Transmit):
                self._tell(output)

    def _tell(self, told: "Told") -> None:
        if self._listen is not None:
            self._listen(told)


Told = RoomEntered | AnchorJoined | TrackPublished | AnchorLeft | Stopped | Cut


def batches(captured: Iterable[Captured]) -> Iterator[tuple[float, list[Captured]]]:
    """Group datagrams by TICK. The time of a batch, its last datagram's, never steps back.

    What a clock that was set while capturing did to the times is undone: a step back, and a gap
    longer than LONGEST_GAP, become no time at all.
    """
    batch: list[Captured] = []
    now, before, began = 0.0, 0.0, 0.0
    for one in captured:
        step = one.seconds - before
        before = one.seconds
        reached = now + (step if 0 <= step <= LONGEST_GAP else 0.0)
        if batch and reached - began > TICK:
            yield now, batch
            batch = []
        if not batch:
            began = reached
        now = reached
        batch.append(one)
    if batch:
        yield now, batch
