"""What `whip.max_bitrate` asks of a real sender: Chromium stays below it."""

import asyncio

from slicer.clock import LoopClock
from slicer.rooms import Context
from slicer.rooms.whip.room import WhipConnector
from slicer.rooms.whip.settings import WhipSettings
from slicer.slicing.outputs import PictureCut
from tests.harness.rooms.chromium import PublishOptions, chromium
from tests.harness.rooms.robot import ROOM, Robot

CAP = 200_000
"""Bit/s. Chromium begins at 300 000, and without a cap goes up from there."""


async def test_chromium_stays_below_the_cap() -> None:
    settings = WhipSettings(max_bitrate=CAP)
    robot = Robot(WhipConnector(Context(LoopClock(), whip=settings)))
    await robot.enter()
    async with chromium() as browser:
        publisher = await browser.publisher()
        await publisher.start(f"{robot.rooms.endpoint(ROOM)}/ann", PublishOptions(audio=False))
        await robot.until(lambda: robot.cuts(PictureCut))
        async with asyncio.timeout(20):
            while (await publisher.stats())["availableOutgoingBitrate"] > CAP:
                await asyncio.sleep(0.1)
        pictures = len(robot.cuts(PictureCut))
        await robot.until(lambda: len(robot.cuts(PictureCut)) >= pictures + 4)
        stats = await publisher.stats()
        assert stats["availableOutgoingBitrate"] <= CAP
        assert stats["video"]["targetBitrate"] <= CAP
        assert await publisher.stop() == 200
    await robot.rooms.close()
