"""What a cut and a picture cost to make, by length, codec, format and size."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from slicer.media import image, ogg, picture, transcode
from slicer.slicing.outputs import AudioPacket
from slicer.slicing.spec import ImageFormat
from tests.harness.media.audio import make_audio
from tests.harness.media.encoder import encode_pictures
from tests.harness.media.opus import encode
from tests.harness.media.picture import Painter

SIZES = {"360p": (640, 360), "720p": (1280, 720), "1080p": (1920, 1080)}
SECONDS = 15
# Keyframes of 20 to 90 KB at 720p, as cameras send them.
CRF = {"vp8": 45, "vp9": 35, "h264": 27, "av1": 30}


@cache
def sound() -> Sequence[AudioPacket]:
    return encode(make_audio(SECONDS + 1), bit_rate=32_000)


@cache
def keyframe(codec: str, size: str) -> bytes:
    """A painted picture with a camera's noise: pictures without it cost too little."""
    width, height = SIZES[size]
    painted = Painter(width=width, height=height).draw(1)
    noise = np.random.default_rng(1).normal(0, 3, painted.shape)
    return encode_pictures(
        codec, [np.clip(painted + noise, 0, 255).astype(np.uint8)], crf=CRF[codec]
    )[0]


@pytest.mark.benchmark(group="sound, 15 s")
def test_opus(benchmark: BenchmarkFixture) -> None:
    start = 10_000
    file = benchmark(ogg.write, sound(), start, start + SECONDS * 48_000)
    assert file.startswith(b"OggS")


@pytest.mark.benchmark(group="sound, 15 s")
def test_opus_with_every_tenth_packet_lost(benchmark: BenchmarkFixture) -> None:
    came = [packet for number, packet in enumerate(sound()) if number % 10]
    file = benchmark(ogg.write, came, 10_000, 10_000 + SECONDS * 48_000)
    assert file.startswith(b"OggS")


@pytest.mark.benchmark(group="sound, 15 s")
@pytest.mark.parametrize("codec", sorted(transcode.CODECS))
def test_transcode(benchmark: BenchmarkFixture, codec: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (SECONDS * 50, 160), np.uint8)
    packets = [AudioPacket(n * 160, 160, payload.tobytes()) for n, payload in enumerate(noise)]
    file = benchmark(transcode.write, codec, packets, 0, SECONDS * 8_000)
    assert file.startswith(b"OggS")


@pytest.mark.benchmark(group="picture")
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("image_format", ImageFormat)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_picture(
    benchmark: BenchmarkFixture,
    monkeypatch: pytest.MonkeyPatch,
    codec: str,
    size: str,
    image_format: ImageFormat,
    fast: bool,
) -> None:
    if fast and (not image.FAST or image_format is ImageFormat.WEBP):
        pytest.skip("the extra `fast` is not installed, or changes nothing here")
    monkeypatch.setattr(image, "FAST", fast)
    made = benchmark(picture.write, codec, [keyframe(codec, size)], image_format)
    assert (made.width, made.height) == SIZES[size]


@pytest.mark.benchmark(group="decoding alone")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("codec", sorted(picture.CODECS))
def test_decode(benchmark: BenchmarkFixture, codec: str, size: str) -> None:
    frame = benchmark(picture.decode, codec, [keyframe(codec, size)])
    assert frame.width == SIZES[size][0]
