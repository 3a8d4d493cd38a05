"""Whose media is missed in a LiveKit room: not what is muted, paused or given up."""

from typing import cast

from slicer.rooms.livekit.silences import Silences
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

    @property
    def heard(self) -> float:
        return self._clock.now()

    def media_heard(self, anchor: str) -> float:
        return self._began if anchor == "ada" else float("-inf")


class Watched:
    """The silences of such a path."""

    def __init__(self) -> None:
        self.clock, self.muted = ManualClock(), dict[str, set[Slot]]()
        media = cast("Media", Path(self.clock))
        self.silences = Silences(media, self.clock, BOUND, self.of)

    def of(self, anchor: str) -> set[Slot]:
        return self.muted.get(anchor, set())

    def after(self, seconds: float) -> list[str]:
        self.clock.advance(seconds)
        return [one.anchor for one in self.silences.look() if isinstance(one, AnchorTrouble)]


def test_each_anchor_is_told_once() -> None:
    watched = Watched()
    watched.silences.flow("ada", AUDIO, True)
    watched.silences.flow("bob", VIDEO, True)
    assert watched.after(BOUND - 1) == []
    assert watched.after(2) == ["ada", "bob"]
    assert watched.after(BOUND) == []
    assert watched.silences.counters == {"media_silent": 2}


def test_what_is_muted_paused_or_given_up_is_not_missed() -> None:
    watched = Watched()
    watched.muted = {"ada": {AUDIO}}
    watched.silences.flow("ada", AUDIO, True)
    watched.silences.flow("bob", VIDEO, True)
    watched.silences.flow("bob", VIDEO, False)
    watched.silences.flow("cleo", AUDIO, True)
    watched.silences.end("cleo", AUDIO)
    watched.silences.end("dan", AUDIO)
    assert watched.after(10 * BOUND) == []
    watched.muted.clear()
    watched.silences.flow("bob", VIDEO, True)
    assert watched.after(1) == []
    assert watched.after(BOUND - 1) == ["bob"]
    assert watched.after(1) == ["ada"]  # missed since the look that saw it unmuted
