"""The native switch: `Bundle` is the native plane's where there is one, else the reference's.

SLICER_NATIVE=1 demands the native one, 0 forbids it.
"""

import os

from slicer.slicing.bundle import Bundle

IMPLEMENTATION = "reference"

_wanted = os.environ.get("SLICER_NATIVE", "")
if _wanted != "0":
    try:
        from slicer._hot import Bundle

        IMPLEMENTATION = "native"
    except ImportError as missing:
        if _wanted == "1":
            raise ImportError(
                "SLICER_NATIVE=1, but this build has no native plane: install a wheel that has it,"
                " or install from source with a C compiler; SLICER_NATIVE=0 does without"
            ) from missing

__all__ = ["IMPLEMENTATION", "Bundle"]
