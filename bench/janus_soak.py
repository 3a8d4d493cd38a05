"""A busy room of Janus for hours: `python -m bench.janus_soak [--hours H] [--write FILE]`, as root.

Anchors that stay and others that come and go, sliced into a folder. At the end: memory (PSS) of
the beginning, the end and the most; how far the slices of those who stayed have drifted from one
each second; and slices lost or cut short.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from bench.peers.measure import pss
from slicer import AnchorLeft, Kind, SliceStored, TrackEnded
from tests.harness.network.namespace import own_network
from tests.harness.rooms.janus import janus
from tests.harness.rooms.janus_task import ROOM, Watched, both, publisher, watching

STAYING = ("steady0", "steady1")
GUESTS = [f"guest{number}" for number in range(4)]
SAMPLE = 10.0
WARM = 60.0
"""Seconds after which memory is looked at: buffers and pools have their size."""


class Slices:
    """What is kept of a track's slices: the events themselves would take more and more memory."""

    def __init__(self) -> None:
        self.first = self.last = 0.0
        self.count = self.short = 0

    def take(self, stored: SliceStored) -> None:
        began = stored.slice.began.timestamp()
        self.first = self.first or began
        self.last, self.count = began, self.count + 1
        self.short += abs(stored.slice.seconds - 1) > 1e-3

    @property
    def drift(self) -> float:
        """Seconds by which the last slice is later than one each second from the first on."""
        return self.last - self.first - (self.count - 1)


async def soak(folder: Path, seconds: float) -> list[str]:
    """The lines of the report."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(janus(folder / "janus"))
        await server.create(ROOM)
        watched = await stack.enter_async_context(watching(folder))
        for name in STAYING:
            await stack.enter_async_context(publisher(name))
        await watched.until(lambda: all(both(watched, name) for name in STAYING))
        program = ("-m", "tests.harness.rooms.janus_crowd", ROOM, str(seconds), *GUESTS)
        guests = await asyncio.create_subprocess_exec(
            sys.executable, *program, stdout=asyncio.subprocess.PIPE
        )
        tracks = {name: Slices() for name in STAYING}
        memory, ends = await follow(watched, folder, tracks, seconds)
        said, _ = await guests.communicate()
        lines = [f"stays of guests: {sum(json.loads(said).values())}, ends told: {ends}"]
        for name, slices in tracks.items():
            drift = f"drift {slices.drift * 1e3:+.2f} ms"
            lines.append(f"{name}: {slices.count} slices, {slices.short} short, {drift}")
        watched.engine.delete(watched.task)
        finished = await watched.engine.finished(watched.task)
        lines.append(f"slices stored {finished.stored}, lost {finished.lost}")
    first, last, most = (one / 1e6 for one in (memory[0], memory[-1], max(memory)))
    lines.append(f"memory: at first {first:.1f} MB, at the end {last:.1f} MB, most {most:.1f} MB")
    return lines


async def follow(
    watched: Watched, folder: Path, tracks: dict[str, Slices], seconds: float
) -> tuple[list[int], int]:
    """Take events and memory until the time is over; memory, and how often an anchor has left."""
    end, ends, memory = time.monotonic() + seconds, 0, list[int]()
    warm = time.monotonic() + min(WARM, seconds / 3)
    while time.monotonic() < end:
        await asyncio.sleep(min(SAMPLE, seconds / 10))
        told, watched.told[:] = list(watched.told), []
        for one in told:
            if isinstance(one, SliceStored) and one.slice.kind is Kind.AUDIO:
                if one.slice.anchor in tracks:
                    tracks[one.slice.anchor].take(one)
            elif isinstance(one, AnchorLeft):
                ends += 1
            elif isinstance(one, TrackEnded) and one.anchor in tracks:
                print("! ended:", one.anchor, one.reason, flush=True)
        for old in (folder / "out").rglob("*.*"):
            with contextlib.suppress(FileNotFoundError):  # a part has got its name meanwhile
                if time.time() - old.stat().st_mtime > 60:
                    old.unlink()
        if time.monotonic() >= warm:
            memory.append(pss([os.getpid()]))
    return memory, ends


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.janus_soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--write", type=Path, help="a file for the report")
    chosen = parser.parse_args()
    with own_network(), tempfile.TemporaryDirectory() as folder:
        lines = asyncio.run(soak(Path(folder), chosen.hours * 3600))
    print("\n".join(lines))
    if chosen.write:
        chosen.write.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
