"""How late pictures are with an encoder that answers a PLI: libwebrtc's, in a real Chromium.

`python -m bench.lateness [--seconds N]`: the browser publishes a camera whose pictures carry their
numbers, in VP8 and in H.264, to a room of an engine; a picture every 2 s. It is late by the
frames between the one due and the one shown, counted from the first.
"""

import argparse
import asyncio
import tempfile
from itertools import accumulate, pairwise
from pathlib import Path
from urllib.parse import urlsplit

import slicer
from bench.peers.outputs import frame_number
from bench.peers.statistics import quantile
from slicer.hot import IMPLEMENTATION
from slicer.rooms.whip.room import WhipConnector
from tests.harness.media.content import Content, write_wav, write_y4m
from tests.harness.rooms.chromium import PublishOptions, chromium

ROOM = "whip://127.0.0.1:0/late"
EVERY, FPS, ROUND = 2, 15, 20
"""Seconds between pictures, frames a second, seconds of the camera's film."""
SETTLING = 2
"""Pictures after which the browser's bitrate has risen; those before are not counted."""


async def publish(folder: Path, codec: str, seconds: float) -> None:
    """Slice what a browser publishes, for so long."""
    content = Content(seconds=ROUND)
    camera, microphone = folder / "camera.y4m", folder / "microphone.wav"
    write_y4m(camera, content)
    write_wav(microphone, content)
    params = slicer.SliceParams(None, slicer.VideoSpec(EVERY))
    spec = slicer.TaskSpec(ROOM, f"file://{folder}", params, slicer.ImageFormat.PNG, task=codec)
    async with slicer.Engine() as engine, chromium(camera, microphone) as browser:
        task = await engine.create(spec)
        rooms = engine.connector("whip")
        assert isinstance(rooms, WhipConnector)
        page = await browser.publisher()
        url = f"{rooms.endpoint(urlsplit(ROOM))}/browser"
        await page.start(url, PublishOptions(codec=codec, fps=FPS))
        await asyncio.sleep(seconds)
        await page.stop()
        engine.delete(task)
        await engine.finished(task)


def frames_late(folder: Path) -> list[int]:
    """Of each picture, by its number, counted on over all rounds of the film."""
    paths = sorted(folder.rglob("*.png"), key=lambda path: path.name)
    numbers = [number for path in paths if (number := frame_number(path)) is not None]
    if len(numbers) < len(paths) or not numbers:
        raise RuntimeError(f"{len(paths)} pictures, of which {len(numbers)} show a number")
    steps = [(after - before) % (ROUND * FPS) for before, after in pairwise(numbers)]
    counted = list(accumulate(steps, initial=0))[SETTLING:]
    return [frame - counted[0] - index * EVERY * FPS for index, frame in enumerate(counted)]


def main() -> None:
    """Publish, look, tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.lateness", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    print(f"{IMPLEMENTATION}; Chromium, {FPS} frames a second, a picture every {EVERY} s")
    for codec in ("VP8", "H264"):
        with tempfile.TemporaryDirectory() as made:
            asyncio.run(publish(Path(made), codec, given.seconds))
            late = frames_late(Path(made) / codec)
        # The one that all are counted from was late itself, by an unknown part of a frame.
        late = [one - min(late) for one in late]
        print(
            f"  {codec:5} {len(late)} pictures, frames late: median {quantile(late, 0.5):.0f}, "
            f"99th percentile {quantile(late, 0.99):.0f}, most {max(late)} "
            f"(of {1000 / FPS:.0f} ms each)",
            flush=True,
        )


if __name__ == "__main__":
    main()
