"""Videos that are not sent between pictures."""

from slicer.hot import KeyframeRequests
from slicer.rooms.livekit.pauses import Pauses
from slicer.rooms.pause import AFTER
from slicer.rtp.parameters import VP8, Kind
from slicer.slicing.outputs import PictureCut, TrackKey
from slicer.slicing.spec import VideoSpec
from tests.harness.clock import ManualClock

FIVE = VideoSpec(5, keyframe_interval=0.5)


def picture(now: float) -> PictureCut:
    return PictureCut(TrackKey("t", "ada", Kind.VIDEO), VP8, 0, 0, (b"",), began=now)


def test_a_video_is_paused_and_resumed_and_forgotten() -> None:
    clock, told = ManualClock(), list[tuple[str, bool]]()
    pauses = Pauses(clock, lambda sid, disabled: told.append((sid, disabled)))
    pauses.taken("TR_1", picture(clock.now()), VideoSpec(1), KeyframeRequests())  # not worth it
    assert told == []
    pauses.taken("TR_1", picture(clock.now()), FIVE, KeyframeRequests())
    pauses.taken("TR_1", picture(clock.now()), FIVE, KeyframeRequests())
    pauses.taken("TR_2", picture(clock.now()), FIVE, KeyframeRequests())
    assert told == [("TR_1", True), ("TR_2", True)]
    assert pauses.paused == ["TR_1", "TR_2"]
    pauses.forget("TR_2")
    pauses.forget("TR_2")
    clock.advance(5 + AFTER)
    assert told[2:] == [("TR_1", False)]
    pauses.taken("TR_1", picture(clock.now()), FIVE, KeyframeRequests())
    pauses.close()
    clock.advance(10)
    assert told[3:] == [("TR_1", True)]


def test_a_video_that_others_ask_for_too_is_not_paused_again() -> None:
    clock, told = ManualClock(), list[bool]()
    pauses = Pauses(clock, lambda _, disabled: told.append(disabled))
    requests = KeyframeRequests()
    pauses.taken("TR_1", picture(clock.now()), FIVE, requests)
    clock.advance(4.9)
    assert requests.claim(clock.now(), 0.5)
    clock.advance(0.3)
    assert told == [True], "another task has just asked"
    clock.advance(0.3)
    assert told == [True, False]
    pauses.taken("TR_1", picture(clock.now()), FIVE, requests)
    assert told == [True, False]
    pauses.forget("TR_1")
    pauses.taken("TR_1", picture(clock.now()), FIVE, requests)
    assert told == [True, False, True], "as new"
