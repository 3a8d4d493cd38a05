"""The process that is measured for rtc-slicer: one engine, one task, a folder as the store.

`python -m bench.peers.ours ROOM FOLDER IMAGE`, with SLICER_NATIVE as its environment says. Tells
what it is and where anchors publish; at the next line of its input it leaves, and tells what it
counted.

This is the seam for the native plane: everything that depends on how packets come in is behind the
room's URL.
"""

import asyncio
import json
import sys
from collections import Counter
from typing import Any, cast
from urllib.parse import urlsplit

import slicer
from slicer import hot, rooms
from slicer.cli import garbage_collection
from slicer.rooms.whip.room import WhipConnector
from slicer.webrtc.path import media_path

WHIP = "whip://127.0.0.1:0/bench"
MAX_ANCHORS = 500


def params(sound: int, picture: int) -> slicer.SliceParams:
    """Everybody's sound and pictures."""
    return slicer.SliceParams(
        slicer.AudioSpec(sound),
        slicer.VideoSpec(picture),
        max_idle=None,
        max_anchors=MAX_ANCHORS,
    )


async def main(room: str, folder: str, image: str) -> None:
    """Slice until told otherwise."""
    # A Mapping for those who read it, a dict in truth: this process has one kind of room more.
    cast(dict[str, str], rooms.CONNECTORS)["plain"] = "bench.peers.plain_room:PlainRooms"
    async with slicer.Engine() as engine:
        images = slicer.ImageFormat(image)
        spec = slicer.TaskSpec(room, f"file://{folder}", params(15, 5), images, task="bench")
        task = await engine.create(spec)
        garbage_collection.tune()  # as the command does
        whip = ""
        if room.startswith("whip:"):
            connector = engine.connector("whip")
            assert isinstance(connector, WhipConnector)
            whip = connector.endpoint(urlsplit(room))
        say(implementation=hot.IMPLEMENTATION, whip=whip)
        told: Counter[str] = Counter()
        async with engine.events(task) as events:
            listening = asyncio.create_task(count(events, told))
            await asyncio.to_thread(sys.stdin.readline)
            engine.delete(task)
            finished = await engine.finished(task)
            listening.cancel()
        seconds = media_path().cpu
    say(stored=finished.stored, lost=finished.lost, events=dict(told), plane_cpu=seconds)


async def count(events: Any, told: Counter[str]) -> None:
    """Hear the events, as whoever embeds the engine would."""
    async for event in events:
        told[type(event).__name__] += 1


def say(**said: Any) -> None:
    """Tell who started us."""
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
