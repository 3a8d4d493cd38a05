"""What stands still for seconds: the path, which then gives all at once, or the browser itself."""

import asyncio
import os
import signal
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from slicer import AudioSpec, Kind, SliceParams, SliceStored, TrackStarted, VideoSpec
from tests.harness.end_to_end import studio
from tests.harness.media.content import SAMPLE_RATE
from tests.harness.media.slices import decode_ogg, mono
from tests.harness.rooms.chromium import PublishOptions, chromium
from tests.harness.rooms.relay import relay
from tests.harness.storage.seaweed import Seaweed

SECONDS, HELD, FROZEN = 2, 5.0, 3.0


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


async def test_a_browser_that_was_frozen_names_its_slices_right_once_a_report_has_come(
    seaweed: Seaweed, devices: tuple[Path, Path]
) -> None:
    async with chromium(*devices) as browser, studio(seaweed) as stage:
        began = datetime.now(UTC)
        task = await stage.slice(SliceParams(AudioSpec(SECONDS), VideoSpec(1)))
        page = await browser.publisher()
        await page.start(stage.url("ann"), PublishOptions(degradation="maintain-resolution"))

        def names(kind: Kind, since: datetime) -> list[float]:
            """By how many seconds each slice that was told since then was told after its end."""
            return [
                (event.at - event.slice.began).total_seconds() - event.slice.seconds
                for event in stage.told(SliceStored)
                if event.slice.kind is kind and event.at > since
            ]

        await stage.until(lambda: len(names(Kind.AUDIO, began)) >= 4, seconds=40)
        usual = {kind: min(names(kind, began)) for kind in Kind}
        os.killpg(browser.pid, signal.SIGSTOP)
        await asyncio.sleep(FROZEN)
        os.killpg(browser.pid, signal.SIGCONT)
        again = datetime.now(UTC)

        def right(kind: Kind) -> bool:
            """Of the last three slices one is named as before the freeze."""
            late = names(kind, again)[-3:]
            return len(late) == 3 and abs(min(late) - usual[kind]) < 1.0

        # A frozen clock shifts no name for good: by the second report it is known.
        await stage.until(lambda: all(right(kind) for kind in Kind), seconds=25)
        print(usual, [[round(each, 2) for each in names(kind, began)] for kind in Kind])
        assert await page.stop() == 200
        assert (await stage.finish(task)).lost == 0
