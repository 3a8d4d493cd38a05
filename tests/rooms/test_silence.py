"""When an anchor's missing media is told, and when its absence is no news."""

from math import inf

from slicer.rooms.silence import MediaSilence
from slicer.slicing.outputs import AnchorTrouble

TOLD = [AnchorTrouble("ada", "no media for 15 s, and nothing says that it is muted", 1)]


def flowing(since: float = 100.0) -> MediaSilence:
    made = MediaSilence("ada", 15.0)
    made.expect(True, since)
    return made


def test_a_silence_is_told_once_and_the_next_one_again() -> None:
    watched = flowing()
    assert watched.look(media=110.0, connection=124.9) == []
    assert watched.look(media=110.0, connection=125.0) == TOLD
    assert watched.look(media=110.0, connection=200.0) == []
    assert watched.look(media=200.0, connection=200.1) == []
    assert watched.look(media=200.1, connection=215.1) == TOLD
    assert watched.counters == {"media_silent": 2}


def test_media_that_never_comes_is_told_from_when_it_was_expected() -> None:
    watched = flowing()
    assert watched.look(-inf, 114.9) == []
    assert watched.look(-inf, 115.0) == TOLD


def test_what_does_not_flow_is_not_missed() -> None:
    watched = flowing()
    watched.expect(False, 101.0)
    assert watched.look(100.0, 500.0) == []
    watched.expect(True, 501.0)
    watched.expect(True, 510.0)  # another track: it has been expected since the first
    assert watched.look(100.0, 515.9) == []
    assert watched.look(100.0, 516.0) == TOLD


def test_a_path_that_is_held_up_says_nothing_of_the_anchor() -> None:
    assert flowing().look(media=110.0, connection=110.2) == []
