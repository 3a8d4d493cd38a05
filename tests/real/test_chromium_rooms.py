"""Chromium publishes into our own room in every codec: slices hold what camera and mike gave."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
import pytest_asyncio

from slicer.clock import LoopClock
from slicer.media.slice import SliceInfo, make
from slicer.rooms import Context
from slicer.rooms.whip.room import WhipConnector
from slicer.slicing.outputs import AudioCut, PictureCut
from tests.harness.media.content import (
    Content,
    Painter,
    find_beeps,
    is_grey,
    read_frame_number,
    write_wav,
    write_y4m,
)
from tests.harness.media.slices import decode_ogg, mono, read_picture
from tests.harness.rooms.chromium import Chromium, PublishOptions, chromium
from tests.harness.rooms.robot import ROOM, Robot

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
]
CONTENT = Content(Painter(), seconds=8)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Chromium]:
    folder = tmp_path_factory.mktemp("devices")
    write_y4m(folder / "camera.y4m", CONTENT)
    write_wav(folder / "microphone.wav", CONTENT)
    async with chromium(folder / "camera.y4m", folder / "microphone.wav") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def robot() -> AsyncIterator[Robot]:
    robot = Robot(WhipConnector(Context(LoopClock())))
    await robot.enter()
    yield robot
    await robot.rooms.close()


def sounds(robot: Robot) -> list[AudioCut]:
    return [cut for cut in robot.told if isinstance(cut, AudioCut)]


def pictures(robot: Robot) -> list[PictureCut]:
    return [cut for cut in robot.told if isinstance(cut, PictureCut)]


@pytest.mark.parametrize(
    ("codec", "trickle"),
    [("VP8", False), ("VP8", True), ("H264", False), ("VP9", False), ("AV1", True)],
)
async def test_slices_hold_what_was_published(
    browser: Chromium, robot: Robot, codec: str, trickle: bool
) -> None:
    publisher = await browser.publisher()
    options = PublishOptions(codec=codec, trickle=trickle)
    await publisher.start(f"{robot.rooms.endpoint(ROOM)}/ann", options)
    await robot.until(lambda: len(sounds(robot)) >= 4 and len(pictures(robot)) >= 4, seconds=20)
    assert (await publisher.stats())["video"]["codec"] == f"video/{codec}"
    assert await publisher.stop() == 200
    await robot.until(lambda: robot.left() == "ann")

    heard = [
        mono(decode_ogg(make(cut, SliceInfo("k", cut.track, BEGAN)).data))
        for cut in sounds(robot)[:4]
    ]
    assert [sound.size for sound in heard] == [48_000] * 4
    beeps = find_beeps(np.concatenate(heard))
    assert len(beeps) >= 3
    gaps = [after - before for before, after in pairwise(beeps)]
    assert gaps == pytest.approx([1] * len(gaps), abs=1e-3)

    shown = [
        read_picture(make(cut, SliceInfo("k", cut.track, BEGAN)).data)
        for cut in pictures(robot)[:4]
    ]
    assert not any(is_grey(picture) for picture in shown)
    numbers = [read_frame_number(picture) for picture in shown]
    for before, after in pairwise(numbers):
        assert before is not None
        assert after is not None
        # A picture is due each second, and the keyframe asked for comes within half a second.
        assert 7 <= (after - before) % CONTENT.frames <= 23
