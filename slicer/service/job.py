"""One slice on its way to a store: where it goes, and how its file is made when it is wanted."""

from collections.abc import Callable
from dataclasses import dataclass

from slicer.media.slice import Slice
from slicer.slicing.outputs import AudioCut, Cut, TrackKey

OBJECT_BYTES = 160
"""What Python adds to each packet or frame held: the tuple, two integers, the bytes' header."""


@dataclass(frozen=True, slots=True)
class Job:
    """One slice to be: *make* gives the file of *cut*, in an executor, perhaps several times.

    *make* raises MediaError where the cut holds nothing that can be decoded.
    """

    key: str
    cut: Cut
    make: Callable[[], Slice]

    @property
    def track(self) -> TrackKey:
        return self.cut.track

    @property
    def size(self) -> int:
        """Bytes of memory the cut holds."""
        if isinstance(self.cut, AudioCut):
            return sum(len(packet.payload) + OBJECT_BYTES for packet in self.cut.packets)
        return sum(len(frame) + OBJECT_BYTES for frame in self.cut.frames)
