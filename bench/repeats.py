"""How well thumbnails tell a picture that is the last one again from one that is not.

`python -m bench.repeats FOLDER`: each picture of a folder, at 1280 x 720, is changed in ways that
are none (coded anew, a camera's noise) and in ways that are (something small comes into it). Told
is how many of them have their verdict repeated, at several values of `repeat_distance`; beside it
dHash of 64 bits, at 0 and at 2 bits. Three plain pictures are added: black, grey, white.
"""

import argparse
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from numpy.typing import NDArray

from slicer.media import thumbnail

WIDTH, HEIGHT = 1280, 720
DISTANCES, BITS = (2, 4, 8), (0, 2)
Pixels = NDArray[np.uint8]
NONE = np.zeros(len(DISTANCES) + len(BITS), np.int64)
RANDOM = np.random.default_rng(1)


def read(path: Path) -> Pixels:
    """A picture at our size."""
    with av.open(str(path)) as file:
        frame = next(file.decode(video=0))
    return cast(Pixels, frame.reformat(WIDTH, HEIGHT, "rgb24").to_ndarray())


def shown(pixels: Pixels) -> av.VideoFrame:
    """As a decoder gives it."""
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24").reformat(
        format="yuv420p"
    )


def coded(pixels: Pixels, quality: int) -> av.VideoFrame:
    """Through H.264."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"crf": str(quality), "preset": "veryfast"}
    decoder = av.CodecContext.create("h264", "r")
    packets = [*encoder.encode(shown(pixels)), *encoder.encode(None)]
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    return (frames + decoder.decode(None))[0]


def noisy(pixels: Pixels, sigma: float) -> Pixels:
    """With the noise of a camera."""
    return _clipped(pixels + RANDOM.normal(0, sigma, pixels.shape))


def moved(pixels: Pixels, by: int) -> Pixels:
    """A camera that was touched."""
    return np.roll(pixels, by, 1)


def with_code(pixels: Pixels, side: int) -> Pixels:
    """With a QR code of so many pixels."""
    modules = RANDOM.integers(0, 2, (21, 21), np.uint8) * 255
    code = np.kron(modules, np.ones((side // 21 + 1,) * 2, np.uint8))[:side, :side]
    changed = pixels.copy()
    changed[500 : 500 + side, 900 : 900 + side] = code[..., None]
    return changed


def with_object(pixels: Pixels, side: int) -> Pixels:
    """With a square of another grey."""
    changed = pixels.copy()
    changed[300 : 300 + side, 600 : 600 + side] += 128  # and round, so that it differs anywhere
    return changed


def with_line(pixels: Pixels) -> Pixels:
    """With a line of writing, 20 pixels high."""
    changed = pixels.copy()
    ink = 0 if pixels[600:620].mean() > FURTHEST / 2 else FURTHEST
    for letter in range(12):
        changed[600:620, 100 + 22 * letter : 110 + 22 * letter] = ink
    return changed


FURTHEST = thumbnail.FURTHEST
SAME: dict[str, Callable[[Pixels], av.VideoFrame]] = {
    "coded by H.264, crf 28": lambda pixels: coded(pixels, 28),
    "coded by H.264, crf 38": lambda pixels: coded(pixels, 38),
    "noise of 4 levels": lambda pixels: shown(noisy(pixels, 4)),
    "noise of 6 levels, crf 32": lambda pixels: coded(noisy(pixels, 6), 32),
    "brighter by 4 levels": lambda pixels: shown(_clipped(pixels + 4.0)),
    "moved by 2 pixels": lambda pixels: shown(moved(pixels, 2)),
}
OTHER: dict[str, Callable[[Pixels], av.VideoFrame]] = {
    "a QR code of 60 pixels": lambda pixels: shown(with_code(pixels, 60)),
    "a QR code of 120 pixels": lambda pixels: shown(with_code(pixels, 120)),
    "a QR code of 200 pixels": lambda pixels: shown(with_code(pixels, 200)),
    "an object of 40 pixels": lambda pixels: shown(with_object(pixels, 40)),
    "an object of 80 pixels": lambda pixels: shown(with_object(pixels, 80)),
    "a line of writing": lambda pixels: shown(with_line(pixels)),
    "the same, crf 32": lambda pixels: coded(with_line(pixels), 32),
}


def dhash(frame: av.VideoFrame) -> NDArray[np.bool_]:
    """Of each of 8 x 8 blocks, whether it is brighter than the one at its left."""
    small = frame.reformat(9, 8, "gray", interpolation="AREA").to_ndarray()
    return small[:, 1:] > small[:, :-1]


def repeated(one: av.VideoFrame, other: av.VideoFrame) -> NDArray[np.int64]:
    """At each distance, and at each number of bits: 1 where the verdict is repeated."""
    apart = thumbnail.distance(thumbnail.make(one), thumbnail.make(other))
    bits = int((dhash(one) != dhash(other)).sum())
    return np.array([*(apart <= most for most in DISTANCES), *(bits <= most for most in BITS)], int)


def _clipped(pixels: NDArray[np.floating[Any]]) -> Pixels:
    clipped: Pixels = np.clip(pixels, 0, FURTHEST).astype(np.uint8)
    return clipped


def _seconds(work: Callable[[], object], times: int = 50) -> float:
    began = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - began) / times


def main() -> None:
    """Change each, compare, tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.repeats", description=__doc__)
    parser.add_argument("folder", type=Path)
    paths = sorted(p for p in parser.parse_args().folder.iterdir() if p.suffix in {".png", ".jpg"})
    pictures = [read(path) for path in paths]
    pictures += [np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in (0, 128, FURTHEST)]
    frames = [shown(pixels) for pixels in pictures]
    columns = " ".join(f"{f'<= {most}':>5}" for most in DISTANCES)
    print(f"{len(pictures)} pictures; repeated at repeat_distance {columns}; by dHash at 0, 2 bits")
    for title, changes in (("the same", SAME), ("another", OTHER)):
        for name, change in changes.items():
            both = zip(frames, pictures, strict=True)
            counts = sum((repeated(frame, change(pixels)) for frame, pixels in both), NONE)
            print(f"  {title:9} {name:27}" + " ".join(f"{count:5}" for count in counts))
    counts = sum((repeated(*pair) for pair in combinations(frames, 2)), NONE)
    pairs_count = len(frames) * (len(frames) - 1) // 2
    print(
        f"  another   {f'one of {pairs_count} pairs':27}" + " ".join(f"{one:5}" for one in counts)
    )
    print(f"a thumbnail: {_seconds(lambda: thumbnail.make(frames[0])) * 1000:.2f} ms of CPU")


if __name__ == "__main__":
    main()
