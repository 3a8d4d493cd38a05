"""When video may pause until the next picture."""

import math
from dataclasses import replace

import pytest

from slicer.rooms.pause import AFTER, SHORTEST, resume_at
from slicer.rtp.parameters import VP8, Kind
from slicer.slicing.outputs import PictureCut, TrackKey
from slicer.slicing.spec import VideoSpec

DUE, FIVE = 900_000, VideoSpec(5)
CUT = PictureCut(TrackKey("t", "ada", Kind.VIDEO), VP8, DUE, DUE, (b"",), began=100.0)


@pytest.mark.parametrize(("late", "resumed"), [(0.0, 105.0), (0.5, 105.0), (6.0, 110.0)])
def test_until_just_after_the_next_is_due(late: float, resumed: float) -> None:
    cut = replace(CUT, timestamp=DUE + int(late * VP8.clock_rate), began=100.0 + late)
    assert resume_at(cut, FIVE, 100.2) == pytest.approx(resumed + AFTER)


def test_not_where_it_is_not_worth_it_or_all_frames_are_needed() -> None:
    assert resume_at(CUT, FIVE, 105.0 - SHORTEST - 0.01) is not None
    assert resume_at(CUT, FIVE, 105.0 - SHORTEST) is None
    assert resume_at(replace(CUT, continues=True), FIVE, 100.2) is None


def test_not_where_its_source_is_seldom_or_never_to_be_asked() -> None:
    for interval, paused in ((SHORTEST, True), (SHORTEST + 0.1, False), (math.inf, False)):
        spec = replace(FIVE, keyframe_interval=interval)
        assert (resume_at(CUT, spec, 100.2) is not None) is paused
