"""GStreamer publishes H.265 into our room: x265, rtph265pay and webrtcbin, keyframes on request."""

from pathlib import Path

import pytest

from slicer import Kind, SliceParams, VideoSpec
from slicer.slicing.spec import ImageFormat
from tests.harness.end_to_end import studio
from tests.harness.media.content import Content, Painter, is_grey, read_frame_number, write_y4m
from tests.harness.media.slices import read_picture
from tests.harness.rooms.gstreamer import gstreamer, missing
from tests.harness.storage.seaweed import Seaweed

LACKS = missing()
FPS, PICTURES = 15, 5

pytestmark = pytest.mark.skipif(bool(LACKS), reason=f"GStreamer lacks {LACKS}")


@pytest.mark.parametrize(
    ("width", "height", "images", "parameters"),
    [
        (320, 180, ImageFormat.PNG, ""),
        (640, 360, ImageFormat.JPEG, ":slices=3:ctu=16"),
        (1280, 720, ImageFormat.WEBP, ""),
        (642, 362, ImageFormat.PNG, ":aud=1"),
    ],
)
async def test_pictures_of_h265_are_the_frames_due(
    seaweed: Seaweed,
    tmp_path: Path,
    width: int,
    height: int,
    images: ImageFormat,
    parameters: str,
) -> None:
    painter = Painter(width=width, height=height, fps=FPS)
    write_y4m(tmp_path / "camera.y4m", Content(painter, seconds=20))
    async with studio(seaweed) as stage:
        task = await stage.slice(SliceParams(None, VideoSpec(1)), images=images)
        async with gstreamer(stage.url("ann"), tmp_path / "camera.y4m", parameters):
            await stage.until(lambda: len(stage.stored(task, "ann", Kind.VIDEO)) >= PICTURES)
        assert (await stage.finish(task)).lost == 0
        landed = await stage.landed(task, "ann", Kind.VIDEO)
    seen = [read_picture(one.data) for one in landed]
    assert {picture.shape for picture in seen} == {(height, width, 3)}
    assert not any(is_grey(picture) for picture in seen)
    numbers = [read_frame_number(picture) for picture in seen]
    shown = [number / FPS for number in numbers if number is not None]
    assert len(shown) == len(seen) >= PICTURES
    assert len(set(shown)) == len(shown), "never the same one twice"
    print("frames:", numbers)
    # What was encoded while DTLS was not done comes in a burst, and a busy encoder catches up for a
    # while. webrtcbin's first report may come after the test: until then a picture is named by when
    # its frame came, so of these nobody can know the order. From then on pictures keep pace.
    began = [one.told.began.timestamp() for one in landed]
    assert shown[-1] - shown[-3] == pytest.approx(2, abs=0.7)
    assert shown[-1] - shown[-2] == pytest.approx(began[-1] - began[-2], abs=0.1)
