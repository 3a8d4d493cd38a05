"""Whose media is missed in a LiveKit room: not what is muted, paused or given up."""

from slicer.rooms.livekit.silences import Silences
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import AnchorTrouble
from slicer.webrtc.path import media_path
from tests.harness.clock import ManualClock

BOUND = 15.0


class Watched:
    """A connection whose SFU goes on while no media comes."""

    def __init__(self) -> None:
        self.clock, self.muted = ManualClock(), dict[str, set[Kind]]()
        self.media = media_path().open(lambda _cut: None)
        started = self.clock.now()

        class Heard:
            """The SFU's own packets come all the time, and media of nobody."""

            heard = property(lambda _self: self.clock.now())

            def media_heard(self, anchor: str) -> float:
                return started if anchor == "ada" else float("-inf")

        self.silences = Silences(Heard(), self.clock, BOUND, self.of)  # type: ignore[arg-type]

    def of(self, anchor: str) -> set[Kind]:
        return self.muted.get(anchor, set())

    def after(self, seconds: float) -> list[str]:
        self.clock.advance(seconds)
        return [one.anchor for one in self.silences.look() if isinstance(one, AnchorTrouble)]


async def test_each_anchor_is_told_once() -> None:
    watched = Watched()
    watched.silences.flow("ada", Kind.AUDIO, True)
    watched.silences.flow("bob", Kind.VIDEO, True)
    assert watched.after(BOUND - 1) == []
    assert watched.after(2) == ["ada", "bob"]
    assert watched.after(BOUND) == []


async def test_what_is_muted_paused_or_given_up_is_not_missed() -> None:
    watched = Watched()
    watched.muted = {"ada": {Kind.AUDIO}}
    watched.silences.flow("ada", Kind.AUDIO, True)
    watched.silences.flow("bob", Kind.VIDEO, True)
    watched.silences.flow("bob", Kind.VIDEO, False)
    watched.silences.flow("cleo", Kind.AUDIO, True)
    watched.silences.end("cleo", Kind.AUDIO)
    watched.silences.end("dan", Kind.AUDIO)
    assert watched.after(10 * BOUND) == []
    watched.muted.clear()
    watched.silences.flow("bob", Kind.VIDEO, True)
    assert watched.after(1) == []
    assert watched.after(BOUND - 1) == ["bob"]
    assert watched.after(1) == ["ada"]  # missed since the look that saw it unmuted
