"""Faults of a fleet of processes, each in a network of its own: three NATS servers, two workers.

What was cut is stored once, packet by packet, whatever happens; each task is sliced again. How long
that takes is measured by `python -m bench.fleet_faults`.
"""

from pathlib import Path

from tests.harness.fleet.fault_stage import fault_stage
from tests.harness.fleet.faults import (
    Fault,
    cost,
    cut_off_from_everything,
    freeze_worker,
    inflict,
    kill_leader_and_worker,
    kill_two_servers,
)

STORY = (
    Fault("cut off", cut_off_from_everything),
    Fault("leader and worker", kill_leader_and_worker),
    Fault("two servers", kill_two_servers),
    Fault("frozen", freeze_worker),
)


async def test_whatever_fails_nothing_is_doubled_and_no_slice_is_lost(tmp_path: Path) -> None:
    async with fault_stage(tmp_path, 2, 2) as stage:
        windows = [await inflict(stage, fault) for fault in STORY]
        await stage.finish()
        landed = await stage.landed()
        costs = {one.fault.name: cost(one, landed.gaps, stage.seen) for one in windows}
        assert landed.doubled == 0
        assert stage.lost() == []
        assert [one.lost for one in costs.values()] == [0] * len(STORY)
        assert costs["two servers"].silence == 0, "all went on"
        assert costs["leader and worker"].robots == 1
        assert max(one.robots for one in costs.values()) <= 2
        names = [one.headers["x-slicer-message"] for one in stage.customer.received]
        assert sorted(set(names)) == sorted(names)
