"""What an anchor in a room of Janus costs: `python -m bench.janus [--seconds N]`, as root.

Three tables, from Janus and publishers in a network of their own: what is received of an anchor's
pictures with video paused between them and without; from the resumption of a paused video, which
has Janus ask for a keyframe (PLI), to the picture; and the CPU of Janus and of ourselves for an
anchor with audio and video. The publishers are libwebrtc (640 x 360, 15 frames a second) and, for
CPU, aiortc. The event loop's media path reads, so that its bytes can be counted; CPU is of the
native plane.
"""

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from slicer import AudioSpec, Kind, Settings, SliceParams, VideoSpec
from slicer.rooms.janus.settings import JanusSettings
from slicer.rooms.janus.video import Video
from slicer.slicing.keyframe_requests import RequestsOf
from slicer.slicing.outputs import PictureCut, TrackOutput
from slicer.webrtc.drain import Datagram, Drain
from slicer.webrtc.loop_path import LoopMedia, LoopPath
from tests.harness.media.content import Content, write_y4m
from tests.harness.network.namespace import own_network
from tests.harness.rooms import libwebrtc
from tests.harness.rooms.janus import janus
from tests.harness.rooms.janus_task import ROOM, publisher, watching
from tests.harness.rooms.janus_whip import janus_whip

PICTURES = SliceParams(None, VideoSpec(5, 0.0))
OFTEN = SliceParams(None, VideoSpec(2, 0.0))
EVERYTHING = SliceParams(AudioSpec(15, 0.0), VideoSpec(5, 0.0))
ANCHORS = 4


class Counted:
    """What the loop's path received, and when a video was resumed and its picture came."""

    def __init__(self) -> None:
        self.received, self.delays = 0, list[float]()
        self._resumed: float | None = None
        drain, flow, open_media = Drain.__init__, Video.flow, LoopPath.open

        def draining(
            one: Drain, sock: socket.socket, take: Callable[[list[Datagram]], object]
        ) -> None:
            def taken(batch: list[Datagram]) -> None:
                self.received += sum(len(data) for data, _ in batch)
                take(batch)

            drain(one, sock, taken)

        def flowing(one: Video) -> None:
            self._resumed = time.monotonic() if one.paused else None
            flow(one)

        def opened(
            path: LoopPath, deliver: Callable[[TrackOutput], None], requests_of: RequestsOf | None
        ) -> LoopMedia:
            def delivered(cut: TrackOutput) -> None:
                if isinstance(cut, PictureCut) and self._resumed is not None:
                    self.delays.append(time.monotonic() - self._resumed)
                    self._resumed = None
                deliver(cut)

            return open_media(path, delivered, requests_of)

        Drain.__init__ = draining  # type: ignore[assignment, method-assign]
        Video.flow = flowing  # type: ignore[assignment, method-assign]
        LoopPath.open = opened  # type: ignore[assignment, method-assign]


async def pictures(folder: Path, seconds: float) -> None:
    """Bytes and delays of one anchor's pictures."""
    camera = folder / "camera.y4m"
    write_y4m(camera, Content(seconds=20))
    counted = Counted()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(janus(folder / "janus"))
        await server.create(ROOM)
        front = await stack.enter_async_context(janus_whip(ROOM))
        await stack.enter_async_context(libwebrtc.libwebrtc(front.url("ada"), camera))
        await asyncio.sleep(10)  # libwebrtc finds its bandwidth
        for name, params, pause in (
            ("not paused", PICTURES, False),
            ("paused, every 5 s", PICTURES, True),
            ("paused, every 2 s", OFTEN, True),
        ):
            settings = Settings(janus=JanusSettings(pause=pause))
            counted.delays.clear()
            async with watching(folder, params=params, settings=settings) as watched:
                await watched.until(lambda: watched.stored("ada", Kind.VIDEO))
                before, began = counted.received, time.monotonic()
                await asyncio.sleep(seconds)
                rate = (counted.received - before) * 8 / (time.monotonic() - began)
            print(f"pictures only, {name}: {rate / 1e3:.0f} kbit/s")
            if counted.delays:
                told = quantiles(counted.delays)
                print(f"  resumption to picture, {len(counted.delays)}: {told}")


async def cpu(folder: Path, seconds: float) -> None:
    """Seconds of CPU for an anchor's minute."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(janus(folder / "janus"))
        await server.create(ROOM)
        for number in range(ANCHORS):
            await stack.enter_async_context(publisher(f"anchor{number}"))
        assert server.pid is not None
        alone = ticks(server.pid)
        await asyncio.sleep(seconds)
        alone = ticks(server.pid) - alone
        async with watching(folder, params=EVERYTHING) as watched:
            names = [f"anchor{number}" for number in range(ANCHORS)]
            await watched.until(lambda: all(watched.stored(name, Kind.VIDEO) for name in names))
            theirs, ours = ticks(server.pid), time.process_time()
            await asyncio.sleep(seconds)
            theirs, ours = ticks(server.pid) - theirs, time.process_time() - ours
    minutes = seconds / 60 * ANCHORS
    print(f"CPU for an anchor's minute, audio and video, {ANCHORS} anchors:")
    print(f"  Janus without us {alone / minutes:.2f} s, with us {theirs / minutes:.2f} s")
    print(f"  ourselves {ours / minutes:.2f} s")


def ticks(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quantiles(delays: Sequence[float]) -> str:
    ordered = sorted(delays)
    last = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"median {statistics.median(ordered) * 1e3:.0f} ms, 99th {last * 1e3:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.janus", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each measurement")
    parser.add_argument("--part", choices=("pictures", "cpu"))
    chosen = parser.parse_args()
    if chosen.part is None:
        for part, native in (("pictures", "0"), ("cpu", "1")):
            command = [sys.executable, "-m", "bench.janus", "--part", part]
            command += ["--seconds", str(chosen.seconds)]
            subprocess.run(command, check=True, env={**os.environ, "SLICER_NATIVE": native})
        return
    work = pictures if chosen.part == "pictures" else cpu
    with own_network(), tempfile.TemporaryDirectory() as folder:
        asyncio.run(work(Path(folder), chosen.seconds))


if __name__ == "__main__":
    main()
