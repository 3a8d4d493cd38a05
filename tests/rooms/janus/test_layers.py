"""Which substream is asked for, by what Janus says and by the pictures that come."""

from collections.abc import Sequence

import numpy as np
import pytest

from slicer.rooms.janus.layers import TOP, Layers, height_of
from slicer.rtp.parameters import H264, VP8, VP9, Codec, Kind
from slicer.slicing.outputs import PictureCut, TrackKey
from tests.harness.media.encoder import encode_pictures

HEIGHTS = (180, 360, 720)


def watch(
    height: int | None,
    pictures: int = 10,
    flows: int = TOP,
    heights: Sequence[int] = HEIGHTS,
) -> tuple[Layers, list[int]]:
    """What is asked for from picture to picture; Janus follows, up to what flows."""
    layers, asked = Layers(), []
    layers.height = height
    for _ in range(pictures):
        asked.append(layers.wanted)
        now = min(layers.wanted, flows)
        layers.told(now)
        layers.measured(heights[now])
    return layers, asked


@pytest.mark.parametrize(
    ("height", "asked"),
    [
        (None, [2, 2, 2]),
        (100, [2, 1, 0, 0]),
        (180, [2, 1, 0, 0]),
        (181, [2, 1, 0, 1, 1]),
        (360, [2, 1, 0, 1, 1]),
        (361, [2, 1, 2, 2]),
        (720, [2, 1, 2, 2]),
        (1080, [2, 2, 2]),
    ],
)
def test_the_lowest_that_is_high_enough_is_found_and_kept(
    height: int | None, asked: list[int]
) -> None:
    found = watch(height)[1]
    assert found == asked + [asked[-1]] * (10 - len(asked))


def test_a_publisher_that_lists_its_smallest_layer_first() -> None:
    """What Janus takes for the highest is the smallest, and it is enough."""
    assert watch(150, 5, heights=HEIGHTS[::-1])[1] == [2, 1, 2, 2, 2]


def test_the_highest_is_wanted_while_only_low_ones_flow() -> None:
    layers, asked = watch(360, flows=0)
    assert asked == [2] * 10
    layers.told(2)
    layers.measured(720)
    assert layers.wanted == 1
    assert layers.anew().wanted == 2


def test_nothing_is_known_before_janus_tells_of_a_substream() -> None:
    """A video that is not simulcast has none."""
    layers = Layers()
    layers.height = 180
    layers.told(None)
    layers.told("1")
    layers.told(3)
    layers.measured(720)
    layers.told(1)
    layers.measured(0)
    assert layers.wanted == TOP


@pytest.mark.parametrize("codec", [VP8, H264])
def test_the_height_of_a_picture(codec: Codec) -> None:
    frames = encode_pictures(codec.name, [np.zeros((36, 64, 3), np.uint8)] * 2)
    key = TrackKey("task", "ada", Kind.VIDEO)
    assert height_of(PictureCut(key, codec, 0, 0, tuple(frames), 0.0)) == 36
    assert height_of(PictureCut(key, codec, 0, 0, tuple(frames[1:]), 0.0, first=1)) == 0
    assert height_of(PictureCut(key, VP9, 0, 0, tuple(frames), 0.0)) == 0
