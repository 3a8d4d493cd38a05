"""Chromium sends frames that are held askew, and says so (CVO): the pictures stand upright."""

from functools import partial

import numpy as np

from slicer import Kind, SliceParams, VideoSpec
from tests.harness.end_to_end import studio
from tests.harness.media.slices import read_picture
from tests.harness.rooms.chromium import PublishOptions, chromium
from tests.harness.storage.seaweed import Seaweed

# The camera is a canvas whose frames say that they are to be turned by so many degrees clockwise:
# red above, blue below, and one that is turned by 90 degrees has its red on the right.
CAMERA = """rotation => {
  navigator.mediaDevices.getUserMedia = async () => {
    const track = new MediaStreamTrackGenerator({kind: "video"});
    const writer = track.writable.getWriter();
    const canvas = new OffscreenCanvas(320, 180), pen = canvas.getContext("2d");
    let number = 0;
    setInterval(() => {
      pen.fillStyle = "red";
      pen.fillRect(0, 0, 320, 90);
      pen.fillStyle = "blue";
      pen.fillRect(0, 90, 320, 90);
      writer.write(new VideoFrame(canvas, {timestamp: 66_667 * number++, rotation}));
    }, 66);
    return new MediaStream([track]);
  };
}"""


async def test_pictures_of_a_browser_are_turned_as_it_says(seaweed: Seaweed) -> None:
    async with chromium() as browser, studio(seaweed) as stage:
        task = await stage.slice(SliceParams(None, VideoSpec(1)))

        def arrived(anchor: str) -> bool:
            return bool(stage.stored(task, anchor, Kind.VIDEO))

        for degrees in (90, 180):
            page = await browser.publisher()
            await page.show(CAMERA, degrees)
            options = PublishOptions(audio=False, degradation="maintain-resolution")
            await page.start(stage.url(f"turned-{degrees}"), options)
            await stage.until(partial(arrived, f"turned-{degrees}"))
            assert await page.stop() == 200
        assert (await stage.finish(task)).lost == 0
        (askew, *_) = await stage.landed(task, "turned-90", Kind.VIDEO)
        (over, *_) = await stage.landed(task, "turned-180", Kind.VIDEO)
    seen = read_picture(askew.data)
    assert seen.shape == (320, 180, 3)
    left, right = (np.asarray(seen[160, column], int) for column in (30, 150))
    assert right[0] > right[2] + 100, "red"
    assert left[2] > left[0] + 100, "blue"
    seen = read_picture(over.data)
    assert seen.shape == (180, 320, 3)
    assert int(seen[150, 160, 0]) > int(seen[30, 160, 0]) + 100, "red below"
