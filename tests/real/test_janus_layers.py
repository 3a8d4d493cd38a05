"""Simulcast and SVC through Janus itself: each task gets the layers that it asks for."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from slicer import Kind, SliceParams, TrackEnded, VideoSpec
from tests.harness.media.slices import read_picture
from tests.harness.network.namespace import own_network
from tests.harness.rooms.chromium import PublishOptions, chromium
from tests.harness.rooms.janus import EXECUTABLE, janus
from tests.harness.rooms.janus_task import ROOM, Watched, watching
from tests.harness.rooms.janus_whip import janus_whip

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no Janus (Debian: janus)")
LAYERS = (("f", 1.0), ("h", 2.0))
"""The larger one first, as janus.js has them: Janus takes the first for the highest."""
WIDTH, HEIGHT = 640, 360
SECONDS = 60
START = 2_000
"""kbit/s. Chromium would begin at 300, with the smaller layer alone, and add the other as its
estimate grows."""


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    with own_network():
        yield


def heights(folder: Path, watched: Watched) -> list[int]:
    """Of the last three pictures."""
    told = sorted(watched.stored("ada", Kind.VIDEO), key=lambda one: one.slice.began)
    kept = [folder / "out" / one.slice.key for one in told[-3:]]
    return [read_picture(one.read_bytes()).shape[0] for one in kept]


async def test_each_task_gets_the_layer_that_is_enough(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(janus(tmp_path / "janus"))
        await server.create(ROOM, videocodec="vp8")
        front = await stack.enter_async_context(janus_whip(ROOM))
        browser = await stack.enter_async_context(chromium())
        page = await browser.publisher()
        options = PublishOptions(audio=False, width=WIDTH, height=HEIGHT, layers=LAYERS)
        await page.begin_at(front.url("ada"), START)
        await page.start(front.url("ada"), options)
        expected = {HEIGHT: None, HEIGHT // 2: 150}
        tasks = dict[int, tuple[Path, Watched]]()
        for height, wanted in expected.items():
            folder = tmp_path / str(height)
            params = SliceParams(None, VideoSpec(2, max_height=wanted), max_idle=60)
            watch = watching(folder, params=params, user=f"robot{height}")
            task = await stack.enter_async_context(watch)
            tasks[height] = folder, task
        async with asyncio.timeout(SECONDS):
            for height, (folder, task) in tasks.items():
                while heights(folder, task) != [height] * 3:
                    await asyncio.sleep(0.2)
        stats = await page.stats()
        assert all(stats[rid]["bytesSent"] for rid, _ in LAYERS), "both layers were sent"
        for height, (folder, task) in tasks.items():
            assert heights(folder, task) == [height] * 3
            assert task.of(TrackEnded) == []


@pytest.mark.parametrize(("codec", "svc"), [("vp9", False), ("vp9", True), ("av1", False)])
async def test_each_task_gets_the_spatial_layers_that_are_enough(
    tmp_path: Path, codec: str, svc: bool
) -> None:
    """L2T3. Janus passes all on, or (*svc*: its `videosvc`) up to a layer of its choice."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(janus(tmp_path / "janus"))
        await server.create(ROOM, videocodec=codec, videosvc=svc)
        front = await stack.enter_async_context(janus_whip(ROOM))
        browser = await stack.enter_async_context(chromium())
        page = await browser.publisher()
        options = PublishOptions(
            audio=False, codec=codec.upper(), width=WIDTH, height=HEIGHT, scalability="L2T3"
        )
        await page.begin_at(front.url("ada", codec), START)
        await page.start(front.url("ada", codec), options)
        tasks = dict[int, tuple[Path, Watched]]()
        for height, wanted in {HEIGHT: None, HEIGHT // 2: 150}.items():
            folder = tmp_path / str(height)
            params = SliceParams(None, VideoSpec(2, max_height=wanted), max_idle=60)
            watch = watching(folder, params=params, user=f"robot{height}")
            tasks[height] = folder, await stack.enter_async_context(watch)
        async with asyncio.timeout(SECONDS):
            for height, (folder, task) in tasks.items():
                while heights(folder, task) != [height] * 3:
                    await asyncio.sleep(0.2)
        assert (await page.stats())["video"]["scalabilityMode"] == "L2T3"
        for _, task in tasks.values():
            assert task.of(TrackEnded) == []
