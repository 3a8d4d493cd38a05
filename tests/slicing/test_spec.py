"""What a task may be asked for, and how it says no."""

import math
from typing import Any

import pytest

from slicer.errors import BadInput
from slicer.rtp.parameters import Kind, Role
from slicer.rtp.rtcp.reporter import KEYFRAME_INTERVAL
from slicer.slicing.spec import (
    DAY,
    HOUR,
    MAX_ANCHORS,
    AudioSpec,
    ImageFormat,
    SliceParams,
    VideoSpec,
)


def test_the_defaults() -> None:
    params = SliceParams()
    assert params.of(Kind.AUDIO) == AudioSpec(15)
    assert params.of(Kind.VIDEO) == VideoSpec(5)
    assert (params.max_idle, params.max_anchors) == (30, MAX_ANCHORS)
    assert MAX_ANCHORS == 25


def test_lengths_that_work() -> None:
    assert [AudioSpec(seconds).seconds for seconds in (1, 15, HOUR)] == [1, 15, HOUR]
    assert [VideoSpec(seconds).seconds for seconds in (1, 5, DAY)] == [1, 5, DAY]


@pytest.mark.parametrize("seconds", [0, -1, DAY + 1, 1.5, "15", True, None, float("nan")])
def test_lengths_that_cannot_work(seconds: int) -> None:
    with pytest.raises(BadInput, match=r"audio\.seconds: got .*; allowed: .*1 to 3600"):
        AudioSpec(seconds)
    with pytest.raises(BadInput, match=r"video\.seconds: got .*; allowed: .*1 to 86400"):
        VideoSpec(seconds)


def test_an_hour_of_sound_is_the_longest_slice() -> None:
    with pytest.raises(BadInput):
        AudioSpec(HOUR + 1)


@pytest.mark.parametrize("field", ["max_idle", "max_anchors"])
@pytest.mark.parametrize("value", [0, 90_000, "5"])
def test_other_numbers_that_cannot_work(field: str, value: int) -> None:
    with pytest.raises(BadInput) as caught:
        SliceParams(**{field: value})  # type: ignore[arg-type]
    assert caught.value.field == field


def test_something_has_to_be_cut() -> None:
    with pytest.raises(BadInput, match="audio, video or both"):
        SliceParams(audio=None, video=None)
    assert SliceParams(audio=None).of(Kind.AUDIO) is None


def test_formats_are_named_by_their_extension() -> None:
    assert [str(format) for format in ImageFormat] == ["png", "jpg", "webp"]


@pytest.mark.parametrize("wait", [-0.1, 10.1, float("nan"), True, "3"])
def test_a_wait_for_reports_is_bounded(wait: Any) -> None:
    with pytest.raises(BadInput, match=r"audio\.report_wait"):
        AudioSpec(15, wait)
    with pytest.raises(BadInput, match=r"video\.report_wait"):
        VideoSpec(5, wait)


def test_an_interval_and_a_height_are_filled_in_where_nobody_said_one() -> None:
    assert SliceParams().watching(2.0, 360).video == VideoSpec(5, None, 360, 2.0)
    own = VideoSpec(5, max_height=720, keyframe_interval=math.inf)
    assert SliceParams(video=own).watching(2.0, 360).video == own
    assert SliceParams(video=None).watching(2.0, 360).video is None
    assert VideoSpec().asks_every == KEYFRAME_INTERVAL


@pytest.mark.parametrize("interval", [0, 0.29, 60.1, math.nan, -math.inf])
def test_an_interval_that_is_none(interval: float) -> None:
    with pytest.raises(BadInput, match="keyframe_interval"):
        VideoSpec(keyframe_interval=interval)


@pytest.mark.parametrize("height", [0, 16_385, True, 1.5])
def test_a_height_that_is_none(height: int) -> None:
    with pytest.raises(BadInput, match="max_height"):
        VideoSpec(max_height=height)


def test_a_wait_is_filled_in_where_nobody_said_one() -> None:
    params = SliceParams(AudioSpec(15), VideoSpec(5, 0.5)).waiting(3.0)
    assert (params.audio, params.video) == (AudioSpec(15, 3.0), VideoSpec(5, 0.5))
    assert SliceParams(AudioSpec(15, 0), None).waiting(3.0).audio == AudioSpec(15, 0)
    assert AudioSpec(15).waits == VideoSpec(5).waits == 0.0


def test_auxiliary_tracks_are_as_the_settings_say_unless_the_task_does() -> None:
    told = SliceParams().watching(2.0, None, True)
    assert told.of(Kind.VIDEO, Role.AUX) == told.of(Kind.VIDEO) == VideoSpec(5, None, None, 2.0)
    assert SliceParams(aux=False).watching(2.0, None, True).of(Kind.VIDEO, Role.AUX) is None
    assert SliceParams().watching(2.0, None, False).of(Kind.AUDIO, Role.AUX) is None
