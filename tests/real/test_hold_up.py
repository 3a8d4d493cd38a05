"""What stands still for seconds: the path, which then gives all at once, or the browser itself."""

import asyncio
import os
import signal
from itertools import pairwise
from pathlib import Path
from statistics import median

from slicer import AudioSpec, Kind, SliceParams, TrackStarted, VideoSpec
from tests.harness.end_to_end import studio
from tests.harness.media.content import SAMPLE_RATE, find_beeps
from tests.harness.media.slices import decode_ogg, mono, read_picture
from tests.harness.rooms.chromium import PublishOptions, chromium
from tests.harness.rooms.relay import relay
from tests.harness.storage.seaweed import Seaweed

SECONDS, HELD = 2, 5.0
FROZEN = (3.4, 0.8, 0.8)
BEFORE, AFTER = 8, 12
"""Slices: Chromium reports its audio every five seconds, and two reports confirm its clock."""
WITHIN = 0.03
"""Seconds: the page's timers are off by some milliseconds themselves."""

# A microphone that beeps for 60 ms at each full second of the clock, and a camera in whose frames a
# bar tells the seconds of it, modulo ten.
CLOCK = """() => {
  navigator.mediaDevices.getUserMedia = async () => {
    const video = new MediaStreamTrackGenerator({kind: "video"});
    const audio = new MediaStreamTrackGenerator({kind: "audio"});
    const frames = video.writable.getWriter(), samples = audio.writable.getWriter();
    const canvas = new OffscreenCanvas(640, 360), pen = canvas.getContext("2d");
    setInterval(() => {
      pen.fillStyle = "black";
      pen.fillRect(0, 0, 640, 360);
      pen.fillStyle = "white";
      pen.fillRect(0, 0, 640 * (Date.now() % 10000) / 10000, 360);
      frames.write(new VideoFrame(canvas, {timestamp: 1000 * performance.now()}));
    }, 66);
    const now = () => 10 * Math.floor(Date.now() / 10);
    let next = now();
    setInterval(() => {
      if (now() - next > 200) next = now();
      for (; next <= now(); next += 10) {
        const beeps = next % 1000 < 60;
        const data = new Float32Array(480).map(
          (_, number) => beeps ? Math.sin(2 * Math.PI * number / 48) / 2 : 0);
        samples.write(new AudioData({
          format: "f32", sampleRate: 48000, numberOfFrames: 480, numberOfChannels: 1,
          timestamp: 1000 * performance.now(), data}));
      }
    }, 10);
    return new MediaStream([audio, video]);
  };
}"""


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


def off(names: list[float], every: float) -> tuple[float, list[float]]:
    """What names are off by, of content that tells its time modulo *every*: usually, and each by
    how much more."""
    usual = median((name + every / 2) % every - every / 2 for name in names[:BEFORE])
    return usual, [(name - usual + every / 2) % every - every / 2 for name in names]


async def test_a_browser_that_is_frozen_again_and_again_names_its_slices_right(
    seaweed: Seaweed, devices: tuple[Path, Path]
) -> None:
    """It beeps at each full second of the machine's clock, and its pictures show that clock."""
    async with chromium(*devices) as browser, studio(seaweed) as stage:
        task = await stage.slice(SliceParams(AudioSpec(1), VideoSpec(1)))
        page = await browser.publisher()
        await page.show(CLOCK, None)
        await page.start(stage.url("ann"), PublishOptions(degradation="maintain-resolution"))

        async def more(slices: int) -> None:
            there = len(stage.stored(task, "ann", Kind.AUDIO))
            await stage.until(
                lambda: len(stage.stored(task, "ann", Kind.AUDIO)) >= there + slices, seconds=40
            )

        await more(BEFORE)
        for seconds in FROZEN:
            os.killpg(browser.pid, signal.SIGSTOP)
            await asyncio.sleep(seconds)
            os.killpg(browser.pid, signal.SIGCONT)
            await more(2)
        await more(AFTER)
        assert await page.stop() == 200
        assert (await stage.finish(task)).lost == 0
        beeps = [
            one.told.began.timestamp() + beep
            for one in await stage.landed(task, "ann", Kind.AUDIO)
            for beep in find_beeps(mono(decode_ogg(one.data)))[:1]
        ]
        shown = [
            one.told.began.timestamp() - 10 * float(read_picture(one.data)[..., 1].mean()) / 255
            for one in await stage.landed(task, "ann", Kind.VIDEO)
        ]
    for kind, (usual, wrong) in (("beeps", off(beeps, 1)), ("pictures", off(shown, 10))):
        print(kind, f"usually {usual:.3f} s off, then", [round(each, 3) for each in wrong])
        assert len(wrong) >= BEFORE + AFTER
        assert abs(usual) < 0.1
        # A slice that goes on behind a stall has its beep where the stall is left out.
        assert sum(abs(each) > WITHIN for each in wrong) <= len(FROZEN)
        assert max(map(abs, wrong[-6:])) < WITHIN
