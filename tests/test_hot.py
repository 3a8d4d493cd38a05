"""The native switch: strict where asked to be."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from slicer import hot

BUILT = find_spec("slicer._hot") is not None
# Ahead of the import: a build that has a native plane, and one that has none.
THERE = (
    "import sys, types;"
    " sys.modules['slicer._hot'] = types.SimpleNamespace(Bundle=int, stretch_levels=None)"
)
NOT_THERE = "import sys; sys.modules['slicer._hot'] = None"


def imported(native: str, first: str) -> subprocess.CompletedProcess[str]:
    show = "from slicer.hot import IMPLEMENTATION, Bundle; print(IMPLEMENTATION, Bundle)"
    return subprocess.run(
        [sys.executable, "-c", f"{first}; {show}"],
        env=os.environ | {"SLICER_NATIVE": native},
        capture_output=True,
        text=True,
        check=False,
    )


REFERENCE = "reference <class 'slicer.slicing.bundle.Bundle'>\n"


def test_what_is_there_is_taken() -> None:
    native = BUILT and os.environ.get("SLICER_NATIVE") != "0"
    expected = "slicer._hot" if native else "slicer.slicing.bundle"
    assert hot.Bundle.__module__ == expected
    assert (hot.IMPLEMENTATION == "native") is native


@pytest.mark.parametrize("native", ["", "1"])
def test_the_native_one_is_taken_where_it_is(native: str) -> None:
    assert imported(native, THERE).stdout == "native <class 'int'>\n"


@pytest.mark.parametrize(("native", "first"), [("", NOT_THERE), ("0", NOT_THERE), ("0", THERE)])
def test_the_reference_is_taken(native: str, first: str) -> None:
    assert imported(native, first).stdout == REFERENCE


def test_what_is_demanded_and_not_there_is_an_error_that_says_what_to_do() -> None:
    failed = imported("1", NOT_THERE)
    assert failed.returncode != 0
    assert "no native plane" in failed.stderr
    assert "SLICER_NATIVE=0 does without" in failed.stderr
