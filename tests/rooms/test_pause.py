"""When video may pause until the next picture."""

from dataclasses import replace

import pytest

from slicer.rooms.pause import AFTER, SHORTEST, resume_at
from slicer.rtp.parameters import VP8, Kind
from slicer.slicing.outputs import PictureCut, TrackKey

DUE = 900_000
CUT = PictureCut(TrackKey("t", "ada", Kind.VIDEO), VP8, DUE, DUE, (b"",), began=100.0)


@pytest.mark.parametrize(("late", "resumed"), [(0.0, 105.0), (0.5, 105.0), (6.0, 110.0)])
def test_until_just_after_the_next_is_due(late: float, resumed: float) -> None:
    cut = replace(CUT, timestamp=DUE + int(late * VP8.clock_rate), began=100.0 + late)
    assert resume_at(cut, 5, 100.2) == pytest.approx(resumed + AFTER)


def test_not_where_it_is_not_worth_it_or_all_frames_are_needed() -> None:
    assert resume_at(CUT, 5, 105.0 - SHORTEST - 0.01) is not None
    assert resume_at(CUT, 5, 105.0 - SHORTEST) is None
    assert resume_at(replace(CUT, continues=True), 5, 100.2) is None
