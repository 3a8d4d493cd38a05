"""VP8 keyframes wrapped as WebP undecoded: sizes, padding, refusals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import MediaError
from slicer.media import webp


def keyframe(
    width: int = 320, height: int = 180, tag: int = 0b1_000_0 | 5 << 5, start: str = "9d012a"
) -> bytes:
    size = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    return tag.to_bytes(3, "little") + bytes.fromhex(start) + size + bytes(10)


def test_the_size_is_read_without_the_scaling_bits() -> None:
    assert webp.parse(keyframe(320, 180)) == (320, 180)
    assert webp.parse(keyframe(320 | 1 << 14, 180 | 3 << 14)) == (320, 180)
    assert webp.parse(keyframe(16383, 1)) == (16383, 1)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "of 0 bytes"),
        (keyframe()[:9], "of 9 bytes"),
        (keyframe(tag=0b1_000_1 | 5 << 5), "no keyframe"),
        (keyframe(tag=0b0_000_0 | 5 << 5), "no VP8 keyframe header"),
        (keyframe(tag=0b1_100_0 | 5 << 5), "no VP8 keyframe header"),
        (keyframe(start="9d012b"), "no VP8 keyframe header"),
        (keyframe(tag=0b1_000_0 | 10 << 5), "cut off"),
        (keyframe(width=0), "0 x 180"),
        (keyframe(height=0), "320 x 0"),
        (keyframe(height=1 << 14), "320 x 0"),
    ],
)
def test_what_is_no_whole_keyframe_is_refused(frame: bytes, reason: str) -> None:
    with pytest.raises(MediaError, match=reason):
        webp.parse(frame)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(frame: bytes) -> None:
    try:
        width, height = webp.parse(frame)
    except MediaError:
        return
    assert 0 < width < 1 << 14
    assert 0 < height < 1 << 14


@pytest.mark.parametrize("length", [20, 21])
def test_chunks_are_padded_to_even_length(length: int) -> None:
    frame = bytes(range(length))
    padded = length + length % 2
    assert webp.wrap(frame) == b"".join(
        [
            b"RIFF",
            (12 + padded).to_bytes(4, "little"),
            b"WEBPVP8 ",
            length.to_bytes(4, "little"),
            frame.ljust(padded, b"\0"),
        ]
    )
