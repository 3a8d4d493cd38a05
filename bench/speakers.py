"""Publishers of WHIP rooms in processes of their own, so that their work delays nothing."""

import asyncio
import contextlib
import multiprocessing as mp
import time
from collections.abc import Iterator, Sequence

import httpx

from tests.harness.rooms.caller import Caller
from tests.harness.rooms.captures import rtcp_sr
from tests.harness.rtp.call import datagram, opus
from tests.harness.rtp.packetize import vp8

NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970 (RFC 5905 6)."""
PACE = 50
"""Packets of audio a second, and so the steps in which all is sent."""
FRAME, TICKS = 10, 90_000 // PACE
"""Steps from frame to frame, and the video clock's ticks in a step."""


async def speak(urls: Sequence[str], frames: Sequence[bytes] = (), spread: float = 0.0) -> None:
    """A publisher for each URL, until this process is ended: of audio, and of these VP8 keyframes,
    five a second. They begin evenly within *spread* seconds, or all at once. Each sends sender
    reports once a second, as browsers do: without one, its first slices wait for it."""
    async with httpx.AsyncClient(trust_env=False) as client:
        callers = [Caller(url, client=client) for url in urls]
        for caller in callers:
            await caller.connect()
        loop = asyncio.get_running_loop()
        began, wall, step = loop.time(), time.time() + NTP_EPOCH, 0
        shown = [0] * len(callers)
        while True:
            for index, caller in enumerate(callers):
                number = step - round(spread * PACE * index / len(callers))
                if number < 0:
                    continue
                caller.send([datagram(opus(number), number, number * 960)])
                if frames and number % FRAME == 0:
                    picture = number // FRAME
                    frame = frames[picture % len(frames)]
                    shown[index] = _show(caller, frame, picture, shown[index])
                if number % PACE == 0:
                    caller.report(rtcp_sr(1, wall + step / PACE, number * 960))
                    if frames:
                        caller.report(rtcp_sr(2, wall + step / PACE, number * TICKS))
            step += 1
            await asyncio.sleep(began + step / PACE - loop.time())


def _show(caller: Caller, frame: bytes, picture: int, sequence: int) -> int:
    """Send a frame; gives the next sequence number."""
    payloads = vp8(frame, picture=picture)
    timestamp = picture * FRAME * TICKS
    for index, payload in enumerate(payloads):
        last = index == len(payloads) - 1
        caller.send([datagram(payload, sequence, timestamp, 2, 96, marker=last)])
        sequence += 1
    return sequence


def _run(urls: Sequence[str], frames: Sequence[bytes], spread: float) -> None:
    asyncio.run(speak(urls, frames, spread))


@contextlib.contextmanager
def speakers(
    urls: Sequence[str], frames: Sequence[bytes] = (), spread: float = 0.0
) -> Iterator[None]:
    """Have them speak in another process until the end of the block."""
    process = mp.get_context("spawn").Process(target=_run, args=(urls, frames, spread), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()
