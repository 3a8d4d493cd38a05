"""What counts as covered by a module's own tests, and what is a fault."""

import subprocess
from pathlib import Path

import pytest
from coverage import CoverageData

from slicer.rtp import unwrap
from tests.own_coverage import EXCEPTIONS, MEASURED, NATIVE, Covered, faults, main, own_lines, run

FAILS_ONCE = """
from pathlib import Path
from slicer.rtp.unwrap import Unwrapper

def test_it():
    runs = Path(__file__).with_suffix(".runs")
    with runs.open("a") as file:
        file.write("x")
    assert runs.stat().st_size > 1
    Unwrapper(16).unwrap(7)
"""


def covered(module: str, run: int, of: int = 100) -> Covered:
    return Covered(module, frozenset(range(of)), frozenset(range(run)))


def test_own_tests_and_imports_count_others_do_not() -> None:
    contexts = {
        1: [""],
        2: ["tests/rtp/test_ring.py::test_x|run"],
        3: ["tests/rtp/test_stream.py::test_x|run"],
        4: ["tests/rtp/test_ring_more.py::test_x|run"],
        5: ["tests/rtp/test_stream.py::test_x|run", "tests/rtp/test_ring.py::test_y|setup"],
    }
    assert own_lines("rtp/ring.py", contexts) == {1, 2, 5}


def test_less_than_the_floor_is_a_fault_and_tells_the_lines() -> None:
    assert list(faults([covered("a.py", 90), covered("x/b.py", 8, 10)], {})) == [
        "slicer/x/b.py: tests/x/test_b.py runs 80.0 % of its lines, and 90 % is the least; "
        "not run: 8-9"
    ]


def test_an_exception_has_a_floor_of_its_own_and_goes_when_it_is_not_needed() -> None:
    exceptions = {"a.py": (50.0, "why"), "b.py": (50.0, "why")}
    assert list(faults([covered("a.py", 60), covered("b.py", 95)], exceptions)) == [
        "slicer/b.py: 95.0 % needs no exception any more: take it out of EXCEPTIONS in "
        "tests/own_coverage.py"
    ]
    assert list(faults([covered("a.py", 4, 10)], exceptions)) == [
        "slicer/a.py: tests/test_a.py runs 40.0 % of its lines, and 50 % is the least; not run: 4-9"
    ]


def test_lines_that_were_not_run_are_one_where_only_lines_without_code_are_between() -> None:
    lines, run = frozenset({1, 2, 4, 7, 9, 12, 13}), frozenset({1, 9, 12})
    assert Covered("a.py", lines, run).missing == "2-7, 13"


def test_tables_name_modules_that_are_there() -> None:
    assert {*EXCEPTIONS, *NATIVE} - {*MEASURED} == set()


def test_a_module_is_measured_by_its_own_tests(capfd: pytest.CaptureFixture[str]) -> None:
    """A process of pytest of its own, with one small module."""
    assert main("slicer/rtp/unwrap.py") == 0
    assert "==> 1 modules by their own tests: 100.0 % of" in capfd.readouterr().out


def test_what_failed_is_run_once_more_and_its_lines_count(tmp_path: Path) -> None:
    profile = "from hypothesis import settings\n\nsettings.register_profile('few')\n"
    (tmp_path / "conftest.py").write_text(profile)
    file = tmp_path / "test_it.py"
    file.write_text(FAILS_ONCE)
    assert run([str(file)], f"{tmp_path}/data", "0") == 0
    assert file.with_suffix(".runs").read_text() == "xx"
    data = CoverageData(f"{tmp_path}/data")
    data.read()
    contexts = data.contexts_by_lineno(unwrap.__file__).values()
    assert any("test_it.py::test_it" in test for tests in contexts for test in tests)


@pytest.mark.parametrize(("ends", "status"), [([0], 0), ([1, 0], 0), ([1, 1], 1), ([2], 2)])
def test_what_fails_twice_fails(
    monkeypatch: pytest.MonkeyPatch, ends: list[int], status: int
) -> None:
    runs = iter(ends)
    monkeypatch.setattr(subprocess, "call", lambda *_, **__: next(runs))
    assert run(["tests/rtp/test_unwrap.py"], "data", "0") == status
    assert list(runs) == []


def test_a_module_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("rtp/nothing.py") == 2
    assert capsys.readouterr().err == "not a module with tests of its own: rtp/nothing.py\n"


def test_nothing_to_run_is_all_run() -> None:
    assert covered("a.py", 0, 0).percent == 100.0
