"""Everything is replaced under load, one process after the other: three NATS servers, two copies of
the API, two workers. Tasks are sliced and created all the while."""

import asyncio
from collections import Counter
from pathlib import Path

from tests.harness.fleet.fault_stage import Stage, fault_stage
from tests.harness.fleet.faults import EDGE, Fault, cost, inflict, upgrade

FIRST, MORE = 2, 4
BETWEEN = 4.0
"""Seconds between two creates."""
SLOW = 2 * EDGE


async def create(stage: Stage) -> None:
    for _ in range(MORE):
        await asyncio.sleep(BETWEEN)
        await stage.create()


async def test_an_upgrade_of_everything_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async with fault_stage(tmp_path, 2, FIRST, apis=2, rooms=MORE) as stage:
        creating = asyncio.ensure_future(create(stage))
        window = await inflict(stage, Fault("upgrade", upgrade), settle=2.0)
        await creating
        await stage.until_sliced()
        assert [len(stage.robots(task)) for task in stage.ports] == [1] * (FIRST + MORE)
        await stage.finish()
        landed = await stage.landed()
        found = cost(window, landed.gaps, stage.seen, SLOW)
        assert landed.packets > 0
        assert (landed.doubled, found.lost, stage.lost()) == (0, 0, [])
        if not window.missed:  # a machine so busy that a worker said nothing for 1.5 s froze it
            assert (found.robots, found.dead) == (1, 0), "what was being cut is handed over, too"
        assert stage.repeated() == []
        events = Counter((one.task, one.event) for one in stage.customer.received)
        for task in stage.ports:
            assert [events[task, event] for event in (1001, 1002, 1005)] == [1, 1, 1]
