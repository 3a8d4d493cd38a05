"""Pixels to files: every format at its own size, PNG without loss."""

import av
import numpy as np
import pytest

from slicer.errors import MediaError
from slicer.media import image
from slicer.slicing.spec import ImageFormat
from tests.harness.footage import look, psnr
from tests.harness.picture import Painter, Rgb


def frame_of(picture: Rgb, pixels: str) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixels, threads=1)


@pytest.mark.parametrize("fast", {False, image.FAST})
@pytest.mark.parametrize("image_format", ImageFormat)
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le", "gray", "gbrp"])
def test_any_kind_of_pixels_is_encoded(
    pixels: str, image_format: ImageFormat, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "FAST", fast)
    picture = Painter(colour=(150, 150, 150), width=320, height=180).draw(5)
    # The ball and the shades of grey survive every format; colours would not survive "gray".
    grey = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    assert psnr(look(image.encode(frame_of(grey, pixels), image_format)), grey) > 30


@pytest.mark.parametrize("image_format", ImageFormat)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 2), (3, 1), (17, 5), (64, 33)])
def test_small_and_odd_pictures_keep_their_size(
    width: int, height: int, image_format: ImageFormat
) -> None:
    flat = np.full((height, width, 3), 120, np.uint8)
    seen = look(image.encode(frame_of(flat, "yuv420p"), image_format))
    assert seen.shape == flat.shape
    assert np.abs(seen.astype(int) - 120).max() <= 3


def test_png_loses_nothing() -> None:
    picture = Painter(width=322, height=181).draw(9)
    assert psnr(look(image.encode(frame_of(picture, "gbrp"), ImageFormat.PNG)), picture) > 60


def test_a_size_the_format_cannot_hold_is_a_media_error() -> None:
    wide = av.VideoFrame(16_400, 2, "yuv420p")
    with pytest.raises(MediaError, match="no WEBP of 16400 x 2 pixels"):
        image.encode(wide, ImageFormat.WEBP)
