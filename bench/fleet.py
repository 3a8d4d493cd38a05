"""A large fleet in simulation: `python -m bench.fleet [TASKS [WORKERS [SECONDS [SEED]]]]`.

Faults come at random, a few a second. It ends with an error where a slice was delivered twice, or a
task stays without a worker once the faults have ended.
"""

import random
import sys
import time

from tests.harness.fleet.simulation import Simulation

SETTLE = 15.0


def disturb(fleet: Simulation, chance: random.Random) -> None:
    """One fault, or the end of one."""
    name = chance.choice(list(fleet.workers))
    worker = fleet.workers[name]
    match chance.randrange(7):
        case 0:
            fleet.kill(name)
        case 1 if worker.dead:
            fleet.restart(name)
        case 2:
            worker.frozen_until = fleet.now + chance.uniform(0.2, 8.0)
        case 3:
            worker.cut = not worker.cut
        case 4:
            worker.delay = chance.choice([0.002, 0.3, 0.9])
        case 5:
            worker.draining = not worker.draining
        case 6:
            copy = chance.choice(list(fleet.copies.values()))
            copy.clock += chance.uniform(0, 60)
            copy.frozen_until = fleet.now + chance.uniform(0, 2)


def main(tasks: int = 1_000, workers: int = 100, seconds: int = 60, seed: int = 0) -> int:
    """Gives the number of faults found."""
    chance, began = random.Random(seed), time.perf_counter()
    fleet = Simulation(workers, seed=seed, zones=3)
    for worker in fleet.workers.values():
        worker.capacity = 4 * tasks // workers + 1
    fleet.run(1.0)
    for number in range(tasks):
        fleet.create(f"t{number}")
    fleet.run(5.0)
    worst = 0
    for _ in range(2 * seconds):
        disturb(fleet, chance)
        fleet.run(0.5)
        worst = max(worst, len(fleet.unowned()))
    for worker in fleet.workers.values():
        worker.cut, worker.draining, worker.delay = False, False, 0.002
        if worker.dead:
            fleet.restart(worker.name)
    fleet.run(SETTLE)
    lost, doubled = fleet.unowned(), fleet.doubled()
    accepted = sum(map(len, fleet.accepted.values()))
    print(
        f"{tasks} tasks, {workers} workers, {2 * seconds} faults: {accepted} slices delivered, "
        f"{fleet.refused} refused, {len(doubled)} doubled; {worst} tasks unowned at most, "
        f"{len(lost)} at the end ({time.perf_counter() - began:.0f} s)"
    )
    return len(lost) + len(doubled)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
