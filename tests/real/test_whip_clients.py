"""FFmpeg's WHIP muxer publishes into our own room."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from slicer.clock import LoopClock
from slicer.rooms import Context
from slicer.rooms.whip.room import WhipConnector
from slicer.rooms.whip.settings import WhipSettings
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorJoined, TrackPublished
from slicer.slicing.outputs import AudioCut, PictureCut
from tests.harness.rooms.robot import ROOM, Robot
from tests.harness.rooms.whip_muxer import muxer

SILENCE = 2.0


@pytest.fixture
async def robot() -> AsyncIterator[Robot]:
    robot = Robot(WhipConnector(Context(LoopClock(), WhipSettings(silence=SILENCE))))
    await robot.enter()
    yield robot
    await robot.rooms.close()


async def test_the_muxer_publishes_and_deletes(robot: Robot) -> None:
    async with muxer(robot.rooms.endpoint(ROOM) + "/ann", bearer="token"):
        await robot.until(
            lambda: len(robot.cuts(AudioCut)) >= 3 and len(robot.cuts(PictureCut)) >= 2, 20
        )
    # The muxer says goodbye by DELETE: it does not take a silence to know.
    await robot.until(lambda: robot.left() == "ann", SILENCE / 2)
    assert robot.facts()[1:4] == [
        AnchorJoined("ann"),
        TrackPublished("ann", Kind.AUDIO),
        TrackPublished("ann", Kind.VIDEO),
    ]
    sound = [one for one in robot.told if isinstance(one, AudioCut)]
    assert {one.codec.name for one in sound} == {"opus"}
    assert {one.end - one.start for one in sound[:-1]} == {48_000}
    assert [one.start for one in sound[1:]] == [one.end for one in sound[:-1]]
    pictures = [one for one in robot.told if isinstance(one, PictureCut)]
    assert {one.codec.name for one in pictures} == {"h264"}


async def test_a_killed_muxer_is_noticed(robot: Robot) -> None:
    # The harness finds its process gone when it wants to end it.
    with suppress(ProcessLookupError):
        async with muxer(robot.rooms.endpoint(ROOM) + "/ann") as pid:
            await robot.until(lambda: robot.cuts(AudioCut), 20)
            os.kill(pid, signal.SIGKILL)
            began = asyncio.get_running_loop().time()
            await robot.until(lambda: robot.left() == "ann", SILENCE * 2)
            assert asyncio.get_running_loop().time() - began > SILENCE / 2
    assert robot.left() == "ann"
