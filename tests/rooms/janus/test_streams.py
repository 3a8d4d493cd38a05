"""Which of a publisher's streams is the main one: by words, by what it was, by order."""

import pytest

from slicer.rooms.janus.streams import FeedStream, assign
from slicer.rtp.parameters import Kind, Role

VIDEO, MAIN, AUX = Kind.VIDEO, Role.MAIN, Role.AUX


def video(mid: str, description: str = "", role: Role = MAIN) -> FeedStream:
    return FeedStream(VIDEO, mid, "vp8", role, description)


def roles(*streams: FeedStream, before: tuple[FeedStream, ...] = ()) -> dict[str, str]:
    found, _ = assign(streams, {one.slot: one for one in before})
    assert all(slot == one.slot for slot, one in found.items())
    return {one.mid: str(one.role) for one in found.values()}


@pytest.mark.parametrize("said", ["My screen", "Screenshare", "SLIDES", "presentation of ada"])
def test_who_says_that_it_is_a_screen_is_auxiliary(said: str) -> None:
    assert roles(video("1", said), video("2", "My front webcam")) == {"1": "aux", "2": "main"}
    assert roles(video("1", said)) == {"1": "aux"}


def test_a_mid_may_say_it() -> None:
    assert roles(video("screen"), video("1")) == {"screen": "aux", "1": "main"}


def test_of_two_that_say_nothing_the_first_is_the_main_one() -> None:
    audio = FeedStream(Kind.AUDIO, "0", "opus")
    assert roles(audio, video("1"), video("2")) == {"0": "main", "1": "main", "2": "aux"}
    assert roles(video("1", "screen a"), video("2", "screen b")) == {"1": "aux", "2": "main"}


def test_a_third_is_left() -> None:
    found, left = assign([video("1"), video("2"), video("3")], {})
    assert ([one.mid for one in found.values()], left) == (["1", "2"], [video("3")])


def test_a_role_is_kept() -> None:
    before = (video("1"), video("2", role=AUX))
    assert roles(video("2"), before=before) == {"2": "aux"}
    assert roles(video("2"), video("3"), before=before) == {"2": "aux", "3": "main"}
    assert roles(video("3"), before=before[:1]) == {"3": "main"}, "another camera"
    # What is said now goes before what was.
    assert roles(video("1", "my screen"), before=before) == {"1": "aux"}
