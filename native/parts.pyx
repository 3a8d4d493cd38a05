# cython: language_level=3, boundscheck=False, wraparound=False
"""The native plane's parts one by one, with the faces of the reference's classes: for the tests
that hold each part to its twin. The product uses `slicer._hot` alone."""

include "parts_core.pxi"
include "parts_order.pxi"
include "parts_demultiplexer.pxi"
include "parts_frames.pxi"
include "parts_reports.pxi"
include "parts_srtp.pxi"
