"""Whose media is missed in a LiveKit room: not what is muted, paused or given up; and what of whose
packets is told."""

from collections import Counter
from typing import cast

from slicer.rooms.livekit.troubles import Troubles
from slicer.rtp.parameters import Kind, Role, Slot
from slicer.slicing.outputs import AnchorTrouble
from slicer.webrtc.path import Media
from tests.harness.clock import ManualClock

BOUND = 15.0
AUDIO, VIDEO = (Kind.AUDIO, Role.MAIN), (Kind.VIDEO, Role.MAIN)


class Path:
    """A media path whose SFU's own packets come all the time; ada's media came once, at first."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock, self._began = clock, clock.now()
        self.counted: dict[str, Counter[str]] = {}

    @property
    def heard(self) -> float:
        return self._clock.now()

    def media_heard(self, anchor: str) -> float:
        return self._began if anchor == "ada" else float("-inf")

    def counters_of(self, anchor: str) -> Counter[str]:
        return self.counted.get(anchor, Counter())


class Watched:
    """The troubles of such a path."""

    def __init__(self) -> None:
        self.clock, self.muted = ManualClock(), dict[str, set[Slot]]()
        self.path = Path(self.clock)
        self.troubles = Troubles(cast("Media", self.path), self.clock, BOUND, self.of)

    def of(self, anchor: str) -> set[Slot]:
        return self.muted.get(anchor, set())

    def after(self, seconds: float) -> list[str]:
        self.clock.advance(seconds)
        return [one.anchor for one in self.troubles.look() if isinstance(one, AnchorTrouble)]


def test_each_anchor_is_told_once() -> None:
    watched = Watched()
    watched.troubles.flow("ada", AUDIO, True)
    watched.troubles.flow("bob", VIDEO, True)
    assert watched.after(BOUND - 1) == []
    assert watched.after(2) == ["ada", "bob"]
    assert watched.after(BOUND) == []
    assert watched.troubles.counters == {"media_silent": 2}


def test_what_is_muted_paused_or_given_up_is_not_missed() -> None:
    watched = Watched()
    watched.muted = {"ada": {AUDIO}}
    watched.troubles.flow("ada", AUDIO, True)
    watched.troubles.flow("bob", VIDEO, True)
    watched.troubles.flow("bob", VIDEO, False)
    watched.troubles.flow("cleo", AUDIO, True)
    watched.troubles.end("cleo", AUDIO)
    watched.troubles.end("dan", AUDIO)
    assert watched.after(10 * BOUND) == []
    watched.muted.clear()
    watched.troubles.flow("bob", VIDEO, True)
    assert watched.after(1) == []
    assert watched.after(BOUND - 1) == ["bob"]
    assert watched.after(1) == ["ada"]  # missed since the look that saw it unmuted


def test_what_rises_is_told_of_its_anchor_and_at_its_end() -> None:
    watched = Watched()
    watched.troubles.flow("ada", AUDIO, True)
    watched.troubles.flow("ada", VIDEO, True)
    watched.troubles.flow("bob", AUDIO, True)
    watched.path.counted["ada"] = Counter(malformed_payload=12, asleep=500)
    assert watched.after(1) == ["ada"]
    assert watched.after(1) == []
    watched.path.counted["bob"] = Counter(clock_jumped=2)
    watched.path.counted["cleo"] = Counter(clock_jumped=2)
    assert watched.troubles.end("ada", VIDEO) == []
    reason = "jumps of the sender's media clock: slices ended early"
    assert watched.troubles.end("bob", AUDIO) == [AnchorTrouble("bob", reason, 2)]
    assert watched.after(1) == []
    watched.troubles.flow("bob", AUDIO, True)
    assert watched.after(1) == [], "it was told before he was given up"
