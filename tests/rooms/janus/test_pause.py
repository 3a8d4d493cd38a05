"""When the video is resumed after a picture, and when it is not paused at all."""

import pytest

from slicer.rooms.janus.pause import EARLY, resume_at
from slicer.rtp.parameters import VP8, Kind
from slicer.slicing.outputs import PictureCut, TrackKey

TRACK = TrackKey("t", "ada", Kind.VIDEO)


def picture(timestamp: int, due: int, began: float, continues: bool = False) -> PictureCut:
    return PictureCut(TRACK, VP8, timestamp, due, (b"",), began, continues=continues)


@pytest.mark.parametrize(
    ("late", "until"),
    [(0, 105.0), (45_000, 104.5), (5 * 90_000, 105.0), (7 * 90_000, 103.0)],
)
def test_until_the_next_is_due(late: int, until: float) -> None:
    assert resume_at(picture(late, 0, 100.0), 5, 100.2) == pytest.approx(until - EARLY)


def test_a_pause_that_is_too_short() -> None:
    assert resume_at(picture(0, 0, 100.0), 5, 103.8) == pytest.approx(105.0 - EARLY)
    assert resume_at(picture(0, 0, 100.0), 5, 104.0) is None
    assert resume_at(picture(0, 0, 100.0), 1, 100.0) is None


def test_a_source_that_does_not_answer_is_not_paused() -> None:
    assert resume_at(picture(0, 0, 100.0, continues=True), 60, 100.0) is None
