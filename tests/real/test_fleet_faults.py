"""Faults of a fleet of processes, each in a network of its own: three NATS servers, two workers.

What was cut is stored once, packet by packet, whatever happens; each task is sliced again. How long
that takes is measured by `python -m bench.fleet_faults`.
"""

from functools import partial
from pathlib import Path

from tests.harness.fleet.fault_stage import Stage, fault_stage
from tests.harness.fleet.faults import (
    EDGE,
    Fault,
    cost,
    cut_off_from_everything,
    freeze_worker,
    inflict,
    kill_leader_and_worker,
    kill_two_servers,
)

STORY = (
    Fault("cut off", partial(cut_off_from_everything, seconds=4.0)),
    Fault("leader and worker", kill_leader_and_worker),
    Fault("two servers", partial(kill_two_servers, seconds=5.0)),
    Fault("frozen", freeze_worker),
)
SLOW = 2 * EDGE
"""What a busy machine may take to know a slice as its worker's own."""


async def test_whatever_fails_nothing_is_doubled_and_no_slice_is_lost(tmp_path: Path) -> None:
    async with fault_stage(tmp_path, 2, 2) as stage:
        windows = {one.name: await inflict(stage, one, settle=2.0) for one in STORY}
        await stage.finish()
        landed = await stage.landed()
        costs = {name: cost(one, landed.gaps, stage.seen, SLOW) for name, one in windows.items()}
        assert landed.doubled == 0
        assert stage.lost() == []
        assert [one.lost for one in costs.values()] == [0] * len(STORY)
        # Unless this machine was so busy that a worker said nothing for 1.5 s, which is a freeze.
        if not windows["two servers"].missed:
            assert costs["two servers"].silence == 0, "all went on"
        if not windows["leader and worker"].missed:
            assert costs["leader and worker"].robots == 1
        assert max(one.robots for one in costs.values()) <= 2
        assert_told(stage)


def assert_told(stage: Stage) -> None:
    """A task's first callback and its last came, and none twice; what a worker that was cut off had
    to tell may come behind what its successor tells."""
    assert stage.repeated() == []
    for task in stage.ports:
        events = [one.event for one in stage.customer.received if one.task == task]
        assert (events.count(1001), events.count(1005), events[-1]) == (1, 1, 1005)
