"""The native switch: what is imported from here is the native plane's where there is one, else the
reference's.

SLICER_NATIVE=1 demands the native one, 0 forbids it.
"""

import logging
import os

from slicer.errors import BadInput
from slicer.slicing.bundle import Bundle
from slicer.slicing.keyframe_requests import KeyframeRequests

IMPLEMENTATION = "reference"

REMEDY = "install a wheel that has it, or install from source with a C compiler"

log = logging.getLogger(__name__)

_wanted = os.environ.get("SLICER_NATIVE", "")
_missing = ""
if _wanted != "0":
    try:
        from slicer._hot import Bundle, KeyframeRequests

        IMPLEMENTATION = "native"
    except ImportError as error:
        _missing = str(error)


def check() -> None:
    """Raise BadInput where SLICER_NATIVE demands a plane that this build does not have, or says
    something else; log a warning where nobody has chosen to do without.

    Not at the import: whoever imports the package could then only show a traceback, `slicer --help`
    too. Whoever starts work calls this first (the engine, the tests, a build's own test).
    """
    if _wanted not in {"", "0", "1"}:
        raise BadInput(
            "SLICER_NATIVE", _wanted, "1 (the native plane or no start), 0 (without it) or nothing"
        )
    if _wanted == "1" and IMPLEMENTATION != "native":
        raise BadInput(
            "SLICER_NATIVE",
            "1",
            f"0 or nothing, for this build has no native plane ({_missing}); {REMEDY}",
        )
    if _missing:
        log.warning(
            "no native plane in this build (%s): packets are handled in Python, which takes many"
            " times the CPU; %s",
            _missing,
            REMEDY,
        )


__all__ = ["IMPLEMENTATION", "REMEDY", "Bundle", "KeyframeRequests", "check"]
