"""The process that is measured for rtc-slicer: one engine, a folder as the store, and one task, or
several where there are more anchors than a task may have.

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
from bench.peers.plain_room import Way
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
        specs = [
            slicer.TaskSpec(url, f"file://{folder}", params(15, 5), images, task=task_of(number))
            for number, url in enumerate(parted(room))
        ]
        tasks = [await engine.create(spec) for spec in specs]
        garbage_collection.tune()  # as the command does
        whip = ""
        if room.startswith("whip:"):
            connector = engine.connector("whip")
            assert isinstance(connector, WhipConnector)
            whip = connector.endpoint(urlsplit(room))
        say(implementation=hot.IMPLEMENTATION, whip=whip)
        told: Counter[str] = Counter()
        async with engine.events() as events:
            listening = asyncio.create_task(count(events, told))
            await asyncio.to_thread(sys.stdin.readline)
            for task in tasks:
                engine.delete(task)
            finished = [await engine.finished(task) for task in tasks]
            listening.cancel()
        seconds = media_path().cpu
    stored, lost = sum(one.stored for one in finished), sum(one.lost for one in finished)
    say(stored=stored, lost=lost, events=dict(told), plane_cpu=seconds)


def parted(room: str) -> list[str]:
    """The rooms that have its anchors between them: one, unless a task has too few places."""
    if room.startswith("whip:"):
        return [room]
    return [one.url() for one in Way.parse(urlsplit(room)).parted(MAX_ANCHORS)]


def task_of(number: int) -> str:
    """The task of the room of this number."""
    return f"bench{number or ''}"


async def count(events: Any, told: Counter[str]) -> None:
    """Hear the events, as whoever embeds the engine would."""
    async for event in events:
        told[type(event).__name__] += 1


def say(**said: Any) -> None:
    """Tell who started us."""
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
