"""What counts as covered by a module's own tests, and what is a fault."""

from tests.own_coverage import Covered, faults, own_lines


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


def test_less_than_the_floor_is_a_fault_and_names_the_lines() -> None:
    assert list(faults([covered("a.py", 90), covered("b.py", 8, 10)], {})) == [
        "b.py: 80.0 %, floor 90 %; not run: 8, 9"
    ]


def test_an_exception_has_a_floor_of_its_own_and_goes_when_it_is_not_needed() -> None:
    exceptions = {"a.py": (50.0, "why"), "b.py": (50.0, "why"), "gone.py": (1.0, "why")}
    assert list(faults([covered("a.py", 60), covered("b.py", 95)], exceptions)) == [
        "b.py: 95.0 % needs no exception any more",
        "gone.py: an exception for a module that is not there",
    ]
    assert list(faults([covered("a.py", 4, 10)], {"a.py": (50.0, "why")})) == [
        "a.py: 40.0 %, floor 50 %; not run: 4, 5, 6, 7, 8, 9"
    ]


def test_nothing_to_run_is_all_run() -> None:
    assert covered("a.py", 0, 0).percent == 100.0
