"""Anchors that are here by right, and turn every two packets into a slice: what others lose."""

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import av
import numpy as np

from slicer import (
    AnchorTrouble,
    AudioSpec,
    Engine,
    Event,
    ImageFormat,
    Kind,
    SliceLost,
    SliceParams,
    SliceStored,
    TaskSpec,
    VideoSpec,
)
from slicer.engine.cut_rate import BURST, EXTRA_RATE, WORDS
from slicer.rooms.whip.room import WhipConnector
from tests.harness.rooms.caller import Caller
from tests.harness.rtp.call import datagram, opus
from tests.harness.rtp.packetize import vp8 as packetized

ROOM = "whip://127.0.0.1:0/lobby"
SECONDS = 6
PAIRS = 100
"""Pairs of packets a second of each of them."""
BOMB = b"\x10" + (1 << 4 | 10 << 5).to_bytes(3, "little") + b"\x9d\x01\x2a" + bytes(44)


def new_sources() -> Iterator[list[bytes]]:
    """Audio of another SSRC every two packets."""
    for ssrc in iter(lambda: random.getrandbits(32), None):
        yield [datagram(opus(n), 5 + n, (5 + n) * 960, ssrc) for n in range(2)]


def jumping_clock() -> Iterator[list[bytes]]:
    """Audio whose media clock jumps every two packets."""
    for n in itertools.count():
        at = n * 480_000_000
        yield [datagram(opus(n), 2 * n + k, at + 960 * k, 5) for k in range(2)]


def bombs() -> Iterator[list[bytes]]:
    """Keyframes of 50 bytes that claim a size without end, of another SSRC every two packets."""
    for ssrc in iter(lambda: random.getrandbits(32), None):
        yield [datagram(BOMB, 5 + n, (5 + n) * 3000, ssrc, 96, True) for n in range(2)]


ATTACKS: dict[str, Callable[[], Iterator[list[bytes]]]] = {
    "sources": new_sources,
    "clock": jumping_clock,
    "bombs": bombs,
}


def keyframe() -> bytes:
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 160, 120, "yuv420p"
    encoder.time_base = 1  # type: ignore[assignment]
    noise = np.random.default_rng(1).integers(0, 255, (180, 160), np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, "yuv420p")
    return b"".join(bytes(one) for one in [*encoder.encode(frame), *encoder.encode(None)])


async def speak(caller: Caller, until: asyncio.Event) -> None:
    """Audio and five keyframes a second, in their own time."""
    whole, sequence = packetized(keyframe()), itertools.count()
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in itertools.count():
        if until.is_set():
            return
        caller.send([datagram(opus(number), number, number * 960, 1)])
        if number % 10 == 0:
            caller.send(
                [
                    datagram(part, next(sequence), number * 1800, 2, 96, part is whole[-1])
                    for part in whole
                ]
            )
        await asyncio.sleep(began + number * 0.02 - loop.time())


async def attack(caller: Caller, packets: Iterator[list[bytes]]) -> None:
    for pair in packets:
        caller.send(pair)
        await asyncio.sleep(1 / PAIRS)


async def test_who_turns_every_two_packets_into_a_slice_costs_himself_alone(
    tmp_path: Path,
) -> None:
    told: list[Event] = []

    async def listen(engine: Engine) -> None:
        told.extend([event async for event in engine.events()])

    async with Engine() as engine:
        listening = asyncio.ensure_future(listen(engine))
        params = SliceParams(AudioSpec(1), VideoSpec(1))
        task = await engine.create(TaskSpec(ROOM, f"file://{tmp_path}", params, ImageFormat.PNG))
        rooms = engine.connector("whip")
        assert isinstance(rooms, WhipConnector)
        url = rooms.endpoint(urlsplit(ROOM))
        callers = {name: Caller(f"{url}/{name}") for name in ("ann", *ATTACKS)}
        for caller in callers.values():
            await caller.connect()
        over = asyncio.Event()
        speaking = asyncio.ensure_future(speak(callers["ann"], over))
        attacks = [
            asyncio.ensure_future(attack(callers[name], of())) for name, of in ATTACKS.items()
        ]
        await asyncio.sleep(SECONDS)
        over.set()
        for one in attacks:
            one.cancel()
        await speaking
        engine.delete(task)
        await engine.finished(task)
        for caller in callers.values():
            caller.close()
    await listening

    def of(kind: type[SliceStored | SliceLost], anchor: str) -> list[Kind]:
        found = [event.slice for event in told if isinstance(event, kind)]
        return [slice.kind for slice in found if slice.anchor == anchor]

    most = BURST + (2 + EXTRA_RATE) * (SECONDS + 5)
    for name in ATTACKS:
        assert len(of(SliceStored, name)) + len(of(SliceLost, name)) <= most
    troubles = {(one.anchor, one.reason) for one in told if isinstance(one, AnchorTrouble)}
    assert ("clock", WORDS) in troubles
    assert {anchor for anchor, _ in troubles} <= set(ATTACKS)
    # Another source is believed once the one before has been silent for a while.
    assert len(of(SliceStored, "sources")) <= 3 * (SECONDS + 5)
    assert of(SliceStored, "bombs") == [], "they are no pictures"
    assert of(SliceLost, "ann") == []
    stored = of(SliceStored, "ann")
    assert stored.count(Kind.AUDIO) >= SECONDS
    assert stored.count(Kind.VIDEO) >= SECONDS - 2
