"""Chromium publishes over a path that keeps everything for seconds, and then gives it at once."""

import asyncio
from itertools import pairwise
from pathlib import Path

from slicer import AudioSpec, Kind, SliceParams, TrackStarted, VideoSpec
from tests.harness.end_to_end import studio
from tests.harness.media.content import SAMPLE_RATE
from tests.harness.media.slices import decode_ogg, mono
from tests.harness.rooms.chromium import PublishOptions, chromium
from tests.harness.rooms.relay import relay
from tests.harness.storage.seaweed import Seaweed

SECONDS, HELD = 2, 5.0


async def test_slices_are_whole_and_named_as_if_nothing_had_been_held(
    seaweed: Seaweed, devices: tuple[Path, Path]
) -> None:
    async with relay(seed=1) as path, chromium(*devices) as browser, studio(seaweed) as stage:
        task = await stage.slice(SliceParams(AudioSpec(SECONDS), VideoSpec(1)))
        url = stage.url("ann")
        page = await browser.publisher()
        await page.amend(url, path.offer, path.answer)
        await page.start(url, PublishOptions(degradation="maintain-resolution"))

        async def more(slices: int) -> None:
            there = len(stage.stored(task, "ann", Kind.AUDIO))
            await stage.until(
                lambda: len(stage.stored(task, "ann", Kind.AUDIO)) >= there + slices, seconds=40
            )

        await more(2)
        path.hold()
        await asyncio.sleep(HELD)
        path.release()
        await more(4)
        assert await page.stop() == 200
        assert (await stage.finish(task)).lost == 0
        assert len(stage.told(TrackStarted)) == 2, "nobody left and came again"
        audio = await stage.landed(task, "ann", Kind.AUDIO)
        told = [one.told for one in audio]
        print([(str(one.began), one.seconds) for one in told])
        assert [one.seconds for one in told[:-1]] == [SECONDS] * (len(told) - 1)
        for one in audio:
            assert mono(decode_ogg(one.data)).size == round(one.told.seconds * SAMPLE_RATE)
        for before, after in pairwise(told):
            assert abs((after.began - before.began).total_seconds() - SECONDS) < 0.1
