"""Frames to pictures: every codec and format gives back the picture that was shot."""

import os
from functools import cache

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.errors import MediaError
from slicer.media import decoder, image, picture
from slicer.slicing.spec import ImageFormat
from tests.harness.media.decoders import watch_decoders
from tests.harness.media.encoder import encode_pictures, psnr, read_image
from tests.harness.media.picture import Painter, Rgb, is_grey, read_frame_number

CODECS = sorted(picture.CODECS)
MAGIC = {ImageFormat.PNG: b"\x89PNG", ImageFormat.JPEG: b"\xff\xd8\xff", ImageFormat.WEBP: b"RIFF"}


@cache
def paint(number: int, width: int = 320, height: int = 180) -> Rgb:
    return Painter(colour=(220, 60, 40), width=width, height=height).draw(number)


@cache
def run(codec: str) -> tuple[bytes, ...]:
    """A keyframe of picture 7, and four frames that depend on it, to picture 11."""
    return tuple(encode_pictures(codec, [paint(number) for number in range(7, 12)]))


@pytest.mark.parametrize("image_format", ImageFormat)
@pytest.mark.parametrize("codec", CODECS)
def test_a_keyframe_is_the_picture_that_was_shot(codec: str, image_format: ImageFormat) -> None:
    made = picture.write(codec, run(codec)[:1], image_format)
    assert (made.width, made.height) == (320, 180)
    assert made.data.startswith(MAGIC[image_format])
    assert psnr(read_image(made.data), paint(7)) > 30
    assert read_frame_number(read_image(made.data)) == 7


@pytest.mark.parametrize("image_format", ImageFormat)
@pytest.mark.parametrize("codec", CODECS)
def test_of_a_run_the_last_frame_is_the_picture(codec: str, image_format: ImageFormat) -> None:
    for length in (2, 5):
        seen = read_image(picture.write(codec, run(codec)[:length], image_format).data)
        assert read_frame_number(seen) == 6 + length
        assert psnr(seen, paint(6 + length)) > 30


@pytest.mark.parametrize("image_format", ImageFormat)
@pytest.mark.parametrize("codec", CODECS)
def test_odd_sizes_are_kept(codec: str, image_format: ImageFormat) -> None:
    # x264 and x265 take even sizes only.
    width, height = (322, 182) if codec in {"h264", "h265"} else (321, 183)
    made = picture.write(codec, encode_pictures(codec, [paint(3, width, height)]), image_format)
    assert (made.width, made.height) == (width, height)
    assert read_image(made.data).shape == (height, width, 3)
    assert psnr(read_image(made.data), paint(3, width, height)) > 30


@pytest.mark.parametrize("image_format", ImageFormat)
@pytest.mark.parametrize("codec", CODECS)
def test_after_a_change_of_size_the_picture_has_the_new_one(
    codec: str, image_format: ImageFormat
) -> None:
    frames = [*run(codec), *encode_pictures(codec, [paint(1, 480, 270), paint(2, 480, 270)])]
    seen = read_image(picture.write(codec, frames, image_format).data)
    assert seen.shape == (270, 480, 3)
    assert read_frame_number(seen) == 2


COLOURS = [
    ("h264", Colorspace.ITU709, False, True),
    ("h264", Colorspace.ITU709, True, True),
    ("h264", Colorspace.ITU601, True, True),
    ("h264", Colorspace.ITU601, False, False),
    ("vp9", Colorspace.ITU709, False, True),
    ("vp9", Colorspace.ITU601, False, False),
    ("av1", Colorspace.ITU709, True, True),
    ("h265", Colorspace.ITU709, False, True),
    ("h265", Colorspace.ITU709, True, True),
    ("h265", Colorspace.ITU601, False, False),
]


