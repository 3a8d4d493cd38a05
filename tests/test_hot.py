"""The native switch: strict where asked to be."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from slicer import hot
from slicer.cli.exits import BAD_INPUT

BUILT = find_spec("slicer._hot") is not None
# Ahead of the import: a build that has a native plane, and one that has none.
THERE = (
    "import sys, types;"
    " sys.modules['slicer._hot'] = types.SimpleNamespace(Bundle=int, KeyframeRequests=int,"
    " stretch_levels=None, packets_extent=None)"
)
NOT_THERE = "import sys; sys.modules['slicer._hot'] = None"


def imported(native: str, first: str) -> subprocess.CompletedProcess[str]:
    show = "from slicer.hot import IMPLEMENTATION, Bundle; print(IMPLEMENTATION, Bundle)"
    return run(f"{first}; {show}", native)


def run(script: str, native: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
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


@pytest.mark.parametrize(
    "arguments",
    [["run", "whip://127.0.0.1:0/l", "--to", "null:"], ["replay", "x", "--to", "null:"]],
)
def test_what_is_demanded_and_not_there_is_told_in_one_line(arguments: list[str]) -> None:
    script = f"{NOT_THERE}; from slicer.cli import main; sys.exit(main({arguments}))"
    failed = run(script, "1")
    assert failed.returncode == BAD_INPUT
    assert failed.stderr.count("\n") == 1
    assert failed.stderr.startswith("slicer: SLICER_NATIVE: got '1'; allowed: 0 or nothing, ")
    assert "no native plane" in failed.stderr


def test_another_word_is_refused() -> None:
    words = ["run", "whip://127.0.0.1:0/l", "--to", "null:"]
    script = f"import sys; from slicer.cli import main; sys.exit(main({words}))"
    failed = run(script, "yes")
    assert failed.returncode == BAD_INPUT
    assert failed.stderr.startswith("slicer: SLICER_NATIVE: got 'yes'; allowed: 1 (the native")


@pytest.mark.parametrize(("native", "first"), [("", NOT_THERE), ("0", NOT_THERE), ("1", THERE)])
def test_what_is_not_demanded_or_there_is_right(native: str, first: str) -> None:
    assert run(f"{first}; from slicer import hot; hot.check()", native).returncode == 0


def test_what_nobody_chose_to_do_without_is_told() -> None:
    script = f"{NOT_THERE}; from slicer import hot; hot.check()"
    assert "no native plane in this build" in run(script, "").stderr
    assert run(script, "0").stderr == ""


def test_help_needs_no_plane() -> None:
    shown = run(f"{NOT_THERE}; from slicer.cli import main; main(['--help'])", "1")
    assert (shown.returncode, shown.stderr) == (0, "")
