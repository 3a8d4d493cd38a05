"""What a fleet counts."""

from types import SimpleNamespace
from typing import cast

from slicer.delivery.copies import Copies
from slicer.fleet.beat import Beat
from slicer.fleet.gate import Gate
from slicer.fleet.metrics import METRICS, of_copies, of_gate, of_planner
from slicer.fleet.planner import Planner
from slicer.fleet.record import TaskRecord
from tests.harness.clock import ManualClock
from tests.harness.delivery.scripted_place import ScriptedPlace


def test_workers_tasks_and_load() -> None:
    planner = Planner()
    planner.receive(Beat("a", capacity=4), 10.0)
    planner.receive(Beat("b", capacity=4, load=0.75), 10.0)
    planner.receive(Beat("c", capacity=4, draining=True), 10.0)
    planner.receive(Beat("gone", capacity=4), 1.0)
    planner.receive(TaskRecord("t", worker="a", revision=1), 10.0)
    found = {(one.name, *one.labels): one.value for one in of_planner(planner, 1, 10.0)}
    assert found["fleet_workers", ("state", "alive")] == 2
    assert found["fleet_workers", ("state", "draining")] == 1
    assert found["fleet_workers", ("state", "dead")] == 1
    assert found["fleet_load",] == 0.5
    assert {name for name, *_ in found} <= METRICS.keys()


def test_a_fleet_without_workers_is_full() -> None:
    found = {one.name: one.value for one in of_planner(Planner(), 0, 0.0)}
    assert found["fleet_load"] == 1.0


def test_copies_of_slices() -> None:
    assert list(of_copies(None)) == []
    copies = Copies(ScriptedPlace(), ManualClock())
    found = {one.name: one.value for one in of_copies(copies)}
    assert set(found.values()) == {0}
    assert found.keys() <= METRICS.keys()
    assert len(found) == 4


def test_slices_at_the_gate() -> None:
    class Counted(SimpleNamespace):
        def __len__(self) -> int:
            return 2

    found = {one.name: one.value for one in of_gate(cast(Gate, Counted(refused=3)))}
    assert found == {"fleet_slices_waiting": 2, "fleet_slices_refused_total": 3}
