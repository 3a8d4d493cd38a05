"""Which substream of a simulcast video Janus is asked for. Without I/O and clock.

Theory of operation. Janus forwards the highest substream that flows, up to the one that we name
to it. It says which one it has come to (an event with `substream`), but no sizes. They are read
from the pictures as they come, each noted for the substream that Janus told of last. From one that
is high enough the next lower one is tried, once: it stays where that is high enough, too, and is
gone back from where it is not, or where it is the larger one: Janus takes the layer that a
publisher lists first for the highest, as its own janus.js lists them, and nothing says that it is.
"""

from collections.abc import Callable, Mapping

from slicer.rtp.codecs import h264, vp8
from slicer.slicing.outputs import PictureCut

TOP = 2
"""The highest substream: Janus knows three."""


def _vp8_height(frame: bytes) -> int:
    return vp8.height(b"\x10" + frame)  # as a payload that begins a frame


def _h264_height(frame: bytes) -> int:
    return max(map(h264.height, frame.split(b"\0\0\0\1")), default=0)


_HEIGHTS: Mapping[str, Callable[[bytes], int]] = {"vp8": _vp8_height, "h264": _h264_height}


def height_of(cut: PictureCut) -> int:
    """Pixels of a cut's pictures; 0 where it does not begin with a keyframe that tells."""
    read = _HEIGHTS.get(cut.codec.name)
    return read(cut.frames[0]) if read is not None and cut.first == 0 else 0


class Layers:
    """The substreams of one video. *height*: that is enough; None: the highest substream."""

    def __init__(self) -> None:
        self.height: int | None = None
        self._heights: dict[int, int] = {}
        self._now: int | None = None

    def anew(self) -> "Layers":
        """Those of another video, of which nothing is known."""
        other = Layers()
        other.height = self.height
        return other

    def told(self, substream: object) -> None:
        """Janus has come to this substream; what is none is ignored."""
        if isinstance(substream, int) and 0 <= substream <= TOP:
            self._now = substream

    def measured(self, height: int) -> None:
        """A picture of this height has come; 0: of an unknown one."""
        if self._now is not None and height:
            self._heights[self._now] = height

    @property
    def wanted(self) -> int:
        """The substream to ask Janus for."""
        if self.height is None:
            return TOP
        enough = [layer for layer, height in self._heights.items() if height >= self.height]
        if not enough:
            return TOP
        lowest = min(enough, key=lambda layer: (self._heights[layer], layer))
        untried = lowest > 0 and lowest - 1 not in self._heights
        return lowest - 1 if untried else lowest
