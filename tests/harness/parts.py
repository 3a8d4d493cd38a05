"""The parts under test: the reference's or, with SLICER_NATIVE=1, their native twins'."""

import os

NATIVE = os.environ.get("SLICER_NATIVE") == "1"
"""Tests of one part import it from here, so that the same tests hold both to the same."""
