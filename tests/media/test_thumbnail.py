"""Thumbnails: the same picture coded anew is near, and one with something small in it is far."""

from itertools import pairwise

import av
import numpy as np
import pytest

from slicer.media import picture, thumbnail
from slicer.slicing.spec import ImageFormat
from tests.harness.media.encoder import encode_pictures
from tests.harness.media.picture import Painter, Rgb

WIDTH, HEIGHT = 640, 360


def shot() -> Rgb:
    return Painter(colour=(220, 60, 40), width=WIDTH, height=HEIGHT).draw(7)


def of(pixels: Rgb) -> bytes:
    return thumbnail.make(av.VideoFrame.from_ndarray(pixels, "rgb24"))


def with_square(pixels: Rgb, side: int) -> Rgb:
    """With a board of black and white fields of 5 pixels."""
    changed = pixels.copy()
    rows, columns = np.indices((side, side)) // 5
    changed[200 : 200 + side, 301 : 301 + side] = (((rows + columns) % 3 == 0) * 255)[..., None]
    return changed


def test_a_thumbnail_is_the_grey_of_its_blocks() -> None:
    half = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    half[:, WIDTH // 2 :] = 255
    rows = np.frombuffer(of(half), np.uint8).reshape(thumbnail.SIDE, thumbnail.SIDE)
    assert rows.size == thumbnail.SIZE
    assert rows[:, :15].max() <= 1
    assert rows[:, 17:].min() >= 254


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_a_picture_coded_anew_is_near_and_another_far(codec: str) -> None:
    small = [
        picture.write(
            codec, encode_pictures(codec, [one])[:1], ImageFormat.PNG, with_thumbnail=True
        )
        for one in (shot(), shot(), with_square(shot(), 40), np.zeros_like(shot()))
    ]
    first, again, square, black = (one.thumbnail for one in small)
    assert thumbnail.distance(first, again) == 0
    assert thumbnail.distance(first, of(shot())) <= 4
    assert thumbnail.distance(first, square) > 16
    assert thumbnail.distance(first, black) > 16


def test_flat_pictures_are_told_apart() -> None:
    """A hash of which block is brighter than its neighbour has none of that."""
    greys = [of(np.full((HEIGHT, WIDTH, 3), level, np.uint8)) for level in (0, 100, 120, 255)]
    apart = [thumbnail.distance(one, other) for one, other in pairwise(greys)]
    assert min(apart) >= 16


def test_what_has_no_thumbnail_is_like_nothing() -> None:
    assert thumbnail.distance(b"", b"") == thumbnail.FURTHEST
    assert thumbnail.distance(of(shot()), b"") == thumbnail.FURTHEST


def test_a_keyframe_that_is_not_decoded_has_none() -> None:
    frame = encode_pictures("vp8", [shot()])[:1]
    kept = picture.write("vp8", frame, ImageFormat.WEBP, with_thumbnail=True)
    assert kept.thumbnail == b""
    assert picture.write("vp8", frame, ImageFormat.PNG).thumbnail == b"", "nobody asked for it"
