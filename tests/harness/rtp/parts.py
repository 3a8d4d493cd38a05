"""The parts under test: the reference's or, with SLICER_NATIVE=1, their native twins'."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from slicer.rtp.parameters import RtpParameters
from slicer.slicing.keyframe_requests import RequestsOf

NATIVE = os.environ.get("SLICER_NATIVE") == "1"
"""Tests of one part import it from here, so that the same tests hold both to the same."""

__all__ = ["NATIVE"]

# Packets and their order.
if TYPE_CHECKING or not NATIVE:
    from slicer.rtp.clock_offset import ClockOffset
    from slicer.rtp.demultiplexer import Demultiplexer
    from slicer.rtp.mapping import SenderClock, TimestampMapper
    from slicer.rtp.minima import SlidingMinimum, SuffixMinima
    from slicer.rtp.packet import extensions, parse
    from slicer.rtp.red import undo
    from slicer.rtp.ring import ReorderRing
    from slicer.rtp.rtcp.nack import NackList
    from slicer.rtp.rtcp.reception import Reception
    from slicer.rtp.rtx import restore
    from slicer.rtp.stream import Stream
    from slicer.rtp.unwrap import Unwrapper
else:
    from slicer._parts import (
        ClockOffset,
        Demultiplexer,
        NackList,
        Reception,
        ReorderRing,
        SenderClock,
        SlidingMinimum,
        Stream,
        SuffixMinima,
        TimestampMapper,
        Unwrapper,
        extensions,
        parse,
        restore,
        undo,
    )

__all__ += [
    "ClockOffset",
    "Demultiplexer",
    "NackList",
    "Reception",
    "ReorderRing",
    "SenderClock",
    "SlidingMinimum",
    "Stream",
    "SuffixMinima",
]
__all__ += ["TimestampMapper", "Unwrapper", "extensions", "parse", "restore", "undo"]

# Payloads to frames. Pieces without a face of their own (Assembly, Boundary, Obu) are held to their
# twins through the depacketizers that are made of them.
if TYPE_CHECKING or not NATIVE:
    from slicer.rtp.codecs import AUDIO, VIDEO, video_format
    from slicer.rtp.codecs.opus import frame_size as opus_frame_size
    from slicer.rtp.codecs.parameter_sets import ParameterSets
else:
    from slicer._parts import AUDIO, VIDEO, ParameterSets, opus_frame_size, video_format

__all__ += ["AUDIO", "VIDEO", "ParameterSets", "opus_frame_size", "video_format"]

# Reports.
if TYPE_CHECKING or not NATIVE:
    from slicer.rtp.rtcp import build as build_rtcp
    from slicer.rtp.rtcp import parse as parse_rtcp
    from slicer.rtp.rtcp.reporter import Reporter
    from slicer.rtp.rtcp.transport_feedback import feedback_for
    from slicer.rtp.rtcp.transport_reporter import TransportReporter
else:
    from slicer._parts import Reporter, TransportReporter

    from tests.harness.rtp.compounds import build_rtcp, feedback_for, parse_rtcp

__all__ += ["Reporter", "TransportReporter", "build_rtcp", "feedback_for", "parse_rtcp"]

# Streams to cuts. Receivers, tracks, cutters and grabbers are held to their twins by the Bundle.
if TYPE_CHECKING or not NATIVE:
    from slicer.slicing.bundle import Bundle
    from slicer.slicing.keyframe_requests import KeyframeRequests
else:
    from slicer._hot import Bundle, KeyframeRequests

__all__ += ["Bundle", "KeyframeRequests", "bundle_of"]


def bundle_of(
    anchor: str,
    sections: Sequence[RtpParameters],
    ssrc: int = 9,
    requests_of: RequestsOf | None = None,
) -> Bundle:
    """A connection with one anchor, from *now* 0 on."""
    made = Bundle(ssrc, requests_of)
    made.set_sections(anchor, sections, 0.0)
    return made
