"""The disk of one worker of a fleet is full: its spool, its callbacks and its log are on it.

It goes on, from memory; nothing is lost, everything is told once there is room, no further task
comes to it, and the other worker notices nothing.
"""

import asyncio
import time
from pathlib import Path

from tests.harness.fleet.fault_stage import BUCKET, Stage, fault_stage
from tests.harness.fleet.small_disk import small_disk

PATIENCE = 60.0
TASKS = 10
"""At most, until each worker has one."""


async def stored(stage: Stage, task: str) -> int:
    keys = await asyncio.to_thread(stage.store.store.keys, BUCKET, task)
    return len(keys)


async def until_stored(stage: Stage, task: str, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while await stored(stage, task) < count:
            await asyncio.sleep(0.2)


async def until_both_have_one(stage: Stage) -> None:
    """A new task goes to the worker that is the least busy, whatever else the machine does."""
    while {one for task in stage.ports for one in stage.holders(task)} != {"w0", "w1"}:
        assert len(stage.ports) < TASKS
        await asyncio.sleep(2)  # beats come twice a second
        await stage.create()
        await stage.until_sliced()


async def test_a_worker_whose_disk_is_full_goes_on_and_is_given_no_more(tmp_path: Path) -> None:
    with small_disk(tmp_path / "w0", 8) as disk:
        async with fault_stage(tmp_path, 2, 2, servers=1, rooms=TASKS + 1) as stage:
            await until_both_have_one(stage)
            task = next(one for one in stage.ports if "w0" in stage.holders(one))
            disk.fill()
            full = time.time()
            there = await stored(stage, task)
            await asyncio.sleep(3)  # until its heartbeat says so
            later = [await stage.create() for _ in range(3)]
            await stage.until_sliced()
            assert {one for task in later for one in stage.holders(task)} == {"w1"}
            await until_stored(stage, task, there + 2)  # one that was cut from its beginning to end
            told = [one for one in stage.customer.received if one.task == task]
            disk.free()
            async with asyncio.timeout(PATIENCE):
                while not any("No space left on device" in one for one in stage.messages()):
                    await asyncio.sleep(0.2)
            await stage.finish()
            landed = await stage.landed()
            assert (landed.doubled, landed.gaps, stage.lost()) == (0, [], [])
            names = [one.headers["x-slicer-message"] for one in stage.customer.received]
            assert len(names) == len(set(names))
            files = [one for one in stage.customer.received if one.event == 1004]
            assert len([one for one in files if one.task == task]) == await stored(stage, task)
            assert len(told) < len([one for one in stage.customer.received if one.task == task])
            assert all(stage.holders(one) == set() for one in stage.ports), full
