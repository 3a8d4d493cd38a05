"""The task: which tracks to cut, from facts. It holds no media; tracks are cut where packets are.

One fact in, every output out, the timer set again; then the next fact.
"""

from collections import Counter

from slicer.rtp.parameters import Kind
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Fact,
    Modified,
    RoomEntered,
    RoomLost,
    Stopped,
    TrackPublished,
    TrackUnpublished,
)
from slicer.slicing.outputs import (
    AnchorWaiting,
    Finished,
    LeaveCode,
    Output,
    State,
    StateChanged,
    Subscribe,
    TrackKey,
    Unsubscribe,
)
from slicer.slicing.spec import AudioSpec, SliceParams, VideoSpec
from slicer.slicing.state import Trigger, follow

# More anchors than any room has; a room that names more is not believed.
MAX_PRESENT = 10_000


class SliceTask:
    """One robot's work in one room."""

    def __init__(self, name: str, params: SliceParams, now: float) -> None:
        self.name = name
        self.params = params
        self.state = State.STARTING
        self.subscription = params.subscription
        self.counters: Counter[str] = Counter()
        self._present: dict[str, set[Kind]] = {}  # in order of joining
        self._tracks: set[TrackKey] = set()
        self._waiting: set[str] = set()
        self._alone_since: float | None = now

    @property
    def tracks(self) -> frozenset[TrackKey]:
        """What is being cut now."""
        return frozenset(self._tracks)

    @property
    def anchors(self) -> tuple[str, ...]:
        """Who is in the room, in order of joining."""
        return tuple(self._present)

    def receive(self, fact: Fact, now: float) -> list[Output]:
        """Take a fact. Facts after the end, and of anchors unknown, change nothing."""
        if self.state is State.ENDED:
            return []
        match fact:
            case RoomEntered():
                return self._enter(now)
            case RoomLost():
                self._present.clear()
                return self._reconcile(now) + self._move(Trigger.LOST)
            case Stopped(code):
                return self._stop(code)
            case Modified(subscription):
                self.subscription = subscription
            case AnchorJoined(anchor):
                self._kinds(anchor)
            case AnchorLeft(anchor):
                self._present.pop(anchor, None)
            case TrackPublished(anchor, kind):
                self._kinds(anchor).add(kind)
            case TrackUnpublished(anchor, kind):
                self._present.get(anchor, set()).discard(kind)
        return self._reconcile(now)

    def handle_timer(self, now: float) -> list[Output]:
        """End the task that has been alone for too long."""
        deadline = self.deadline()
        if deadline is None or deadline > now:
            return []
        return self._stop(LeaveCode.IDLE if self.state is State.RUNNING else LeaveCode.ROOM_TIMEOUT)

    def flush(self, now: float) -> list[Output]:
        """End at once, as if its owner had said so."""
        return self.receive(Stopped(LeaveCode.STOPPED), now)

    def deadline(self) -> float | None:
        """When idling ends the task; None while there is company."""
        idle = self.params.max_idle
        if self.state is State.ENDED or self._alone_since is None or idle is None:
            return None
        return self._alone_since + idle

    def _kinds(self, anchor: str) -> set[Kind]:
        """What this anchor publishes; there is a place for it if the room is believed."""
        if anchor in self._present or len(self._present) < MAX_PRESENT:
            return self._present.setdefault(anchor, set())
        self.counters["anchors_refused"] += 1
        return set()

    def _enter(self, now: float) -> list[Output]:
        moved = self._move(Trigger.ENTERED)
        if moved and self._alone_since is not None:  # nobody could be met before
            self._alone_since = now
        return moved

    def _move(self, trigger: Trigger) -> list[Output]:
        state = follow(self.state, trigger)
        if state is self.state:
            return []
        self.state = state
        return [StateChanged(state)]

    def _stop(self, code: LeaveCode) -> list[Output]:
        """The one road out: let every track go, which cuts what there is; then it is over."""
        gone = [Unsubscribe(track) for track in sorted(self._tracks)]
        self._tracks.clear()
        self._waiting.clear()
        return [*gone, *self._move(Trigger.STOPPED), Finished(code)]

    def _reconcile(self, now: float) -> list[Output]:
        """Begin and end tracks until what is cut is what is wanted."""
        wanted, waiting = self._wanted()
        outputs: list[Output] = [
            Unsubscribe(track) for track in sorted(self._tracks - wanted.keys())
        ]
        outputs += [
            Subscribe(track, spec) for track, spec in wanted.items() if track not in self._tracks
        ]
        outputs += [AnchorWaiting(anchor) for anchor in waiting if anchor not in self._waiting]
        self._tracks, self._waiting = set(wanted), set(waiting)
        if any(self._present.values()):
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
        return outputs

    def _wanted(self) -> tuple[dict[TrackKey, AudioSpec | VideoSpec], list[str]]:
        """Present ∩ wanted, and who has to wait. Who is being cut goes on; then by joining."""
        cut_now = {track.anchor for track in self._tracks}
        wanted: dict[TrackKey, AudioSpec | VideoSpec] = {}
        taken, waiting = 0, []
        publishing = [anchor for anchor, kinds in self._present.items() if kinds]
        for anchor in sorted(publishing, key=lambda anchor: anchor not in cut_now):
            tracks = self._wanted_of(anchor)
            if taken < self.params.max_anchors:
                wanted |= tracks
                taken += bool(tracks)
            elif tracks:
                waiting.append(anchor)
        return wanted, waiting

    def _wanted_of(self, anchor: str) -> dict[TrackKey, AudioSpec | VideoSpec]:
        return {
            TrackKey(self.name, anchor, kind): spec
            for kind in sorted(self._present[anchor])
            if (spec := self.params.of(kind)) and self.subscription.wants(anchor, kind)
        }
