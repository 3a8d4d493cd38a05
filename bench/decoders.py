"""What a decoder costs that is kept for a track: `python -m bench.decoders [--seconds N]`.

One group of pictures, N seconds from its keyframe, of which a picture is wanted every 5 s, as of a
source that ignores requests for keyframes. The CPU is that of decoding, for a minute of one track;
the memory of a decoder is the growth of the resident size with KEPT of them, in a process that has
done nothing else.
"""

import argparse
import gc
import multiprocessing
import os
import time
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np

from bench.peers.measure import pss
from slicer.delivery.decoding import MAX_DECODERS
from slicer.media.decoder import GroupDecoder
from tests.harness.media.video import ENCODERS

FPS, EVERY, KEPT = 30, 5, 16
SIZES = {"720p": (1280, 720, 1_500_000), "1080p": (1920, 1080, 3_000_000)}
"""Width, height, bits a second."""
PAN, NOISE, PICTURES = 2, 3.0, 30
"""Pixels a frame, of a textured scene with a camera's noise; of so many pictures, to and fro."""
_OPTIONS = {
    "h264": {"preset": "veryfast", "profile": "baseline", "tune": "zerolatency"},
    "vp8": {"deadline": "realtime", "cpu-used": "6", "lag-in-frames": "0", "auto-alt-ref": "0"},
}


class Cost(NamedTuple):
    """*cpu*: seconds for a minute of media; *memory*: bytes of a decoder."""

    cpu: float
    memory: float


def draw(width: int, height: int) -> list[av.VideoFrame]:
    """Pictures that follow each other in either direction."""
    chance = np.random.default_rng(1)
    coarse = chance.uniform(32, 224, (height // 8 + 1, width // 8 + PICTURES, 3))
    scene = np.kron(coarse, np.ones((8, 8, 1)))
    drawn = []
    for number in range(PICTURES):
        seen = scene[:height, number * PAN : number * PAN + width]
        noisy = (seen + chance.normal(0, NOISE, seen.shape)).clip(0, 255).astype(np.uint8)
        drawn.append(av.VideoFrame.from_ndarray(noisy, "rgb24").reformat(format="yuv420p"))
    return drawn


def encode(codec: str, size: str, seconds: int) -> list[bytes]:
    """The frames of one group, so long."""
    width, height, rate = SIZES[size]
    encoder = av.CodecContext.create(ENCODERS[codec], "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.gop_size = Fraction(1, FPS), seconds * FPS + 1
    encoder.bit_rate, encoder.options = rate, dict(_OPTIONS[codec])
    pictures = draw(width, height)
    to_and_fro = pictures + pictures[-2:0:-1]
    frames = []
    for number in range(seconds * FPS):
        frame = to_and_fro[number % len(to_and_fro)]
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        frames += encoder.encode(frame)
    return [bytes(packet) for packet in [*frames, *encoder.encode(None)]]


def measure(codec: str, frames: Sequence[bytes]) -> Cost:
    """Keep decoders at the same place of the group; then go on with one of them to its end."""
    step = EVERY * FPS
    before = memory()
    kept = [GroupDecoder(codec) for _ in range(KEPT)]
    for decoder in kept:
        decoder.add(frames[:step])
        decoder.picture()
    grown = memory() - before
    began = time.thread_time()
    for first in range(step, len(frames), step):
        kept[0].add(frames[first : first + step])
        kept[0].picture()
    used = time.thread_time() - began
    return Cost(used * 60 * FPS / (len(frames) - step), grown / KEPT)


def measure_apart(codec: str, frames: Sequence[bytes]) -> Cost:
    """The same, in a process of its own: memory that an encoder gave back would be used again."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(measure, (codec, frames))


def memory() -> int:
    """Bytes of PSS, garbage collected."""
    gc.collect()
    return pss([os.getpid()])


def main(seconds: int) -> None:
    """Print the table."""
    print(f"a group of {seconds} s at {FPS} frames/s, a picture every {EVERY} s")
    print("codec | size | Mbit/s | CPU-s a minute | MB a decoder | MB of all", MAX_DECODERS)
    for codec in _OPTIONS:
        for size in SIZES:
            frames = encode(codec, size, seconds)
            cost = measure_apart(codec, frames)
            rate = sum(map(len, frames)) * 8 / seconds / 1e6
            each = cost.memory / 1e6
            row = f"{rate:.1f} | {cost.cpu:.2f} | {each:.1f} | {each * MAX_DECODERS:.0f}"
            print(f"{codec} | {size} | {row}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.decoders", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    main(parser.parse_args().seconds)
