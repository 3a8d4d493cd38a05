"""One slice on its way to a store: where it goes, and how its file is made when it is wanted."""

from collections.abc import Callable
from dataclasses import dataclass

from slicer.media.slice import Slice
from slicer.slicing.outputs import AudioCut, Cut, TrackKey

OBJECT_BYTES = 160
"""What Python adds to each packet or frame held: the tuple, two integers, the bytes' header."""


@dataclass(frozen=True, slots=True)
class Job:
    """One slice to be: *make* gives its file, in an executor, perhaps several times.

    *size*: bytes of memory it holds meanwhile. *make* raises MediaError where there is nothing
    that can be decoded.
    """

    key: str
    track: TrackKey
    size: int
    make: Callable[[], Slice]


def memory_of(cut: Cut) -> int:
    """Bytes of memory a cut holds."""
    if isinstance(cut, AudioCut):
        return sum(len(packet.payload) + OBJECT_BYTES for packet in cut.packets)
    return sum(len(frame) + OBJECT_BYTES for frame in cut.frames)
