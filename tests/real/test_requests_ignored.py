"""FFmpeg's WHIP muxer, said to take requests for keyframes: it gets them, and ignores every one."""

from contextlib import AsyncExitStack
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import pytest_asyncio

from slicer import Kind, PicturesMissing, SliceParams, VideoSpec
from tests.harness.end_to_end import studio
from tests.harness.media.content import Content, Encoding, Painter, encode, read_frame_number
from tests.harness.media.slices import read_picture
from tests.harness.rooms.offer_front import asks_for_keyframes, offer_front
from tests.harness.rooms.whip_muxer import muxer
from tests.harness.storage.seaweed import Seaweed

FPS, PICTURES = 15, 8
GROUPS = {"short": 4, "long": 20, "fast": 20}
"""Seconds from keyframe to keyframe, of each anchor."""
RATE = 20_000_000


def encode_fast(path: Path) -> None:
    """720p at 20 Mbit/s: frames with their number, and noise above it."""
    painter = Painter(width=1280, height=720, fps=FPS)
    noise = np.random.default_rng(1).integers(0, 256, (3, 400, 1280, 3), np.uint8)
    options = {"preset": "ultrafast", "profile": "baseline", "tune": "zerolatency"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = painter.width, painter.height, "yuv420p"
        stream.codec_context.bit_rate, stream.codec_context.gop_size = RATE, GROUPS["fast"] * FPS
        for number in range((PICTURES + 4) * FPS):
            drawn = painter.draw(number)
            drawn[:400] = noise[number % 3]
            frame = av.VideoFrame.from_ndarray(drawn, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def frames(
    seaweed: Seaweed, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[int | None]]:
    """The frame numbers that the pictures of each anchor show; one is due every second."""
    folder = tmp_path_factory.mktemp("ignored")
    content = Content(Painter(width=320, height=180, fps=FPS))
    files = {who: folder / f"{who}.mp4" for who in GROUPS}
    for who in ("short", "long"):
        encode(files[who], content, Encoding("h264", None, gop=GROUPS[who] * FPS))
    encode_fast(files["fast"])
    size = files["fast"].stat().st_size
    print("Mbit/s:", size * 8 / (PICTURES + 4) / 1e6)
    assert size * 8 / (PICTURES + 4) > 0.9 * RATE
    async with studio(seaweed) as stage, AsyncExitStack() as stack:
        task = await stage.slice(SliceParams(None, VideoSpec(1)))
        for who, file in files.items():
            url = await stack.enter_async_context(offer_front(stage.url(who), asks_for_keyframes))
            await stack.enter_async_context(muxer(url, file))
        await stage.until(
            lambda: all(len(stage.stored(task, who, Kind.VIDEO)) >= PICTURES for who in GROUPS)
        )
        assert (await stage.finish(task)).lost == 0
        assert stage.told(PicturesMissing) == []
        landed = {who: await stage.landed(task, who, Kind.VIDEO) for who in GROUPS}
        return {
            who: [read_frame_number(read_picture(one.data)) for one in pictures[:PICTURES]]
            for who, pictures in landed.items()
        }


@pytest.mark.parametrize("anchor", GROUPS)
def test_every_picture_is_the_frame_due(frames: dict[str, list[int | None]], anchor: str) -> None:
    """From the first group on, whether or not a keyframe of its own falls near a request."""
    assert frames[anchor] == [number * FPS for number in range(PICTURES)]
