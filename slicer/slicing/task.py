"""The task: decides from facts which tracks to cut. It holds no media; a Bundle cuts the tracks.

One fact in, every output out, the timer set again; then the next fact.
"""

from collections import Counter

from slicer.rtp.parameters import Slot
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
    AnchorDropped,
    AnchorTrouble,
    AnchorWaits,
    EndReason,
    Finished,
    Output,
    State,
    StateChanged,
    Subscribe,
    TrackKey,
    TrackRefused,
    Unsubscribe,
)
from slicer.slicing.spec import AudioSpec, SliceParams, VideoSpec
from slicer.slicing.state import Trigger, follow

# More anchors than any real room has; further ones are left out.
MAX_PRESENT = 10_000
_AUX_LEFT_OUT = "auxiliary tracks are left out: aux is false"


class SliceTask:
    """One robot's work in one room."""

    def __init__(self, name: str, params: SliceParams, now: float) -> None:
        self.name = name
        self.params = params
        self.state = State.STARTING
        self.subscription = params.subscription
        self.counters: Counter[str] = Counter()
        self._present: dict[str, set[Slot]] = {}  # in order of joining
        self._tracks: set[TrackKey] = set()
        self._waiting: set[str] = set()
        self._overflow_reported = False  # that there are more than MAX_PRESENT
        self._alone_since: float | None = now

    @property
    def tracks(self) -> frozenset[TrackKey]:
        """What is being cut now."""
        return frozenset(self._tracks)

    @property
    def anchors(self) -> tuple[str, ...]:
        """Who is in the room, in order of joining."""
        return tuple(self._present)

    def receive(self, fact: Fact, now: float) -> list[Output]:  # noqa: PLR0911 (one a fact)
        """Take a fact. Facts after the end, and of anchors unknown, change nothing."""
        if self.state is State.ENDED:
            return []
        match fact:
            case RoomEntered():
                return self._enter(now)
            case RoomLost(reason):
                return self._lose(reason, now)
            case Stopped(end):
                return self._stop(end)
            case TrackRefused():
                self.counters["tracks_refused"] += 1
                return [fact]
            case AnchorTrouble():
                return [fact]
            case Modified(subscription):
                self.subscription = subscription
                return self._reconcile(now, "the lists do not want it any more")
            case AnchorLeft(anchor, reason):
                return self._part(anchor, reason, now)
            case AnchorJoined(anchor):
                return self._admit(anchor)
            case TrackPublished():
                return self._publish(fact, now)
            case TrackUnpublished(anchor, kind, reason, role):
                self._present.get(anchor, set()).discard((kind, role))
                return self._reconcile(now, reason or "the anchor took it away")

    def handle_timer(self, now: float) -> list[Output]:
        """End the task that has been alone for too long."""
        deadline = self.deadline()
        if deadline is None or deadline > now:
            return []
        return self._stop(
            EndReason.IDLE if self.state is State.RUNNING else EndReason.ROOM_UNREACHABLE
        )

    def flush(self, now: float) -> list[Output]:
        """End at once, as if the owner had stopped it."""
        return self.receive(Stopped(EndReason.STOPPED), now)

    def deadline(self) -> float | None:
        """When idling ends the task; None while anybody publishes."""
        idle = self.params.max_idle
        if self.state is State.ENDED or self._alone_since is None or idle is None:
            return None
        return self._alone_since + idle

    def _admit(self, anchor: str) -> list[Output]:
        """Take the anchor in, up to MAX_PRESENT of them."""
        if anchor in self._present or len(self._present) < MAX_PRESENT:
            self._present.setdefault(anchor, set())
            return []
        self.counters["anchors_refused"] += 1
        if self._overflow_reported:
            return []
        self._overflow_reported = True
        return [AnchorDropped(anchor, f"{MAX_PRESENT} anchors are in the room already")]

    def _publish(self, fact: TrackPublished, now: float) -> list[Output]:
        anchor, slot = fact.anchor, (fact.kind, fact.role)
        outputs = self._admit(anchor)
        present = self._present.get(anchor, {slot})
        if slot not in present and self._leaves_out(anchor, slot):
            self.counters["tracks_refused"] += 1
            outputs.append(TrackRefused(anchor, fact.kind, _AUX_LEFT_OUT, fact.role))
        present.add(slot)
        return outputs + self._reconcile(now)

    def _leaves_out(self, anchor: str, slot: Slot) -> bool:
        """Whether nothing but its role keeps a track from being cut."""
        kind, role = slot
        wanted = self.params.of(kind) is not None and self.subscription.wants(anchor, kind)
        return wanted and self.params.of(kind, role) is None

    def _part(self, anchor: str, reason: str, now: float) -> list[Output]:
        if self._present.pop(anchor, None) is None:
            return []
        self._overflow_reported = False
        ended = self._reconcile(now, reason or "the anchor left")
        return [*ended, AnchorLeft(anchor, reason)]

    def _lose(self, reason: str, now: float) -> list[Output]:
        """Everybody is gone until the room is back and reports them again."""
        self._present.clear()
        self._overflow_reported = False
        ended = self._reconcile(now, f"the room was lost: {reason}")
        changed = self._move(Trigger.LOST, reason)
        if changed and self._alone_since is not None:  # the whole of `max_idle` to come back
            self._alone_since = now
        return ended + changed

    def _enter(self, now: float) -> list[Output]:
        changed = self._move(Trigger.ENTERED)
        if changed and self._alone_since is not None:  # nobody could be seen before
            self._alone_since = now
        return changed

    def _move(self, trigger: Trigger, reason: str = "") -> list[Output]:
        state = follow(self.state, trigger)
        if state is self.state:
            return []
        self.state = state
        return [StateChanged(state, reason)]

    def _stop(self, reason: EndReason) -> list[Output]:
        """End: release every track, which gives its last cut, then finish."""
        why = f"the task ended: {reason}"
        gone = [Unsubscribe(track, why) for track in sorted(self._tracks)]
        self._tracks.clear()
        self._waiting.clear()
        return [*gone, *self._move(Trigger.STOPPED), Finished(reason)]

    def _reconcile(self, now: float, why: str = "") -> list[Output]:
        """Begin and end tracks until what is cut is what is wanted. *why*: the reason of an end."""
        wanted, waiting = self._wanted()
        outputs: list[Output] = [
            Unsubscribe(track, why) for track in sorted(self._tracks - wanted.keys())
        ]
        outputs += [
            Subscribe(track, spec) for track, spec in wanted.items() if track not in self._tracks
        ]
        outputs += [AnchorWaits(anchor) for anchor in waiting if anchor not in self._waiting]
        self._tracks, self._waiting = set(wanted), set(waiting)
        if any(self._present.values()):
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
        return outputs

    def _wanted(self) -> tuple[dict[TrackKey, AudioSpec | VideoSpec], list[str]]:
        """Present ∩ wanted, and the anchors that wait. Those cut now go first, then by joining."""
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
            TrackKey(self.name, anchor, kind, role): spec
            for kind, role in sorted(self._present[anchor])
            if (spec := self.params.of(kind, role)) and self.subscription.wants(anchor, kind)
        }
