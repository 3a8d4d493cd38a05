"""The backup takes the place of a store that fails for too long, and gives it back."""

from slicer.delivery.circuit import THRESHOLD
from slicer.delivery.retry import Backoff
from slicer.delivery.route import Lane, Route
from slicer.errors import StorageUnavailable
from tests.harness.storage.memory import MemoryStore

ERROR = StorageUnavailable("k", "503", "again")


def route(backup: bool = True) -> tuple[Route, Lane, Lane | None]:
    made = Route(MemoryStore(), MemoryStore() if backup else None, 60.0, Backoff(), lambda: 0.0)
    return made, made.first, made.lanes[1] if backup else None


def kill(lane: Lane, now: float) -> None:
    for _ in range(THRESHOLD):
        lane.circuit.fail(ERROR, lane.circuit.start(), now)


def test_the_first_store_is_taken_while_it_works() -> None:
    made, first, _ = route()
    assert made.choose(0.0) is first
    assert made.wakes_at(0.0) is None


def test_without_a_backup_nothing_goes_while_it_fails() -> None:
    made, first, _ = route(backup=False)
    kill(first, 0.0)
    assert made.choose(0.1) is None
    assert made.wakes_at(0.0) == first.circuit.opens_at


def test_the_backup_stands_in_after_its_time_and_the_first_is_tried_on() -> None:
    made, first, backup = route()
    kill(first, 0.0)
    while first.circuit.opens_at is not None and first.circuit.opens_at <= 60.0:
        now = first.circuit.opens_at
        assert made.choose(now) is first
        first.circuit.fail(ERROR, first.circuit.start(), now)
        assert made.choose(now) is (backup if now >= 60 else None)
    assert made.wakes_at(59.0) == 60.0
    assert made.choose(60.0) is backup
    assert first.circuit.opens_at is not None
    assert made.choose(first.circuit.opens_at) is first
    first.circuit.start()
    assert made.choose(first.circuit.opens_at) is backup, "one tries, the others go on"
    first.circuit.succeed()
    assert made.choose(100.0) is first


def test_a_backup_that_fails_is_left_alone_as_well() -> None:
    made, first, backup = route()
    assert backup is not None
    kill(first, 0.0)
    kill(backup, 70.0)
    first.circuit.start()
    assert made.choose(70.0) is None
