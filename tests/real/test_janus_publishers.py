"""Publishers in a room of Janus itself that people use: Chromium and libwebrtc, in VP8 and H.264.
What is stored holds what they sent: beeps a second apart, and pictures with rising numbers.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from slicer import AudioSpec, Kind, SliceParams, TrackEnded, VideoSpec
from tests.harness.media.content import SAMPLE_RATE, find_beeps, is_grey, read_frame_number
from tests.harness.media.slices import decode_ogg, mono, read_picture
from tests.harness.network.namespace import own_network
from tests.harness.rooms import libwebrtc
from tests.harness.rooms.chromium import PublishOptions, chromium
from tests.harness.rooms.janus import EXECUTABLE, janus
from tests.harness.rooms.janus_task import ROOM, Watched, watching
from tests.harness.rooms.janus_whip import janus_whip

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no Janus (Debian: janus)")
PARAMS = SliceParams(AudioSpec(2), VideoSpec(2), max_idle=60)
SLICES = 3


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    with own_network():
        yield


def files(folder: Path, watched: Watched, anchor: str, kind: Kind) -> list[bytes]:
    """The first slices of a track, in order."""
    told = sorted((one.slice for one in watched.stored(anchor, kind)), key=lambda one: one.began)
    return [(folder / "out" / one.key).read_bytes() for one in told[:SLICES]]


def hold_beeps(parts: list[bytes]) -> None:
    samples = [mono(decode_ogg(part)) for part in parts]
    assert [part.size for part in samples] == [2 * SAMPLE_RATE] * SLICES
    beeps = find_beeps(np.concatenate(samples))
    assert len(beeps) >= 2 * SLICES - 1
    assert np.diff(beeps) == pytest.approx(np.ones(len(beeps) - 1), abs=5e-3)


def hold_numbers(parts: list[bytes], frames: int, fps: int = 15) -> None:
    """Pictures two seconds apart; a keyframe that was asked for may be late by some frames."""
    shown = [read_picture(part) for part in parts]
    assert not any(is_grey(picture) for picture in shown)
    numbers = [read_frame_number(picture) for picture in shown]
    for before, after in pairwise(numbers):
        assert before is not None
        assert after is not None
        assert fps <= (after - before) % frames <= 3 * fps


async def test_chromium_and_libwebrtc(tmp_path: Path, devices: tuple[Path, Path]) -> None:
    camera, microphone = devices
    sent = {("vp8", Kind.AUDIO), ("vp8", Kind.VIDEO), ("h264", Kind.AUDIO), ("h264", Kind.VIDEO)}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(janus(tmp_path / "janus"))
        await server.create(ROOM, videocodec="vp8,h264")
        front = await stack.enter_async_context(janus_whip(ROOM))
        watched = await stack.enter_async_context(watching(tmp_path, params=PARAMS))
        browser = await stack.enter_async_context(chromium(camera, microphone))
        for codec in ("vp8", "h264"):
            page = await browser.publisher()
            options = PublishOptions(codec=codec.upper(), degradation="maintain-resolution")
            await page.start(front.url(codec, codec), options)
        if not libwebrtc.missing():
            for kind, file in ((Kind.AUDIO, microphone), (Kind.VIDEO, camera)):
                name = f"libwebrtc-{kind}"
                await stack.enter_async_context(libwebrtc.libwebrtc(front.url(name), file))
                sent.add((name, kind))
        await watched.until(lambda: all(len(watched.stored(*one)) >= SLICES for one in sent), 60)
        assert watched.of(TrackEnded) == []
        for name, kind in sorted(sent):
            parts = files(tmp_path, watched, name, kind)
            if kind is Kind.AUDIO:
                await asyncio.to_thread(hold_beeps, parts)
            else:
                await asyncio.to_thread(hold_numbers, parts, 300)
