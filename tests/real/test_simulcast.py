"""Chromium publishes three layers, by simulcast in whatever order or by SVC: the largest is sliced,
or the one that is asked for."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from slicer.clock import LoopClock
from slicer.media.slice import SliceInfo, make
from slicer.rooms import Context
from slicer.rooms.whip.room import WhipConnector
from slicer.slicing.outputs import PictureCut
from slicer.slicing.spec import VideoSpec
from tests.harness.media.slices import read_picture
from tests.harness.rooms.chromium import Chromium, Publisher, PublishOptions, chromium
from tests.harness.rooms.robot import ROOM, Robot

pytestmark = [pytest.mark.asyncio(loop_scope="module")]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
LAYERS = {"q": 4.0, "h": 2.0, "f": 1.0}
WIDTH, HEIGHT = 1280, 720
SECONDS = 60
START = 4_000
"""kbit/s. Chromium would begin at 300, with the smallest layer alone, and add the others as its
estimate grows."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Chromium]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def robot() -> AsyncIterator[Robot]:
    robot = Robot(WhipConnector(Context(LoopClock())))
    await robot.enter()
    yield robot
    await robot.rooms.close()


class Heights:
    """The heights of the pictures so far, each decoded once."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self._known: list[int] = []

    def __call__(self) -> list[int]:
        cuts = [cut for cut in self._robot.told if isinstance(cut, PictureCut)]
        for cut in cuts[len(self._known) :]:
            picture = read_picture(make(cut, SliceInfo("k", cut.track, BEGAN)).data)
            self._known.append(picture.shape[0])
        return self._known


async def start(publisher: Publisher, url: str, options: PublishOptions) -> None:
    """Publish with all layers from the first second."""
    await publisher.begin_at(url, START)
    await publisher.start(url, options)


async def all_are_sent(publisher: Publisher) -> bool:
    stats = await publisher.stats()
    return all(rid in stats and stats[rid]["bytesSent"] for rid in LAYERS)


async def test_the_layer_that_is_asked_for_is_sliced(browser: Chromium) -> None:
    robot = Robot(WhipConnector(Context(LoopClock())), video=VideoSpec(1, max_height=300))
    await robot.enter()
    publisher, heights = await browser.publisher(), Heights(robot)
    layers = tuple(LAYERS.items())
    options = PublishOptions(audio=False, width=WIDTH, height=HEIGHT, fps=15, layers=layers)
    await start(publisher, f"{robot.rooms.endpoint(ROOM)}/ann", options)
    try:
        async with asyncio.timeout(SECONDS):
            while not await all_are_sent(publisher):
                await asyncio.sleep(0.1)
        await robot.until(lambda: HEIGHT // 2 in heights()[-1:], seconds=20)
        settled = len(heights())
        await robot.until(lambda: len(heights()) >= settled + 5, seconds=20)
        assert set(heights()[settled:]) == {HEIGHT // 2}, "of 180, 360 and 720, for 300"
        assert await publisher.stop() == 200
    finally:
        await robot.rooms.close()


@pytest.mark.parametrize("codec", ["VP9", "AV1"])
async def test_of_svc_the_highest_spatial_layer_is_sliced(
    browser: Chromium, robot: Robot, codec: str
) -> None:
    """Three spatial layers in one stream, each predicted from the one below."""
    publisher, heights = await browser.publisher(), Heights(robot)
    options = PublishOptions(
        audio=False, codec=codec, width=WIDTH, height=HEIGHT, fps=15, scalability="L3T3"
    )
    await start(publisher, f"{robot.rooms.endpoint(ROOM)}/ann", options)
    await robot.until(lambda: HEIGHT in heights()[-1:], seconds=SECONDS)
    settled = len(heights())
    await robot.until(lambda: len(heights()) >= settled + 3, seconds=20)
    print(codec, heights(), robot.rooms.counters)
    assert set(heights()[settled:]) == {HEIGHT}
    assert (await publisher.stats())["video"]["scalabilityMode"] == "L3T3"
    assert await publisher.stop() == 200


@pytest.mark.parametrize(
    ("codec", "mode"), [("VP9", "L3T3"), ("VP9", "L3T3_KEY"), ("AV1", "L3T3"), ("AV1", "L3T3_KEY")]
)
async def test_of_svc_the_layers_that_are_asked_for_are_sliced(
    browser: Chromium, codec: str, mode: str
) -> None:
    """In L3T3_KEY a layer is predicted from the one below in keyframes alone."""
    robot = Robot(WhipConnector(Context(LoopClock())), video=VideoSpec(1, max_height=300))
    await robot.enter()
    publisher, heights = await browser.publisher(), Heights(robot)
    options = PublishOptions(
        audio=False, codec=codec, width=WIDTH, height=HEIGHT, fps=15, scalability=mode
    )
    await start(publisher, f"{robot.rooms.endpoint(ROOM)}/ann", options)
    try:
        async with asyncio.timeout(SECONDS):
            while (await publisher.stats())["video"].get("frameHeight") != HEIGHT:
                await asyncio.sleep(0.1)
        settled = len(heights())
        await robot.until(lambda: len(heights()) >= settled + 5, seconds=20)
        print(codec, mode, heights(), robot.rooms.counters)
        assert (await publisher.stats())["video"]["scalabilityMode"] == mode
        assert set(heights()[settled + 1 :]) == {HEIGHT // 2}, "of 180, 360 and 720, for 300"
        assert await publisher.stop() == 200
    finally:
        await robot.rooms.close()


@pytest.mark.parametrize(("codec", "order"), [("VP8", "qhf"), ("VP8", "fhq"), ("H264", "qhf")])
async def test_the_largest_layer_is_sliced(
    browser: Chromium, robot: Robot, codec: str, order: str
) -> None:
    publisher, heights = await browser.publisher(), Heights(robot)
    layers = tuple((rid, LAYERS[rid]) for rid in order)
    options = PublishOptions(
        audio=False, codec=codec, width=WIDTH, height=HEIGHT, fps=15, layers=layers
    )
    await start(publisher, f"{robot.rooms.endpoint(ROOM)}/ann", options)
    await robot.until(lambda: HEIGHT in heights()[-1:], seconds=SECONDS)
    settled = len(heights())
    await robot.until(lambda: len(heights()) >= settled + 5, seconds=20)
    stats = await publisher.stats()
    print(codec, order, heights(), {rid: stats[rid]["bytesSent"] for rid in LAYERS})
    assert set(heights()[settled:]) == {HEIGHT}
    assert all(stats[rid]["bytesSent"] for rid in LAYERS), "all layers were sent"

    await publisher.activate("f", False)
    await robot.until(lambda: heights()[-1] == HEIGHT // 2, seconds=20)
    await publisher.activate("f", True)
    await robot.until(lambda: heights()[-1] == HEIGHT, seconds=SECONDS)
    print(codec, order, heights(), robot.rooms.counters)
    assert await publisher.stop() == 200
