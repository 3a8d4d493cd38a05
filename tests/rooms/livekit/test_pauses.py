"""Videos that are not sent between pictures."""

from slicer.rooms.livekit.pauses import Pauses
from slicer.rooms.pause import AFTER
from slicer.rtp.parameters import VP8, Kind
from slicer.slicing.outputs import PictureCut, TrackKey
from tests.harness.clock import ManualClock


def picture(now: float) -> PictureCut:
    return PictureCut(TrackKey("t", "ada", Kind.VIDEO), VP8, 0, 0, (b"",), began=now)


def test_a_video_is_paused_and_resumed_and_forgotten() -> None:
    clock, told = ManualClock(), list[tuple[str, bool]]()
    pauses = Pauses(clock, lambda sid, disabled: told.append((sid, disabled)))
    pauses.taken("TR_1", picture(clock.now()), 1)  # not worth it
    assert told == []
    pauses.taken("TR_1", picture(clock.now()), 5)
    pauses.taken("TR_1", picture(clock.now()), 5)
    pauses.taken("TR_2", picture(clock.now()), 5)
    assert told == [("TR_1", True), ("TR_2", True)]
    assert pauses.paused == ["TR_1", "TR_2"]
    pauses.forget("TR_2")
    pauses.forget("TR_2")
    clock.advance(5 + AFTER)
    assert told[2:] == [("TR_1", False)]
    pauses.taken("TR_1", picture(clock.now()), 5)
    pauses.close()
    clock.advance(10)
    assert told[3:] == [("TR_1", True)]
