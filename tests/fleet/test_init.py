"""The fleet's parts together, in simulation: faults of all kinds, and what must hold throughout."""

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from slicer.fleet.planner import RETRY
from slicer.fleet.roster import DEAD_AFTER
from tests.harness.fleet.simulation import JOIN, Simulation

WORKERS = st.sampled_from(["w0", "w1", "w2", "w3"])
COPIES = st.sampled_from(["a0", "a1"])
BOUND = DEAD_AFTER + 2 * RETRY + JOIN + 1.0
"""Seconds after the last fault within which each task is sliced again: a write may be lost once,
and the brake lets ten tasks a second pass."""


def fleet(tasks: int = 12, seed: int = 0) -> Simulation:
    simulation = Simulation(4, seed=seed, zones=2)
    simulation.run(1.0)
    for number in range(tasks):
        simulation.create(f"t{number}")
    simulation.run(3.0)
    assert simulation.unowned() == []
    return simulation


def silence(simulation: Simulation) -> float:
    """Seconds until every task is sliced."""
    began = simulation.now
    while simulation.unowned():
        simulation.run(0.05)
        assert simulation.now - began < 60
    return simulation.now - began


def test_a_killed_workers_tasks_are_sliced_again_at_once() -> None:
    simulation = fleet()
    simulation.kill("w0")
    assert 1.0 < silence(simulation) <= DEAD_AFTER + 0.3


def test_a_copy_of_the_api_is_not_needed_by_the_others() -> None:
    simulation = fleet()
    simulation.kill("a0")
    simulation.kill("w0")
    assert silence(simulation) <= DEAD_AFTER + 0.3


def test_a_drained_workers_tasks_lose_no_slice() -> None:
    simulation = fleet()
    worker = simulation.workers["w0"]
    had = set(worker.owns.tasks())
    worker.draining = True
    simulation.run(1.5)
    assert (simulation.unowned(), worker.owns.tasks()) == ([], {})
    simulation.run(3.0)
    assert simulation.refused == 0
    for task in had:
        slices = sorted(simulation.accepted[task], key=lambda one: one.began)
        gaps = [after.began - one.ended for one, after in pairwise(slices)]
        assert max(gaps) < 0.3 + JOIN
        assert {one.epoch for one in slices} == {1, 2}


def test_who_was_frozen_delivers_nothing_that_its_successor_has_cut() -> None:
    simulation = fleet()
    simulation.workers["w0"].frozen_until = simulation.now + 6.0
    simulation.run(10.0)
    assert simulation.refused > 0, "it had cut something"
    assert simulation.doubled() == []


def test_who_was_cut_off_went_on_and_delivers_nothing_of_that() -> None:
    simulation = fleet()
    simulation.workers["w0"].cut = True
    simulation.run(10.0)
    assert simulation.unowned() == []
    simulation.workers["w0"].cut = False
    simulation.run(5.0)
    assert simulation.refused > 0
    assert simulation.doubled() == []


def test_while_the_bus_is_away_all_go_on_and_nothing_is_lost() -> None:
    simulation = fleet()
    simulation.bus.away = True
    simulation.run(20.0)
    assert simulation.unowned() == []
    simulation.bus.away = False
    simulation.run(5.0)
    assert simulation.refused == 0
    assert {record.epoch for record in simulation.bus.records.values()} == {1}
    assert all(slices[-1].ended > 26 for slices in simulation.accepted.values())


class Faults(RuleBasedStateMachine):
    """Anything may happen at any time; then, where something is left that works, it works."""

    def __init__(self) -> None:
        super().__init__()
        self.fleet = fleet(8)
        self.created = 8

    @rule(worker=WORKERS)
    def kill(self, worker: str) -> None:
        self.fleet.kill(worker)

    @rule(worker=WORKERS)
    def restart(self, worker: str) -> None:
        self.fleet.restart(worker)

    @rule(worker=WORKERS, seconds=st.sampled_from([0.6, 2.0, 6.0]))
    def freeze(self, worker: str, seconds: float) -> None:
        self.fleet.workers[worker].frozen_until = self.fleet.now + seconds

    @rule(worker=WORKERS, cut=st.booleans())
    def cut_off(self, worker: str, cut: bool) -> None:
        self.fleet.workers[worker].cut = cut

    @rule(worker=WORKERS, delay=st.sampled_from([0.002, 0.2, 0.9]))
    def slow(self, worker: str, delay: float) -> None:
        self.fleet.workers[worker].delay = delay

    @rule(worker=WORKERS, draining=st.booleans())
    def drain(self, worker: str, draining: bool) -> None:
        self.fleet.workers[worker].draining = draining

    @rule(copy=COPIES, cut=st.booleans())
    def cut_off_copy(self, copy: str, cut: bool) -> None:
        self.fleet.copies[copy].cut = cut

    @rule(copy=COPIES, seconds=st.sampled_from([0.6, 4.0]))
    def freeze_copy(self, copy: str, seconds: float) -> None:
        self.fleet.copies[copy].frozen_until = self.fleet.now + seconds

    @rule(copy=COPIES, seconds=st.sampled_from([1.0, 60.0]))
    def jump(self, copy: str, seconds: float) -> None:
        self.fleet.copies[copy].clock += seconds

    @rule(away=st.booleans())
    def lose_bus(self, away: bool) -> None:
        self.fleet.bus.away = away

    @rule(seconds=st.sampled_from([0.2, 1.0, 3.0]))
    def go_on(self, seconds: float) -> None:
        self.fleet.run(seconds)

    @rule()
    def come_to_rest(self) -> None:
        """No further fault: what is healthy takes everything over in time."""
        self.fleet.bus.away = False
        left = [node.frozen_until for node in self.fleet.nodes()]
        self.fleet.run(max(0.0, max(left) - self.fleet.now))
        for copy in self.fleet.copies.values():
            copy.cut = False
        takes = [
            one
            for one in self.fleet.workers.values()
            if one.healthy(self.fleet.now) and not one.draining
        ]
        self.fleet.run(BOUND)
        if takes:
            assert self.fleet.unowned() == []

    @invariant()
    def no_slice_is_doubled(self) -> None:
        assert self.fleet.doubled() == []


def test_whatever_happens_no_slice_is_doubled_and_no_task_stays_without_a_worker() -> None:
    options = settings(max_examples=60, stateful_step_count=20, deadline=None)
    run_state_machine_as_test(Faults, settings=options)
