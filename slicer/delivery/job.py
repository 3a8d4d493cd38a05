"""One slice on its way to a store: where it goes, and how its file is made when it is wanted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from slicer.media.slice import Slice
from slicer.slicing.outputs import AudioCut, Cut, TrackKey

OBJECT_BYTES = 160
"""What Python adds to each packet or frame held: the tuple, two integers, the bytes' header."""


@dataclass(frozen=True, slots=True)
class Job:
    """One slice to be: *make* gives its file, in an executor, perhaps several times.

    *size*: bytes of memory it holds meanwhile. *make* raises MediaError where there is nothing
    that can be decoded. *due*: the *now* after which its file comes late.
    """

    key: str
    track: TrackKey
    size: int
    make: Callable[[], Slice]
    due: float = inf


def memory_of(cut: Cut) -> int:
    """Bytes of memory a cut holds."""
    payloads: Sequence[bytes]
    if isinstance(cut, AudioCut):
        payloads = [packet.payload for packet in cut.packets]
    else:
        payloads = cut.frames
    return sum(map(len, payloads)) + OBJECT_BYTES * len(payloads)
