"""What the codecs alone take of H.264 to JPEG: `python -m bench.peers.codec`.

The capture's keyframes are decoded and encoded as the product does it, in the threads that it does
it in, and nothing is received or stored. It tells the CPU of one picture, what that is for a minute
of one anchor, and how many more are made with all cores than with one. What an anchor costs beyond
it (`python -m bench.peers`) is everything that is no codec.
"""

import argparse
import asyncio
import os
import statistics
import time
from functools import partial
from itertools import pairwise
from typing import cast

from bench.peers.capture import FRAMES, load
from bench.peers.commands import PICTURE_SECONDS, Job
from bench.peers.scale import JOBS
from slicer.delivery.encoding import PRIORITIES, EncodingPool
from slicer.media import picture
from slicer.media.slice import File
from slicer.rtp.parameters import Kind
from slicer.slicing.spec import ImageFormat
from slicer.threads import ThreadPool
from tests.harness.rtp.depacketize import Sent, depacketizer, received

KEYFRAMES = 20
"""Of the capture, evenly strewn."""


def keyframes(codec: str) -> list[bytes]:
    """Those that are sent to who asks for them."""
    track, packets = load(codec).keyframes, list[Sent]()
    for number in range(0, FRAMES, FRAMES // KEYFRAMES):
        first, last = int(track.frames[number]), int(track.frames[number + 1])
        edges = [int(track.packets[at]) for at in range(first, last + 1)]
        parts = [bytes(track.data[begin:end]) for begin, end in pairwise(edges)]
        packets += [Sent(part, number, part is parts[-1], number) for part in parts]
    return [frame.data for frame in received(depacketizer(codec), packets)]


async def make(job: Job, frames: list[bytes], cores: int) -> tuple[float, float]:
    """All pictures by so many threads on as many cores; CPU and seconds for each."""
    os.sched_setaffinity(0, sorted(EVERYWHERE)[:cores])
    pool = EncodingPool(ThreadPool("encoding", cores, PRIORITIES))
    one = partial(picture.write, job.codec, image_format=ImageFormat(job.picture))
    # A picture stands for the file: nothing is told of it.
    work = [cast("partial[File]", partial(one, [frame])) for frame in frames]
    for _ in range(2):  # the first warms up
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(pool.make(Kind.VIDEO, each) for each in work))
        took = time.process_time() - cpu, time.perf_counter() - began
    pool.threads.join()
    return took[0] / len(frames), took[1] / len(frames)


EVERYWHERE = frozenset(os.sched_getaffinity(0))


async def measure(job: Job, rounds: int) -> None:
    """Measure one job, and tell."""
    frames = keyframes(job.codec)
    runs = [
        [await make(job, frames, cores) for cores in (1, len(EVERYWHERE))] for _ in range(rounds)
    ]
    cpu = statistics.median(one[0] for one, _ in runs)
    ratios = [one[1] / many[1] for one, many in runs]
    minute = cpu * 60 / PICTURE_SECONDS
    print(
        f"{job.name}: {cpu * 1e3:.2f} ms of CPU a picture, {minute * 1e3:.0f} ms a minute of an "
        f"anchor; {len(EVERYWHERE)} cores make {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f}…{max(ratios):.2f}) times as many as one"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers.codec", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    asyncio.run(measure(JOBS[0], given.rounds))  # VP8 becomes WebP without a codec


if __name__ == "__main__":
    main()
