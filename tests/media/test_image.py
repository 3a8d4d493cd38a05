"""Pixels to files: every format at its own size, PNG without loss."""

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from slicer.errors import MediaError
from slicer.media import image
from slicer.slicing.spec import ImageFormat
from tests.harness.media.encoder import psnr, read_image
from tests.harness.media.picture import Painter, Rgb


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
    assert psnr(read_image(image.encode(frame_of(grey, pixels), image_format)), grey) > 30


@pytest.mark.parametrize("image_format", ImageFormat)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 2), (3, 1), (17, 5), (64, 33)])
def test_small_and_odd_pictures_keep_their_size(
    width: int, height: int, image_format: ImageFormat
) -> None:
    flat = np.full((height, width, 3), 120, np.uint8)
    seen = read_image(image.encode(frame_of(flat, "yuv420p"), image_format))
    assert seen.shape == flat.shape
    assert np.abs(seen.astype(int) - 120).max() <= 3


def test_png_loses_nothing() -> None:
    picture = Painter(width=322, height=181).draw(9)
    assert psnr(read_image(image.encode(frame_of(picture, "gbrp"), ImageFormat.PNG)), picture) > 60


def test_a_size_the_format_cannot_hold_is_a_media_error() -> None:
    wide = av.VideoFrame(16_400, 2, "yuv420p")
    with pytest.raises(MediaError, match="no WEBP of 16400 x 2 pixels"):
        image.encode(wide, ImageFormat.WEBP)


def gradients(width: int = 512, height: int = 256) -> av.VideoFrame:
    """4:2:0 in which each plane has every level."""
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        rows[: plane.height, : plane.width] = np.arange(plane.width) % 256
    return frame


def test_limited_range_becomes_full_to_the_nearest_level() -> None:
    level = np.arange(512) % 256
    luma = np.clip((level - 16) * 255 / 219, 0, 255)
    chroma = np.clip((level[:256] - 128) * 255 / 224 + 128, 0, 255)
    planes = image.full_planes(gradients())
    assert [plane.shape for plane in planes] == [(256, 512), (128, 256), (128, 256)]
    legal = slice(16, 236)
    for plane, exact, most in zip(planes, (luma, chroma, chroma), (0.53, 0.7, 0.7), strict=True):
        wrong = plane[0] - exact
        assert np.abs(wrong[legal]).max() < most
        assert abs(float(np.mean(wrong[legal]))) < 0.05
        assert np.abs(wrong).max() <= 1, "also of levels that are not allowed"
    greys = planes[1][:, 128]
    assert (greys == 128).all()


@pytest.mark.parametrize("pixels", ["yuvj420p", "yuv420p"])
def test_planes_of_full_range_are_taken_as_they_are(pixels: str) -> None:
    frame = gradients().reformat(format=pixels, threads=1)
    frame.color_range = ColorRange.JPEG
    for plane, taken in zip(frame.planes, image.full_planes(frame), strict=True):
        assert np.shares_memory(taken, np.frombuffer(memoryview(plane), np.uint8))


@pytest.mark.skipif(not image.FAST, reason="the extra `fast` is not installed")
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("width", [2, 16, 34, 150, 322, 478])
def test_rows_longer_in_memory_than_the_picture_do_no_harm(width: int, full: bool) -> None:
    picture = Painter(width=width, height=90).draw(3)
    frame = frame_of(picture, "yuv420p")
    assert frame.planes[0].line_size > width or width % 16 == 0
    if full:
        frame = frame.reformat(
            format="yuv420p",
            src_color_range=ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        frame.color_range = ColorRange.JPEG
    data = image.encode(frame, ImageFormat.JPEG)
    # As good as 4:2:0 lets it be.
    assert psnr(read_image(data), read_image(image.encode(frame, ImageFormat.PNG))) > 28


@pytest.mark.parametrize("image_format", [ImageFormat.PNG, ImageFormat.JPEG])
def test_what_was_meant_for_bt_709_is_not_taken_for_bt_601(image_format: ImageFormat) -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 255
    frame = av.VideoFrame.from_ndarray(red, "rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, threads=1
    )
    frame.colorspace = Colorspace.ITU709
    assert np.abs(read_image(image.encode(frame, image_format)).astype(int) - red).max() <= 6


def test_a_picture_is_mirrored_then_turned_clockwise() -> None:
    """The bits F R1 R0: a corner that is marked moves to where each says."""
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:10, :20] = 255  # at the top left
    corners = {
        0: (0, 0),
        1: (0, 1),
        2: (1, 1),
        3: (1, 0),
        4: (0, 1),
        5: (1, 1),
        6: (1, 0),
        7: (0, 0),
    }
    for orientation, corner in corners.items():
        frame = av.VideoFrame.from_ndarray(picture, "rgb24")
        seen = image.turned(frame, orientation).to_ndarray(format="rgb24")
        height, width = seen.shape[:2]
        assert (width, height) == ((20, 40) if orientation & 1 else (40, 20))
        quarter = seen.reshape(2, height // 2, 2, width // 2, 3).mean(axis=(1, 3, 4))
        assert np.unravel_index(quarter.argmax(), (2, 2)) == corner, orientation