@pytest.mark.parametrize("image_format", ImageFormat)
@pytest.mark.parametrize(("codec", "space", "full_range", "tagged"), COLOURS)
def test_colours_come_out_as_they_were_meant(
    codec: str, space: Colorspace, full_range: bool, tagged: bool, image_format: ImageFormat
) -> None:
    bars = np.zeros((128, 256, 3), np.uint8)
    for number in range(8):
        bars[:, number * 32 : number * 32 + 32] = [255 * (number >> bit & 1) for bit in range(3)]
    frames = encode_pictures(codec, [bars], space, full_range, tagged)
    seen = read_image(picture.write(codec, frames, image_format).data)
    middles = seen[64, 16::32].astype(int)
    assert np.abs(middles - bars[64, 16::32]).max() <= 8


@pytest.mark.parametrize("image_format", [ImageFormat.PNG, ImageFormat.JPEG])
def test_both_ways_to_encode_show_the_same(
    image_format: ImageFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for fast in {False, image.FAST}:
        monkeypatch.setattr(image, "FAST", fast)
        seen.append(read_image(picture.write("vp8", run("vp8")[:1], image_format).data))
        assert psnr(seen[-1], paint(7)) > 30
    assert psnr(seen[0], seen[-1]) > 35


def test_a_vp8_keyframe_is_stored_as_it_came() -> None:
    keyframe = run("vp8")[0]
    for frame in (keyframe, keyframe + b"\0"):
        data = picture.write("vp8", [frame], ImageFormat.WEBP).data
        assert frame in data
        assert len(data) % 2 == 0
        assert int.from_bytes(data[4:8], "little") == len(data) - 8


@pytest.mark.parametrize("image_format", ImageFormat)
@pytest.mark.parametrize("codec", CODECS)
def test_a_frame_without_its_keyframe_is_no_picture(codec: str, image_format: ImageFormat) -> None:
    with pytest.raises(MediaError):
        picture.write(codec, run(codec)[1:2], image_format)


# Nothing tells where the last partition of VP8 and the last tile of VP9 have to end, and FFmpeg
# reads past the end of a slice of H.265: there, a frame cut off passes. That frames are whole is
# the depacketizers' promise.
CUTS = [
    *(("h264", 0.5), ("h264", 0.9), ("h264", 0.99), ("h265", 0.05)),
    *(("av1", 0.5), ("av1", 0.99), ("vp9", 0.01)),
]


@pytest.mark.parametrize("image_format", ImageFormat)
@pytest.mark.parametrize(("codec", "kept"), [*((codec, 0) for codec in CODECS), *CUTS])
def test_a_keyframe_cut_off_is_no_picture(
    codec: str, kept: float, image_format: ImageFormat
) -> None:
    frame = run(codec)[0]
    with pytest.raises(MediaError):
        picture.write(codec, [frame[: int(kept * len(frame))]], image_format)


@pytest.mark.parametrize("image_format", ImageFormat)
def test_a_vp8_keyframe_cut_off_in_its_first_partition_is_no_picture(
    image_format: ImageFormat,
) -> None:
    frame = run("vp8")[0]
    first = int.from_bytes(frame[:3], "little") >> 5
    for size in (0, 3, 9, 10, 10 + first):
        with pytest.raises(MediaError):
            picture.write("vp8", [frame[:size]], image_format)


@pytest.mark.parametrize("lost", [0, 1, 2, 3])
def test_an_h264_keyframe_without_one_of_its_slices_is_no_picture(lost: int) -> None:
    unit = encode_pictures("h264", [paint(7)], slices=4)[0]
    head, *slices = unit.split(b"\0\0\1\x65")
    assert len(slices) == 4
    del slices[lost]
    with pytest.raises(MediaError):
        picture.write("h264", [b"\0\0\1\x65".join([head, *slices])], ImageFormat.PNG)


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_a_run_with_a_broken_frame_is_no_picture(codec: str) -> None:
    frames = list(run(codec))
    frames[2] = frames[2][: len(frames[2]) // 2]
    with pytest.raises(MediaError):
        picture.write(codec, frames, ImageFormat.PNG)


def vp8_of(width: int, height: int) -> bytes:
    """A VP8 keyframe whose header claims this size."""
    frame = bytearray(run("vp8")[0])
    frame[6:10] = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    return bytes(frame)


@pytest.mark.parametrize("image_format", ImageFormat)
@pytest.mark.parametrize("size", [(16383, 16383), (8193, 4352)])
def test_a_frame_too_large_is_refused_before_it_is_decoded(
    size: tuple[int, int], image_format: ImageFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it would not be decoded at all."""
    monkeypatch.setattr(picture, "decode", None)
    with pytest.raises(MediaError, match="allowed: 35651584 pixels"):
        picture.write("vp8", [vp8_of(*size)], image_format)


def test_the_largest_frame_is_taken() -> None:
    made = picture.write("vp8", [vp8_of(8192, 4352)], ImageFormat.WEBP)
    assert (made.width, made.height) == (8192, 4352)


@pytest.mark.parametrize("codec", CODECS)
def test_no_decoder_takes_memory_for_more_pixels(
    codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decoder has the bound itself: a header says the size, and only the decoder reads it."""
    assert picture.decode(codec, run(codec)).width == 320
    monkeypatch.setattr(decoder, "MAX_PIXELS", 320 * 180 - 1)
    with pytest.raises(MediaError):
        picture.decode(codec, run(codec))


@settings(max_examples=60, deadline=None)
@given(codec=st.sampled_from(CODECS), data=st.binary(max_size=200), damage=st.data())
def test_garbage_is_a_media_error_or_a_picture(
    codec: str, data: bytes, damage: st.DataObject
) -> None:
    frame = bytearray(run(codec)[0])
    at = damage.draw(st.integers(0, len(frame)))
    frame[at : at + len(data)] = data
    for broken in (data, bytes(frame)):
        try:
            made = picture.write(codec, [broken], ImageFormat.PNG)
        except MediaError:
            continue
        assert read_image(made.data).shape == (made.height, made.width, 3)


def test_no_picture_is_grey() -> None:
    for codec in CODECS:
        assert not is_grey(read_image(picture.write(codec, run(codec), ImageFormat.JPEG).data))


@pytest.mark.parametrize("codec", CODECS)
def test_a_keyframe_is_one_frame_decoded_on_one_thread(
    codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyframe, threads = encode_pictures(codec, [paint(7, 1280, 720)])[0], list[int]()
    watch_decoders(monkeypatch, lambda _packet: threads.append(len(os.listdir("/proc/self/task"))))
    alone = len(os.listdir("/proc/self/task"))
    picture.decode(codec, [keyframe])
    assert set(threads) == {alone}


def parameter_sets_apart(unit: bytes) -> tuple[bytes, bytes]:
    """An H.264 keyframe's head, and its slice alone."""
    at = unit.index(b"\0\0\1\x65")
    return unit[:at], unit[at:]


def test_no_picture_is_decoded_with_the_parameter_sets_of_another() -> None:
    sizes = [(320, 180), (480, 270), (640, 360)]
    units = [
        encode_pictures("h264", [paint(number, *size)])[0] for number, size in enumerate(sizes)
    ]
    for number, (unit, size) in enumerate(zip(units, sizes, strict=True)):
        frame = picture.decode("h264", [unit])
        assert (frame.width, frame.height) == size
        assert read_frame_number(read_image(image.encode(frame, ImageFormat.PNG))) == number
        with pytest.raises(MediaError):
            picture.decode("h264", [parameter_sets_apart(unit)[1]])


def test_a_kept_decoder_would_take_the_parameter_sets_of_another() -> None:
    """Why each picture has a decoder of its own; once this fails, one may be kept."""
    kept = av.CodecContext.create("h264", "r")
    assert isinstance(kept, av.VideoCodecContext)
    unit = encode_pictures("h264", [paint(1)])[0]
    assert len(kept.decode(av.Packet(unit)) + kept.decode(None)) == 1
    kept.flush_buffers()
    orphan = parameter_sets_apart(encode_pictures("h264", [paint(2)])[0])[1]
    assert len(kept.decode(av.Packet(orphan)) + kept.decode(None)) == 1


def test_the_loop_filter_is_applied() -> None:
    """It costs an eighth of an H.264 keyframe; without it the picture is another one."""
    unit = encode_pictures("h264", [paint(7)], crf=40)[0]
    rough = av.CodecContext.create("h264", "r")
    assert isinstance(rough, av.VideoCodecContext)
    rough.options = {"skip_loop_filter": "all"}
    unfiltered = [*rough.decode(av.Packet(unit)), *rough.decode(None)][0].to_ndarray()
    assert not np.array_equal(picture.decode("h264", [unit]).to_ndarray(), unfiltered)


@pytest.mark.parametrize("codec", CODECS)
def test_pictures_of_all_sizes_in_turn(codec: str) -> None:
    for number, (width, height) in enumerate([(640, 360), (320, 180), (960, 540), (320, 180)]):
        made = picture.write(
            codec, encode_pictures(codec, [paint(number, width, height)]), ImageFormat.JPEG
        )
        assert read_image(made.data).shape == (height, width, 3)
        assert read_frame_number(read_image(made.data)) == number


@pytest.mark.skipif(not image.FAST, reason="the extra `fast` is not installed")
def test_a_jpeg_is_made_of_the_decoders_planes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither FFmpeg's scaler nor its encoder has a part in the usual picture."""
    monkeypatch.setattr(image, "convert", None)
    monkeypatch.setattr(image, "coded", None)
    for codec in CODECS:
        made = picture.write(codec, run(codec)[:1], ImageFormat.JPEG)
        assert psnr(read_image(made.data), paint(7)) > 30


def test_a_vp8_keyframe_as_webp_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "decode", None)
    assert picture.write("vp8", run("vp8")[:1], ImageFormat.WEBP).data.startswith(b"RIFF")


# Which corner of the painted picture is at the top left, by the bits F R1 R0: the picture on the
# link is mirrored back first, then turned clockwise.
TOP_LEFT = {0: (0, 0), 1: (1, 0), 2: (1, 1), 3: (0, 1), 4: (0, 1), 5: (1, 1), 6: (1, 0), 7: (0, 0)}


@pytest.mark.parametrize("image_format", ImageFormat)
@pytest.mark.parametrize("orientation", range(8))
def test_a_picture_is_flipped_and_turned(orientation: int, image_format: ImageFormat) -> None:
    corners = np.zeros((180, 320, 3), np.uint8)
    marks = {(0, 0): (255, 0, 0), (0, 1): (0, 255, 0), (1, 0): (0, 0, 255), (1, 1): (255, 255, 0)}
    for (low, right), colour in marks.items():
        corners[90 * low : 90 * low + 90, 160 * right : 160 * right + 160] = colour
    unit = encode_pictures("vp8", [corners])
    made = picture.write("vp8", unit, image_format, orientation)
    width, height = (180, 320) if orientation & 1 else (320, 180)
    assert (made.width, made.height) == (width, height)
    seen = read_image(made.data)
    assert seen.shape == (height, width, 3)
    expected = corners[:, ::-1] if orientation & 4 else corners
    expected = np.rot90(expected, -(orientation & 3))
    assert psnr(seen, np.ascontiguousarray(expected)) > 20
    shown = seen[20, 20].astype(int)
    assert np.abs(shown - marks[TOP_LEFT[orientation]]).max() <= 24


def test_a_picture_that_is_turned_keeps_its_colours() -> None:
    """Tagged BT.709 of full range: what the decoder says of them goes through the turn."""
    bars = np.zeros((128, 256, 3), np.uint8)
    for number in range(8):
        bars[:, number * 32 : number * 32 + 32] = [255 * (number >> bit & 1) for bit in range(3)]
    frames = encode_pictures("h264", [bars], Colorspace.ITU709, True)
    seen = read_image(picture.write("h264", frames, ImageFormat.PNG, 2).data)[::-1, ::-1]
    assert np.abs(seen[64, 16::32].astype(int) - bars[64, 16::32]).max() <= 8
