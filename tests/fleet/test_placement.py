"""Which worker gets a task."""

import pytest

from slicer.fleet.beat import Beat
from slicer.fleet.placement import ZONE_FULL, load_of, place


def beat(name: str, zone: str = "", load: float = 0.0, draining: bool = False) -> Beat:
    return Beat(name, zone=zone, capacity=10, load=load, draining=draining)


@pytest.mark.parametrize(
    ("workers", "tasks", "expected"),
    [
        ([beat("a"), beat("b")], {"a": 3}, "b"),
        ([beat("a", load=0.9), beat("b")], {"b": 3}, "b"),
        ([beat("a", draining=True), beat("b", load=0.9)], {}, "b"),
        ([beat("a"), beat("b", load=1.0)], {"a": 10}, None),
        ([], {}, None),
    ],
)
def test_the_least_load_is_taken(
    workers: list[Beat], tasks: dict[str, int], expected: str | None
) -> None:
    assert place("t", workers, tasks) == expected


def test_the_wanted_zone_is_taken_until_it_is_almost_full() -> None:
    here, there = beat("a", "here", 0.5), beat("b", "there")
    assert place("t", [here, there], {}, "here") == "a"
    assert place("t", [beat("a", "here", ZONE_FULL), there], {}, "here") == "b"
    assert place("t", [here], {}, "nowhere") == "a"


def test_the_avoided_worker_is_taken_where_there_is_no_other() -> None:
    assert place("t", [beat("a"), beat("b", load=0.9)], {}, avoid="a") == "b"
    assert place("t", [beat("a")], {}, avoid="a") == "a"


def test_equals_share_what_is_placed_at_the_same_time() -> None:
    workers = [beat("a"), beat("b"), beat("c")]
    found = [place(f"t{number}", workers, {}) for number in range(300)]
    assert all(found.count(name) > 60 for name in "abc")


def test_a_worker_without_capacity_is_full() -> None:
    assert load_of(Beat("a"), 0) == 1.0


def test_tasks_that_belong_together_have_one_place_whatever_is_taken() -> None:
    workers = [beat("a"), beat("b")]
    found = {
        place(f"task-{number}", workers, {"a": number}, together="room") for number in range(9)
    }
    assert len(found) == 1
    spread = {place("t", workers, {}, together=f"room-{number}") for number in range(50)}
    assert len(spread) > 1
