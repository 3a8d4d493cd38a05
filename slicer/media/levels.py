"""Stretches the limited range that cameras send to JFIF's full range, natively where that is built.

The native way takes a third of numpy's time, with which this was a fifteenth of a JPEG.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from slicer.hot import IMPLEMENTATION

if TYPE_CHECKING or IMPLEMENTATION == "native":
    from slicer._hot import stretch_levels

Plane = npt.NDArray[np.uint8]
"""(height, width) of 8-bit samples; rows may be longer in memory."""


class Range(NamedTuple):
    """A limited range, from 16 on: the greatest level, then in 1/256 what one level becomes and
    what rounds."""

    greatest: int
    scale: int
    rounding: int


LUMA = Range(235, 298, 136)
CHROMA = Range(240, 291, 296)


def stretch(samples: Plane, limited: Range) -> Plane:
    """Full range from limited, to the nearest level: 16 becomes 0, of chroma 1, *greatest* 255."""
    if IMPLEMENTATION != "native":
        return stretch_by_numpy(samples, limited)
    full = np.empty(samples.shape, np.uint8)
    stretch_levels(samples, full, limited.greatest, limited.scale, _offset(limited))
    return full


def stretch_by_numpy(samples: Plane, limited: Range) -> Plane:
    """The reference of `stretch`."""
    wide = np.clip(samples, 16, limited.greatest).astype(np.uint16)
    wide *= limited.scale
    wide -= _offset(limited)
    wide >>= 8
    return wide.astype(np.uint8)


def _offset(limited: Range) -> int:
    return 16 * limited.scale - limited.rounding
