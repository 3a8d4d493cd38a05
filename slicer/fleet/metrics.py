"""What a fleet counts: workers and tasks as a copy of the API sees them, slices at a gate."""

from collections.abc import Iterator, Mapping

from slicer.delivery.copies import Copies
from slicer.engine.sample import Sample
from slicer.fleet.gate import Gate
from slicer.fleet.placement import load_of
from slicer.fleet.planner import Planner

METRICS: Mapping[str, str] = {
    "fleet_workers": "workers of the fleet; state: alive, draining, dead (with tasks, or for less "
    "than an hour)",
    "fleet_tasks": "tasks that have not ended, of all workers",
    "fleet_tasks_unplaced": "tasks that no worker runs or can take at the last look",
    "fleet_task_unowned_seconds": "the longest time for which a task has had no worker that lives",
    "fleet_orders_waiting": "records of tasks that their workers' heartbeats have not shown yet",
    "fleet_messages_refused_total": "heartbeats, records, orders, questions, answers and callbacks "
    "on the bus that no process of this fleet has signed; a callback each time it is looked at",
    "fleet_records_unverified": "records of tasks on the bus that no key of this process verifies",
    "fleet_load": "mean load of the workers that take tasks, from 0 to 1: what to scale by",
    "fleet_moves_braked_total": "moves of tasks that waited, for the network was suspected",
    "fleet_slices_waiting": "slices of this worker that wait to be known as its own",
    "fleet_slices_refused_total": "slices of this worker that were not delivered, for another one "
    "had their task",
    "fleet_copies_waiting": "slices of this worker that wait for their copy (fleet.copies)",
    "fleet_copies_written_total": "copies of slices that were written",
    "fleet_copies_failures_total": "tries to write, or to delete, a copy that failed",
    "fleet_copies_left_total": "copies that stay though their slices are done with",
}


def of_planner(planner: Planner, tasks: int, now: float) -> Iterator[Sample]:
    """The fleet, by what a copy of the API has heard and read; *tasks*: how many are open."""
    alive, dead = planner.roster.alive(now), planner.roster.dead(now)
    working = [beat for beat in alive if not beat.draining]
    states = {"alive": working, "draining": [one for one in alive if one.draining], "dead": dead}
    for state, beats in states.items():
        yield Sample("fleet_workers", len(beats), (("state", state),))
    yield Sample("fleet_tasks", tasks)
    yield Sample("fleet_tasks_unplaced", planner.unplaced)
    unowned = planner.unowned(now)
    yield Sample("fleet_task_unowned_seconds", max(unowned.values(), default=0.0))
    orders = sum(planner.orders_waiting(beat.worker) for beat in alive)
    yield Sample("fleet_orders_waiting", orders)
    loads = [load_of(beat, planner.tasks_of(beat.worker)) for beat in working]
    yield Sample("fleet_load", sum(loads) / len(loads) if loads else 1.0)
    yield Sample("fleet_moves_braked_total", planner.braked)


def of_copies(copies: Copies | None) -> Iterator[Sample]:
    """A worker's copies, where it keeps any."""
    if copies is not None:
        yield Sample("fleet_copies_waiting", len(copies))
        yield Sample("fleet_copies_written_total", copies.written)
        yield Sample("fleet_copies_failures_total", copies.failures)
        yield Sample("fleet_copies_left_total", copies.left)


def of_gate(gate: Gate) -> Iterator[Sample]:
    """A worker's slices."""
    yield Sample("fleet_slices_waiting", len(gate))
    yield Sample("fleet_slices_refused_total", gate.refused)
