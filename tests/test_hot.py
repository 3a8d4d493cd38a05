"""The native switch: strict where asked to be."""

import os
import subprocess
import sys

import pytest

from slicer import hot
from slicer.slicing.receiver import Receiver


def imported(native: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from slicer.hot import IMPLEMENTATION; print(IMPLEMENTATION)"],
        env=os.environ | {"SLICER_NATIVE": native},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_reference_is_there() -> None:
    assert hot.IMPLEMENTATION == "reference"
    assert hot.Receiver is Receiver


@pytest.mark.parametrize("native", ["", "0"])
def test_the_reference_is_taken(native: str) -> None:
    assert imported(native).stdout == "reference\n"


def test_what_is_demanded_and_not_there_is_an_error() -> None:
    failed = imported("1")
    assert failed.returncode != 0
    assert "no native plane" in failed.stderr
