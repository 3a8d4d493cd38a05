"""A worker of a fleet is killed while the customers' store is down: what it had cut is delivered
all the same, by copies or by its volume, once each, and the loss of what it was cutting is told.

Two workers, NATS and the store are processes, each worker in a network of its own. Files are read
packet by packet.
"""

import asyncio
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from slicer.delivery.spool.record import decode
from tests.harness.fleet.fault_stage import BUCKET, COPIES, SLICE, Gap, Stage, fault_stage
from tests.harness.fleet.faults import EDGE, holder
from tests.harness.fleet.numbered_audio import numbers

PATIENCE = 60.0


async def until_cut(stage: Stage, count: int) -> None:
    """Wait until slices of all tasks wait in the spools."""
    async with asyncio.timeout(PATIENCE):
        while not all(len(spooled(stage, task)) >= count for task in stage.ports):
            await asyncio.sleep(0.1)


def spooled(stage: Stage, task: str) -> list[Path]:
    """The records of a task on all disks that are there."""
    found = [
        path for name in stage.places for path in (stage.folder / name / "spool").glob("*/*.slice")
    ]
    return [path for path in found if decode(path.read_bytes())[0].info.task == task]


def assert_delivered(stage: Stage, gaps: Sequence[Gap], killed: float, lost: set[str]) -> None:
    """All is stored but what the dead worker was cutting."""
    assert {gap.task for gap in gaps} == lost
    assert len(gaps) == len(lost)
    for gap in gaps:
        assert gap.after < killed < gap.before
        assert killed - gap.after <= SLICE + EDGE, "the slice in progress, and no more"
    names = [one.headers["x-slicer-message"] for one in stage.customer.received]
    assert len(names) == len(set(names)), "each callback once"


async def test_what_a_lost_machine_had_cut_is_delivered_by_its_copies(tmp_path: Path) -> None:
    async with fault_stage(tmp_path, 2, 2, servers=1, with_copies=True) as stage:
        copies = stage.spare
        assert copies is not None
        stage.store.kill()
        await until_cut(stage, 1)
        name = holder(stage)
        its = {task for task in stage.ports if name in stage.holders(task)}
        records = [path for task in its for path in spooled(stage, task)]
        cut = {key: held for path in records for key, held in [packets(path.read_bytes())]}
        async with asyncio.timeout(PATIENCE):  # the copies follow in a moment
            while len(copies.keys(COPIES)) < len(stage.ports):
                await asyncio.sleep(0.05)
        await stage.kill(name)
        killed = time.time()
        shutil.rmtree(stage.folder / name)
        await stage.until_sliced()
        await asyncio.to_thread(stage.store.start)
        await stage.finish()
        landed = await stage.landed()
        assert landed.doubled == 0
        assert_delivered(stage, landed.gaps, killed, its)
        for key, held in cut.items():
            assert numbers(stage.store.store.read(BUCKET, key)[0]) == held
        assert stage.lost() == []
        told = [one for one in stage.messages() if one.startswith(f"worker {name} is lost")]
        assert len(told) == len(its)
        assert all(one.endswith("what it had cut is delivered by copies") for one in told)
        async with asyncio.timeout(PATIENCE):
            while copies.keys(COPIES):
                await asyncio.sleep(0.1)


async def test_what_waits_on_a_volume_is_delivered_by_who_has_it_next(tmp_path: Path) -> None:
    async with fault_stage(tmp_path, 2, 2, servers=1) as stage:
        stage.store.kill()
        await until_cut(stage, 1)
        name = holder(stage)
        its = {task for task in stage.ports if name in stage.holders(task)}
        await stage.kill(name)
        killed = time.time()
        await stage.until_sliced()
        await stage.start(name)  # its tasks are another one's by now
        await asyncio.to_thread(stage.store.start)
        await stage.finish()
        await stage.until_spools_are_empty()
        landed = await stage.landed()
        assert landed.doubled == 0
        assert_delivered(stage, landed.gaps, killed, its)
        told = [one for one in stage.messages() if one.startswith(f"worker {name} is lost")]
        assert len(told) == len(its)
        assert all("waits in its spool, for its next start" in one for one in told)


async def test_what_was_cut_behind_its_successors_back_is_refused_and_told(tmp_path: Path) -> None:
    """Cut off from NATS, a worker goes on; it is killed before it sees NATS again."""
    async with fault_stage(tmp_path, 2, 1, servers=1) as stage:
        name = holder(stage)
        stage.cut_off(name)
        await stage.until_sliced()  # by the other one, while the first goes on
        async with asyncio.timeout(PATIENCE):
            while not (waiting := list(tmp_path.glob(f"{name}/spool/*/*.slice.waiting"))):
                await asyncio.sleep(0.1)
        keys = {packets(path.read_bytes())[0] for path in waiting}
        await stage.kill(name)
        stage.join(name)
        await stage.start(name)
        await stage.finish()
        await stage.until_spools_are_empty()
        landed = await stage.landed()
        assert landed.doubled == 0
        assert not keys & set(stage.store.store.keys(BUCKET))
        # The callback comes after the record has gone.
        async with asyncio.timeout(PATIENCE):
            while {key for key in keys for one in refused(stage) if key in one} != keys:
                await asyncio.sleep(0.1)


def refused(stage: Stage) -> list[str]:
    """What customers were told of slices that were not delivered."""
    return [one for one in stage.messages() if "another worker has its task" in one]


def packets(record: bytes) -> tuple[str, list[int]]:
    """The key of a record, and the packets that it holds."""
    _, file = decode(record)
    return file.info.key, numbers(file.data)
