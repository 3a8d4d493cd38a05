"""What Janus has to be told of one video, once; and a pause that ends by itself."""

from slicer.rooms.janus.layers import TOP
from slicer.rooms.janus.video import Video
from tests.harness.clock import ManualClock


def test_a_pause_is_told_and_its_end() -> None:
    clock = ManualClock()
    changes = list[bool]()
    video = Video(clock, lambda: changes.append(video.paused))
    assert video.requests() == []
    video.pause(clock.now() + 2)
    assert (video.requests(), video.requests()) == ([{"send": False}], [])
    clock.advance(1.9)
    assert (video.paused, video.requests()) == (True, [])
    clock.advance(0.2)
    assert (video.paused, video.requests()) == (False, [{"send": True}])
    assert changes == [True, False]


def test_a_later_pause_replaces_the_first() -> None:
    clock = ManualClock()
    video = Video(clock, lambda: None)
    video.pause(clock.now() + 1)
    video.pause(clock.now() + 5)
    clock.advance(2)
    assert video.paused
    video.pause(None)
    assert (video.paused, video.requests()) == (False, []), "Janus was told of neither"


def test_another_stream_begins_with_the_highest_substream() -> None:
    clock = ManualClock()
    video = Video(clock, lambda: None)
    video.layers.height = 360
    video.layers.told(TOP)
    video.layers.measured(720)
    assert video.requests() == [{"substream": TOP - 1}]
    video.replaced()
    assert (video.requests(), video.layers.height) == ([], 360)
