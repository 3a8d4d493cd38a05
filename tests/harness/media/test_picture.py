"""What a test picture says is read back exactly, or not at all."""

import av
import numpy as np
import pytest

from tests.harness.media.picture import MAX_FRAME, Painter, Rgb, is_grey, read_frame_number

NUMBERS = (0, 1, 187, 0x5555, 0xAAAAAA, MAX_FRAME)


def scaled(picture: Rgb, width: int, height: int) -> Rgb:
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(width, height, "yuv420p")
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("size", [(640, 360), (480, 270), (1280, 720), (160, 90), (426, 240)])
def test_number_is_read_back_at_any_size(number: int, size: tuple[int, int]) -> None:
    assert read_frame_number(Painter().draw(number)) == number
    assert read_frame_number(scaled(Painter().draw(number), *size)) == number


def test_drawn_at_other_sizes_and_scaled_back() -> None:
    small = Painter(width=480, height=270).draw(4_711)
    assert read_frame_number(scaled(small, 640, 360)) == 4_711


def test_a_number_beyond_24_bits_is_refused() -> None:
    for number in (-1, MAX_FRAME + 1):
        with pytest.raises(ValueError, match="24 bits"):
            Painter().draw(number)


@pytest.mark.parametrize("level", [0, 16, 128, 235, 255])
def test_a_uniform_picture_has_no_number(level: int) -> None:
    assert read_frame_number(np.full((360, 640, 3), level, np.uint8)) is None


def test_one_flipped_block_is_noticed() -> None:
    picture = Painter().draw(187)
    block = picture[290:322, 42:78]
    block[:] = 251 - block
    assert read_frame_number(picture) is None


def test_a_blend_of_two_frames_is_not_read_as_either() -> None:
    blend = (Painter().draw(0x0F0F0F) // 2 + Painter().draw(0xF0F0F0) // 2).astype(np.uint8)
    assert read_frame_number(blend) is None


def test_grey_is_told_from_pictures_and_from_black() -> None:
    picture = Painter().draw(187)
    assert not is_grey(picture)
    assert not is_grey(Painter((245, 158, 11)).draw(3))
    assert not is_grey(np.full_like(picture, 16))
    assert is_grey(np.full_like(picture, 128))
    partly = picture.copy()
    partly[100:180] = 130
    assert is_grey(partly)


def test_the_ball_moves_and_the_same_number_is_the_same_picture() -> None:
    painter = Painter()
    above_band = slice(0, 280)
    frames = [painter.draw(frame)[above_band].tobytes() for frame in range(60)]
    assert len(set(frames)) == 60
    assert Painter().draw(59)[above_band].tobytes() == frames[59]
