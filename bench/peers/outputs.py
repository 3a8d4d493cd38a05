"""Looks at what was written: how many files, of what, how long, and how late each one was.

All peers are held to the same: pictures carry the number of their frame, files the time of their
last write, and the senders have told when each anchor's first frame was due.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from bench.peers.capture import FPS, FRAMES
from bench.peers.commands import AUDIO_SECONDS, PICTURE_SECONDS
from tests.harness.media.picture import read_frame_number

PICTURES = frozenset({".jpg", ".png", ".webp"})
SOUNDS = frozenset({".ogg", ".wav", ".mka"})
STEP = PICTURE_SECONDS * FPS
PACKET_SECONDS = 0.02
GRACE = 1.0
"""Seconds before the end from which on a picture due may be missing."""


@dataclass(frozen=True)
class Picture:
    """A picture file: its frame, counted on over all rounds of the capture; seconds late."""

    frame: int
    late: float
    """Its frame's media time against the time due: what was asked for against what is shown."""
    landed: float
    """The file's time against the wall time due: when it could be looked at."""


@dataclass
class Harvest:
    """What was found of some anchors."""

    pictures: list[Picture] = field(default_factory=list)
    pictures_due: int = 0
    missed: int = 0
    unreadable: int = 0
    repeated: int = 0
    sounds: list[float] = field(default_factory=list)
    """Seconds of sound in each whole file, decoded."""
    sounds_landed: list[float] = field(default_factory=list)
    """How long after its last packet was sent each whole file was written."""
    kinds: set[str] = field(default_factory=set)


def files(folder: Path, endings: Iterable[str]) -> list[Path]:
    """The files of an anchor with one of these endings, oldest first. What is being written under
    another name, or empty, is none."""
    found = [path for path in folder.rglob("*") if path.suffix in endings and path.stat().st_size]
    return sorted(found, key=lambda path: path.name)


def count(folders: Iterable[Path], began: float, ended: float) -> int:
    """Pictures written between two moments of the wall clock."""
    times = (path.stat().st_mtime for folder in folders for path in files(folder, PICTURES))
    return sum(began <= time < ended for time in times)


def place(frame: int) -> tuple[int, float]:
    """Which due time a frame is nearest to, and its seconds after it."""
    due = (frame + STEP // 2) // STEP
    return due, (frame - due * STEP) / FPS


def unwrap(numbers: Sequence[int]) -> list[int]:
    """Frame numbers that start anew every FRAMES, counted on: pictures are over a second apart.

    A number a little lower than the one before is a picture out of order, not another round.
    """
    counted: list[int] = []
    base = 0
    for number in numbers:
        if counted and number + base < counted[-1] - FRAMES // 2:
            base += FRAMES
        counted.append(number + base)
    return counted


def inspect(folder: Path, begin: float, end: float, found: Harvest) -> None:
    """Add what one anchor's folder holds. *begin*, *end*: wall time of its first and last frame."""
    _pictures(files(folder, PICTURES), begin, end, found)
    _sounds(files(folder, SOUNDS), begin, found)


def _pictures(paths: Sequence[Path], begin: float, end: float, found: Harvest) -> None:
    numbers: list[int] = []
    times: list[float] = []
    for path in paths:
        number = frame_number(path)
        if number is None:
            found.unreadable += 1
            continue
        found.kinds.add(path.suffix)
        numbers.append(number)
        times.append(path.stat().st_mtime)
    met: set[int] = set()
    for frame, time in zip(unwrap(numbers), times, strict=True):
        due, late = place(frame)
        found.repeated += due in met
        met.add(due)
        found.pictures.append(Picture(frame, late, time - begin - due * PICTURE_SECONDS))
    due_by_now = int((end - begin - PICTURE_SECONDS / 2 - GRACE) // PICTURE_SECONDS) + 1
    found.pictures_due += due_by_now
    found.missed += len(set(range(due_by_now)) - met)


def _sounds(paths: Sequence[Path], begin: float, found: Harvest) -> None:
    for number, path in enumerate(paths[:-1]):
        found.kinds.add(path.suffix)
        found.sounds.append(sound_seconds(path))
        sent = begin + (number + 1) * AUDIO_SECONDS - PACKET_SECONDS
        landed = path.stat().st_mtime - sent
        found.sounds_landed.append(landed)


def frame_number(path: Path) -> int | None:
    """The number that a picture shows, or None; a file that does not decode has none."""
    try:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
        return read_frame_number(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
    except (av.FFmpegError, StopIteration):
        return None


def sound_seconds(path: Path) -> float:
    """How long a file sounds, by decoding it."""
    samples, rate = 0, 1
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples, rate = samples + frame.samples, frame.sample_rate
    return samples / rate
