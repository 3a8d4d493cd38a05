"""Whether memory grows with slices and with stays: `python -m bench.memory`.

Slices: one capture after another is replayed at full speed into a folder, each of LENGTH seconds of
Opus and a keyframe of VP8 each second. Stays: publishers come to a room of our own by WHIP, ICE and
DTLS, are cut, and leave; here they are of the same process, which adds what their HTTP client
leaves. What counts is live objects of our classes, and bytes of malloc. Both are told twice: as
they are, and after a garbage collection, for what waits for the collector is memory too. The
resident memory (PSS) stands beside them; it has the allocator's holes in it.
"""

import argparse
import asyncio
import ctypes
import gc
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx

import slicer
from bench.peers.measure import pss
from slicer import ImageFormat
from slicer.rooms.whip.room import WhipConnector
from tests.harness.rooms.caller import Caller
from tests.harness.rooms.captures import rtpdump
from tests.harness.rooms.linked import until
from tests.harness.rtp.call import datagram, opus, vp8
from tests.harness.rtp.packetize import payloads

LENGTH = 200
"""Seconds of a capture; as many slices of audio, and of pictures."""
ABREAST = 10
"""Publishers who stay at the same time."""
PACKETS = 60
"""Of 20 ms, that each publisher sends: more than a slice."""
PARTS = 4
SDP = """\
v=0
m=audio 9 RTP/AVP 111
a=rtpmap:111 opus/48000/2
m=video 9 RTP/AVP 96
a=rtpmap:96 vp8/90000
"""
ROOM = "whip://127.0.0.1:0/lobby"
PARAMS = slicer.SliceParams(slicer.AudioSpec(1), slicer.VideoSpec(1))


class _Mallinfo(ctypes.Structure):
    """mallinfo2(3) of glibc."""

    _fields_ = (
        ("arena", ctypes.c_size_t),
        ("unused", ctypes.c_size_t * 3),
        ("hblkhd", ctypes.c_size_t),
        ("usmblks", ctypes.c_size_t * 2),
        ("uordblks", ctypes.c_size_t),
        ("rest", ctypes.c_size_t * 2),
    )


@dataclass(frozen=True, slots=True)
class Live:
    """What there is. *objects*: of classes of `slicer`; *bytes*: of malloc that are in use, 0
    without glibc."""

    objects: int
    bytes: int

    @classmethod
    def now(cls) -> "Live":
        ours = (one for one in gc.get_objects() if str(type(one).__module__).startswith("slicer."))
        return cls(sum(1 for _ in ours), _allocated())


@dataclass(frozen=True, slots=True)
class Growth:
    """From one point to another, after *count* slices or stays. *kept*: what is left after a
    collection."""

    count: int
    before: Live
    left: Live
    kept: Live

    @property
    def words(self) -> str:
        left, kept = self.each(self.left), self.each(self.kept)
        return (
            f"{self.count}: each leaves {left[0]:.2f} objects and {left[1]:.0f} bytes, "
            f"and after a collection {kept[0]:.2f} and {kept[1]:.0f}; "
            f"PSS {pss([os.getpid()]) / 1e6:.1f} MB"
        )

    def each(self, after: Live) -> tuple[float, float]:
        """Objects and bytes more than before, for each slice or stay."""
        objects, size = after.objects - self.before.objects, after.bytes - self.before.bytes
        return objects / self.count, size / self.count


async def grown(work: Callable[[], Awaitable[int]]) -> Growth:
    """What this work, which gives how many there were, leaves while nothing is collected."""
    gc.collect()
    gc.disable()
    try:
        before = Live.now()
        count = await work()
        left = Live.now()
        gc.collect()
        return Growth(count, before, left, Live.now())
    finally:
        gc.enable()


class Replays:
    """Captures that are replayed into a folder, each by a task of its own."""

    def __init__(self, engine: slicer.Engine, folder: Path, length: int = LENGTH) -> None:
        self._engine, self._folder = engine, folder
        self._room = f"replay://{folder}/capture.rtpdump?speed=max"
        self._tasks = 0
        (folder / "capture.rtpdump").write_bytes(capture(length))
        (folder / "capture.sdp").write_text(SDP)

    async def slices(self, tasks: int) -> int:
        """Replay so often; how many slices there were. Raises RuntimeError where one was lost."""
        count = 0
        for _ in range(tasks):
            self._tasks += 1
            to = self._folder / str(self._tasks)
            spec = slicer.TaskSpec(self._room, to.as_uri(), PARAMS, images=ImageFormat.WEBP)
            finished = await self._engine.finished(await self._engine.create(spec))
            if finished.lost or not finished.stored:
                raise RuntimeError(f"{finished.stored} slices stored, {finished.lost} lost")
            count += finished.stored
            shutil.rmtree(to, ignore_errors=True)
        return count


class Stays:
    """A room of our own, publishers who come and leave, and a task that cuts them."""

    def __init__(self, engine: slicer.Engine, folder: Path) -> None:
        self._engine, self._to = engine, folder / "stays"
        self._client = httpx.AsyncClient(trust_env=False)

    async def open(self) -> None:
        self._task = await self._engine.create(slicer.TaskSpec(ROOM, self._to.as_uri(), PARAMS))
        rooms = self._engine.connector("whip")
        assert isinstance(rooms, WhipConnector)
        self._rooms, self._url = rooms, rooms.endpoint(urlsplit(ROOM))

    async def stays(self, count: int) -> int:
        """Have so many come, be cut, and leave, ABREAST at a time."""
        for first in range(0, count, ABREAST):
            await asyncio.gather(*map(self._stay, range(first, min(count, first + ABREAST))))
            await until(lambda: not self._rooms.connections and not self._pending())
        return count

    async def close(self) -> None:
        await self._client.aclose()

    def _pending(self) -> int:
        return self._engine.describe(self._task).pending

    async def _stay(self, number: int) -> None:
        caller = Caller(f"{self._url}/guest{number}", client=self._client)
        await caller.connect()
        caller.send([datagram(opus(n), n, n * 960) for n in range(PACKETS)])
        assert caller.peer.dtls is not None
        for goodbye in caller.peer.dtls.close():
            caller.peer.send(goodbye)
        caller.close()


def capture(seconds: int) -> bytes:
    """An rtpdump of Opus and VP8."""
    audio = [(n / 50, datagram(opus(n), n, n * 960)) for n in range(50 * seconds)]
    pictures = [
        (float(n), packet)
        for n in range(seconds)
        for packet in [datagram(payloads("vp8", vp8(n, True))[0], n, n * 90_000, 2, 96, True)]
    ]
    return rtpdump(*sorted(audio + pictures))


async def main(slices: int, stays: int) -> None:
    """Warm up, then a quarter after the other."""
    with tempfile.TemporaryDirectory() as folder:
        async with slicer.Engine() as engine:
            tasks = max(1, slices // (2 * LENGTH * PARTS))
            replays = Replays(engine, Path(folder))
            await replays.slices(1)
            for _ in range(PARTS):
                print("slices", (await grown(partial(replays.slices, tasks))).words, flush=True)
            room = Stays(engine, Path(folder))
            await room.open()
            await room.stays(ABREAST)
            for _ in range(PARTS):
                part = partial(room.stays, stays // PARTS)
                print("stays", (await grown(part)).words, flush=True)
            await room.close()


def _allocated() -> int:
    try:
        info = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0
    info.restype = _Mallinfo
    return int(info().uordblks + info().hblkhd)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--slices", type=int, default=20_000)
    parser.add_argument("--stays", type=int, default=2_000)
    given = parser.parse_args()
    asyncio.run(main(given.slices, given.stays))
