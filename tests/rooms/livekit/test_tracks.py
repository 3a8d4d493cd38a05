"""What is cut, joined to the m-lines that it comes by."""

from dataclasses import replace
from typing import Any

from slicer.rooms.livekit.tracks import Tracks
from slicer.rtp.parameters import OPUS, VP8, Kind, Role, RtpParameters
from slicer.slicing.outputs import Subscribe, TrackKey
from slicer.slicing.spec import AudioSpec, VideoSpec

AUDIO = RtpParameters(Kind.AUDIO, {111: OPUS}, mid="0")
VIDEO = RtpParameters(Kind.VIDEO, {96: VP8}, mid="1")
OWNERS = {
    "TR_a": ("ada", (Kind.AUDIO, Role.MAIN)),
    "TR_v": ("ada", (Kind.VIDEO, Role.MAIN)),
    "TR_s": ("ada", (Kind.VIDEO, Role.AUX)),
    "TR_b": ("bob", (Kind.AUDIO, Role.MAIN)),
}


class Written:
    """A media that writes down what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *given: self.calls.append((name, *given))


def key(anchor: str, kind: Kind) -> TrackKey:
    return TrackKey("task", anchor, kind)


def test_it_is_cut_once_an_answer_carries_it() -> None:
    media = Written()
    tracks = Tracks(media)
    sound = Subscribe(key("ada", Kind.AUDIO), AudioSpec(1))
    sight = Subscribe(key("ada", Kind.VIDEO), VideoSpec(1))
    tracks.subscribe(sound)
    assert media.calls == []
    tracks.place({"TR_a": AUDIO, "TR_x": VIDEO}, OWNERS.get)
    assert media.calls == [("set_sections", "ada", (AUDIO,)), ("attach", sound)]
    tracks.place({"TR_a": AUDIO, "TR_v": VIDEO}, OWNERS.get)
    assert media.calls[2:] == [("set_sections", "ada", (AUDIO, VIDEO))]
    tracks.subscribe(sight)
    assert media.calls[3:] == [("attach", sight)]
    tracks.unsubscribe(sight.track)
    tracks.unsubscribe(sight.track)
    assert media.calls[4:] == [("detach", sight.track)]


def test_a_screen_has_a_place_of_its_own() -> None:
    media = Written()
    tracks = Tracks(media)
    screen = Subscribe(TrackKey("task", "ada", Kind.VIDEO, Role.AUX), VideoSpec(1))
    tracks.subscribe(screen)
    tracks.place({"TR_v": VIDEO}, OWNERS.get)
    shared = replace(VIDEO, mid="2")
    tracks.place({"TR_v": VIDEO, "TR_s": shared}, OWNERS.get)
    sections = (VIDEO, replace(shared, role=Role.AUX))
    assert media.calls[1:] == [("set_sections", "ada", sections), ("attach", screen)]
    tracks.place({"TR_v": VIDEO}, OWNERS.get)
    tracks.place({"TR_v": VIDEO, "TR_s": shared}, OWNERS.get)  # shared again, and cut again
    assert [call[0] for call in media.calls[3:]] == ["set_sections", "set_sections", "attach"]


def test_an_m_line_that_is_another_anchors() -> None:
    media = Written()
    tracks = Tracks(media)
    tracks.place({"TR_a": AUDIO}, OWNERS.get)
    tracks.subscribe(Subscribe(key("ada", Kind.AUDIO), AudioSpec(1)))
    tracks.place({"TR_b": AUDIO}, OWNERS.get)
    assert media.calls[2:] == [("set_sections", "ada", ()), ("set_sections", "bob", (AUDIO,))]
    tracks.place({"TR_a": AUDIO}, OWNERS.get)  # it comes again, and is cut again
    assert [call[0] for call in media.calls[4:]] == ["set_sections", "set_sections", "attach"]
