"""A decoder that is kept: the pictures it gives are those of a fresh one, and what it costs."""

from fractions import Fraction
from functools import cache

import av
import pytest

from slicer.errors import MediaError
from slicer.media import decoder as module
from slicer.media import picture
from slicer.media.decoder import CODECS, GroupDecoder
from tests.harness.media.decoders import watch_decoders
from tests.harness.media.encoder import encode_pictures
from tests.harness.media.picture import Painter

FRAMES = 20


@cache
def group(codec: str) -> tuple[bytes, ...]:
    """A keyframe and frames that depend on it."""
    painter = Painter(width=320, height=180)
    return tuple(encode_pictures(codec, [painter.draw(number) for number in range(FRAMES)]))


@cache
def with_b_frames() -> tuple[bytes, ...]:
    """H.264 whose frames come out of a decoder two later than they went in."""
    painter = Painter(width=320, height=180)
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 320, 180, "yuv420p"
    encoder.time_base, encoder.gop_size, encoder.thread_count = Fraction(1, 30), 300, 1
    encoder.options = {"preset": "veryfast", "bf": "2", "x264-params": "b-adapt=0:scenecut=0"}
    units = []
    for number in range(FRAMES):
        frame = av.VideoFrame.from_ndarray(painter.draw(number), "rgb24").reformat(format="yuv420p")
        frame.pts = number
        units += encoder.encode(frame)
    return tuple(bytes(unit) for unit in [*units, *encoder.encode(None)])


def pixels(frame: av.VideoFrame) -> bytes:
    return bytes(frame.to_ndarray().tobytes())


def test_of_the_layers_of_svc_the_highest_is_the_picture() -> None:
    """FFmpeg gives each spatial layer of a VP9 superframe (annex B of its specification)."""
    sizes = (80, 46), (160, 90), (320, 180)
    layers = [
        next(iter(encode_pictures("vp9", [Painter(width=width, height=height).draw(3)])))
        for width, height in sizes
    ]
    marker = bytes([0xC0 | 1 << 3 | len(layers) - 1])  # sizes have two bytes
    index = marker + b"".join(len(one).to_bytes(2, "little") for one in layers) + marker
    shown = picture.decode("vp9", [b"".join(layers) + index])
    assert (shown.width, shown.height) == sizes[-1]
    assert pixels(shown) == pixels(picture.decode("vp9", layers[-1:]))


@pytest.mark.parametrize("steps", [(1, 20), (1, 5, 6, 20), (7, 20), tuple(range(1, 21))])
@pytest.mark.parametrize("codec", sorted(CODECS))
def test_pictures_of_a_kept_decoder_are_those_of_a_fresh_one(
    codec: str, steps: tuple[int, ...]
) -> None:
    frames, kept, place = group(codec), GroupDecoder(codec), 0
    for upto in steps:
        kept.add(frames[place:upto])
        place = upto
        assert pixels(kept.picture()) == pixels(picture.decode(codec, frames[:upto]))


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_each_frame_is_decoded_once(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fed = list[bool]()
    watch_decoders(monkeypatch, lambda packet: fed.append(packet is not None))
    kept = GroupDecoder(codec)
    for number, frame in enumerate(group(codec)):
        kept.add([frame])
        if number % 7 == 3:
            kept.advance()
        if number % 5 == 4:
            kept.picture()
    assert fed == [True] * FRAMES


def test_what_no_picture_needs_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    watch_decoders(monkeypatch, lambda _packet: pytest.fail("it is decoded"))
    kept = GroupDecoder("vp8")
    assert kept.fresh
    kept.add(group("vp8"))
    assert not kept.fresh


@pytest.mark.parametrize("upto", range(1, FRAMES + 1))
def test_of_a_group_with_b_frames_the_frame_asked_for_comes(upto: int) -> None:
    """In the order of decoding, which is not the order in which they are shown."""
    frames = with_b_frames()
    whole = av.CodecContext.create("h264", "r")
    assert isinstance(whole, av.VideoCodecContext)
    shown: dict[int | None, bytes] = {}
    for number, unit in enumerate(frames):
        packet = av.Packet(unit)
        packet.pts = number
        shown |= {one.pts: pixels(one) for one in whole.decode(packet)}
    shown |= {one.pts: pixels(one) for one in whole.decode(None)}
    kept, place = GroupDecoder("h264"), 0
    for end in (upto, min(upto + 3, FRAMES)):
        kept.add(frames[place:end])
        place = end
        assert pixels(kept.picture()) == shown[end - 1]
    assert pixels(picture.decode("h264", frames[:upto])) == shown[upto - 1]


@pytest.mark.parametrize(("bound", "value"), [("MAX_AGAIN_FRAMES", 12), ("MAX_AGAIN_BYTES", 3_000)])
def test_a_group_that_has_to_be_decoded_anew_is_bounded(
    bound: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, bound, value)
    for codec, frames in (("h264", with_b_frames()), ("h264", group("h264"))):
        kept, pictures = GroupDecoder(codec), 0
        try:
            for frame in frames:
                kept.add([frame])
                kept.picture()
                pictures += 1
        except MediaError as error:
            assert "given late; allowed: " in str(error)  # noqa: PT017
        assert (pictures < FRAMES) == (frames is with_b_frames())


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_a_broken_frame_is_an_error(codec: str) -> None:
    frames = list(group(codec))
    frames[5] = frames[5][: len(frames[5]) // 2]
    kept = GroupDecoder(codec)
    kept.add(frames[:5])
    kept.picture()
    kept.add(frames[5:])
    with pytest.raises(MediaError):
        kept.picture()


def test_frames_without_their_keyframe_are_an_error() -> None:
    for codec in sorted(CODECS):
        kept = GroupDecoder(codec)
        kept.add(group(codec)[1:])
        with pytest.raises(MediaError):
            kept.picture()
