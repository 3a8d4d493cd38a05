"""What Janus has to be told of one video, once; and a pause that ends by itself."""

from slicer.hot import KeyframeRequests
from slicer.rooms.janus.layers import TOP
from slicer.rooms.janus.video import Video
from tests.harness.clock import ManualClock


def test_a_pause_is_told_and_its_end() -> None:
    clock = ManualClock()
    changes = list[bool]()
    video = Video(clock, lambda: changes.append(video.paused), KeyframeRequests())
    assert video.requests() == []
    video.pause(clock.now() + 2, 0.3)
    assert (video.requests(), video.requests()) == ([{"send": False}], [])
    clock.advance(1.9)
    assert (video.paused, video.requests()) == (True, [])
    clock.advance(0.2)
    assert (video.paused, video.requests()) == (False, [{"send": True}])
    assert changes == [True, False]


def test_a_later_pause_replaces_the_first() -> None:
    clock = ManualClock()
    video = Video(clock, lambda: None, KeyframeRequests())
    video.pause(clock.now() + 1, 0.3)
    video.pause(clock.now() + 5, 0.3)
    clock.advance(2)
    assert video.paused
    video.flow()
    assert (video.paused, video.requests()) == (False, []), "Janus was told of neither"


def test_another_stream_begins_with_the_highest_substream() -> None:
    clock = ManualClock()
    video = Video(clock, lambda: None, KeyframeRequests())
    video.layers.height = 360
    video.layers.told(TOP)
    video.layers.measured(720)
    assert video.requests() == [{"substream": TOP - 1}]
    video.replaced()
    assert (video.requests(), video.layers.height) == ([], 360)


def test_a_video_that_others_ask_for_too_says_so() -> None:
    clock, requests = ManualClock(), KeyframeRequests()
    video = Video(clock, lambda: None, requests)
    video.pause(clock.now() + 2, 0.5)
    clock.advance(2.1)
    assert (video.paused, video.shared) == (False, False)
    video.pause(clock.now() + 2, 0.5)
    clock.advance(1.9)
    assert requests.claim(clock.now(), 0.5), "that of another task"
    clock.advance(0.3)
    assert (video.paused, video.requests()) == (True, [{"send": False}])
    clock.advance(0.3)
    assert (video.paused, video.shared, video.requests()) == (False, True, [{"send": True}])
    video.replaced()
    assert not video.shared, "nobody has asked for this one yet"
