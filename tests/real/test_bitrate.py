"""What a real sender makes of our feedback: Chromium stays below `whip.max_bitrate`, and else sends
as much as it would without us."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from slicer import Kind, SliceParams, VideoSpec
from slicer.clock import LoopClock
from slicer.rooms import Context
from slicer.rooms.whip.room import WhipConnector
from slicer.rooms.whip.settings import WhipSettings
from slicer.slicing.outputs import PictureCut
from tests.harness.network.namespace import own_network
from tests.harness.rooms.chromium import Publisher, PublishOptions, chromium
from tests.harness.rooms.janus import EXECUTABLE, janus
from tests.harness.rooms.janus_task import ROOM as JANUS_ROOM
from tests.harness.rooms.janus_task import watching
from tests.harness.rooms.janus_whip import janus_whip
from tests.harness.rooms.robot import ROOM, Robot

CAP = 200_000
"""Bit/s. Chromium begins at 300 000, and without a cap goes up from there."""
FREE, HELD = 600_000, 450_000
"""Bit/s that Chromium's estimate passes within seconds where nothing is lost or late, and that it
then keeps above."""
COMPARED = ("targetBitrate", "frameHeight")


@asynccontextmanager
async def publishing(max_bitrate: int = 0) -> AsyncIterator[tuple[Robot, Publisher]]:
    """Chromium in a room of our own, once the first picture of it is there."""
    settings = WhipSettings(max_bitrate=max_bitrate)
    robot = Robot(WhipConnector(Context(LoopClock(), whip=settings)))
    await robot.enter()
    async with chromium() as browser:
        page = await browser.publisher()
        options = PublishOptions(audio=False, width=1280, height=720)
        await page.start(f"{robot.rooms.endpoint(ROOM)}/ann", options)
        await robot.until(lambda: robot.cuts(PictureCut))
        yield robot, page
        assert await page.stop() == 200
    await robot.rooms.close()


async def pictures(robot: Robot, more: int) -> None:
    there = len(robot.cuts(PictureCut))
    await robot.until(lambda: len(robot.cuts(PictureCut)) >= there + more)


async def test_chromium_stays_below_the_cap() -> None:
    async with publishing(CAP) as (robot, page):
        async with asyncio.timeout(20):
            while (await page.stats())["availableOutgoingBitrate"] > CAP:
                await asyncio.sleep(0.1)
        await pictures(robot, 4)
        stats = await page.stats()
        assert stats["availableOutgoingBitrate"] <= CAP
        assert stats["video"]["targetBitrate"] <= CAP


async def test_without_a_cap_what_we_drop_unread_lowers_no_estimate() -> None:
    """Between two pictures all video is asleep: it is acknowledged, and neither read nor asked for
    again."""
    async with publishing() as (robot, page):
        async with asyncio.timeout(30):
            while (await page.stats())["availableOutgoingBitrate"] < FREE:
                await asyncio.sleep(0.1)
        for _ in range(4):
            await pictures(robot, 1)
            stats = await page.stats()
            print(stats["availableOutgoingBitrate"], stats["video"]["targetBitrate"])
            assert stats["availableOutgoingBitrate"] >= HELD
        assert robot.rooms.counters["asleep"] > 0


@pytest.fixture
def network() -> Iterator[None]:
    with own_network():
        yield


@pytest.mark.skipif(EXECUTABLE is None, reason="no Janus (Debian: janus)")
@pytest.mark.usefixtures("network")
async def test_what_a_room_of_janus_gets_is_no_less_with_us(tmp_path: Path) -> None:
    """Janus passes on to everybody what the publisher sends, so that is looked at."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(janus(tmp_path / "janus"))
        await server.create(JANUS_ROOM, videocodec="vp8")
        front = await stack.enter_async_context(janus_whip(JANUS_ROOM))
        browser = await stack.enter_async_context(chromium())
        page = await browser.publisher()
        await page.start(front.url("ada"), PublishOptions(audio=False))
        async with asyncio.timeout(30):
            while (await page.stats())["video"].get("targetBitrate", 0) < 0.9 * 300_000:
                await asyncio.sleep(0.2)
        alone = await page.stats()
        params = SliceParams(None, VideoSpec(1), max_idle=60)
        task = await stack.enter_async_context(watching(tmp_path, params=params))
        await task.until(lambda: len(task.stored("ada", Kind.VIDEO)) >= 6)
        shared = await page.stats()
        print({name: (alone["video"].get(name), shared["video"].get(name)) for name in COMPARED})
        assert shared["availableOutgoingBitrate"] >= 0.95 * alone["availableOutgoingBitrate"]
        for name in COMPARED:
            assert shared["video"][name] >= 0.95 * alone["video"][name], name
        asked = shared["video"]["keyFramesEncoded"] - alone["video"]["keyFramesEncoded"]
        # A picture is a keyframe; Janus asks for one as we come, and as a video is resumed.
        assert asked <= 2 * len(task.stored("ada", Kind.VIDEO)) + 2
