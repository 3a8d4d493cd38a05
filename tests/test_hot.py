"""The native switch: what is demanded is what comes, or nothing does."""

import subprocess
import sys

import pytest

from slicer import hot
from slicer.slicing.receiver import Receiver

PROGRAM = "from slicer import hot; print(hot.IMPLEMENTATION)"


def run(value: str | None) -> subprocess.CompletedProcess[str]:
    environment = {} if value is None else {"SLICER_NATIVE": value}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("value", [None, "0"])
def test_the_reference_is_there(value: str | None) -> None:
    assert run(value).stdout == "reference\n"


def test_who_demands_the_native_plane_is_not_given_another() -> None:
    refused = run("1")
    assert refused.returncode != 0
    assert "SLICER_NATIVE=1" in refused.stderr


def test_the_receiver_is_the_one_of_the_core() -> None:
    assert hot.Receiver is Receiver
