"""The task: decides from facts which tracks to cut. It holds no media; a Bundle cuts the tracks.

One fact in, every output out, the timer set again; then the next fact.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

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
Tracks = dict[TrackKey, AudioSpec | VideoSpec]
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
        self._cut: dict[str, Tracks] = {}  # by anchor
        self._waiting: set[str] = set()
        self._overflow_reported = False  # that there are more than MAX_PRESENT
        self._alone_since: float | None = now

    @property
    def tracks(self) -> frozenset[TrackKey]:
        """What is being cut now."""
        return frozenset(track for tracks in self._cut.values() for track in tracks)

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
                return self._reconcile(now, reason or "the anchor took it away", [anchor])

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
        return outputs + self._reconcile(now, changed=[anchor])

    def _leaves_out(self, anchor: str, slot: Slot) -> bool:
        """Whether nothing but its role keeps a track from being cut."""
        kind, role = slot
        wanted = self.params.of(kind) is not None and self.subscription.wants(anchor, kind)
        return wanted and self.params.of(kind, role) is None

    def _part(self, anchor: str, reason: str, now: float) -> list[Output]:
        if self._present.pop(anchor, None) is None:
            return []
        self._overflow_reported = False
        ended = self._reconcile(now, reason or "the anchor left", [anchor])
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
        gone = [Unsubscribe(track, why) for track in sorted(self.tracks)]
        self._cut.clear()
        self._waiting.clear()
        return [*gone, *self._move(Trigger.STOPPED), Finished(reason)]

    def _reconcile(
        self, now: float, why: str = "", changed: Sequence[str] | None = None
    ) -> list[Output]:
        """Begin and end tracks until what is cut is what is wanted. *why*: the reason of an end;
        *changed*: the anchors of whom that may be another thing than before; None: all."""
        names = dict.fromkeys((*self._present, *self._cut)) if changed is None else changed
        ended, begun, waiting = list[TrackKey](), Tracks(), list[str]()
        # Those cut now keep their places; then come who waits and who is new, by joining.
        for anchor in [name for name in names if name in self._cut]:
            before, wanted = self._cut.pop(anchor), self._wanted_of(anchor)
            ended += before.keys() - wanted.keys()
            begun |= {track: spec for track, spec in wanted.items() if track not in before}
            if wanted:
                self._cut[anchor] = wanted
        for anchor in self._applicants(names):
            wanted = self._wanted_of(anchor)
            if wanted and len(self._cut) < self.params.max_anchors:
                self._cut[anchor] = wanted
                begun |= wanted
            elif wanted and anchor not in self._waiting:
                waiting.append(anchor)
            if not wanted or anchor in self._cut:
                self._waiting.discard(anchor)
        self._waiting.update(waiting)
        if changed is None:
            self._waiting.intersection_update(self._present)
        if any(self._present.values()):
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
        return [
            *(Unsubscribe(track, why) for track in sorted(ended)),
            *(Subscribe(track, spec) for track, spec in begun.items()),
            *(AnchorWaits(anchor) for anchor in waiting),
        ]

    def _applicants(self, names: Iterable[str]) -> list[str]:
        """Who of these may get a place, and if one is free, of those who wait; by joining."""
        found = {name for name in names if name not in self._cut}
        if len(self._cut) < self.params.max_anchors:
            found |= self._waiting
        # Where one comes at a time, a crowd is not looked through for each.
        return list(found) if len(found) < 2 else [one for one in self._present if one in found]

    def _wanted_of(self, anchor: str) -> Tracks:
        return {
            TrackKey(self.name, anchor, kind, role): spec
            for kind, role in sorted(self._present.get(anchor, ()))
            if (spec := self.params.of(kind, role)) and self.subscription.wants(anchor, kind)
        }
