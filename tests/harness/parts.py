"""The parts under test: the reference's or, with SLICER_NATIVE=1, their native twins'."""

import os
from typing import TYPE_CHECKING

NATIVE = os.environ.get("SLICER_NATIVE") == "1"
"""Tests of one part import it from here, so that the same tests hold both to the same."""

__all__ = ["NATIVE"]

# Packets and their order.
if TYPE_CHECKING or not NATIVE:
    from slicer.rtp.mapping import SenderClock, SlidingMinimum, TimestampMapper
    from slicer.rtp.nack import NackList
    from slicer.rtp.packet import extensions, parse
    from slicer.rtp.reception import Reception
    from slicer.rtp.ring import ReorderRing
    from slicer.rtp.rtx import restore
    from slicer.rtp.stream import Stream
    from slicer.rtp.unwrap import Unwrapper
else:
    from slicer._parts import (
        NackList,
        Reception,
        ReorderRing,
        SenderClock,
        SlidingMinimum,
        Stream,
        TimestampMapper,
        Unwrapper,
        extensions,
        parse,
        restore,
    )

__all__ += ["NackList", "Reception", "ReorderRing", "SenderClock", "SlidingMinimum", "Stream"]
__all__ += ["TimestampMapper", "Unwrapper", "extensions", "parse", "restore"]
