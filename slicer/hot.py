"""The native switch: who handles packets. SLICER_NATIVE=1 demands the native one, 0 forbids it."""

import os

from slicer.slicing.receiver import Receiver

_wanted = os.environ.get("SLICER_NATIVE", "")
if _wanted == "1":
    raise ImportError("SLICER_NATIVE=1, but this build has no native plane")

IMPLEMENTATION = "reference"

__all__ = ["IMPLEMENTATION", "Receiver"]
