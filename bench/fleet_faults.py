"""Faults of a fleet of real processes: `python -m bench.fleet_faults [--faults N --minutes M]`.

Three NATS servers, workers and two copies of the API, each in a network of its own, which needs
root (or `unshare -Ur`). Without --faults each fault is inflicted once, and a table says what it
cost: what was lost and doubled is counted packet by packet in the files that were stored. With it,
so many come at random, several at once.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.harness.fleet.fault_stage import Stage, fault_stage
from tests.harness.fleet.faults import FAULTS, Chance, cost, gaps_of, inflict, silences

SETTLE = 20.0
"""Seconds that a slice takes, and some more."""
DISK = 256
"""MiB of each spool's disk, which a fault fills."""


async def each(stage: Stage, only: str) -> int:
    """Inflict every fault once, or those with this text in their names; gives how much went wrong
    that must not."""
    await asyncio.sleep(SETTLE)
    windows = []
    for fault in (one for one in FAULTS if only in one.name):
        windows.append(await inflict(stage, fault))
        print(f"{fault.name}: {windows[-1].until - windows[-1].began:.0f} s", file=sys.stderr)
        await asyncio.sleep(SETTLE)
    await stage.finish()
    landed = await stage.landed()
    print("| fault | longest silence | of the slice in progress | slices lost | robots at once |")
    print("|---|---|---|---|---|")
    lost = 0
    for window in windows:
        one = cost(window, landed.gaps, stage.seen)
        lost += one.lost
        for gap in gaps_of(window, landed.gaps):
            since = [f"{at - window.began:+.2f}" for at in (gap.after, gap.before)]
            print(f"{one.name}: {gap.task}: nothing from {' to '.join(since)} s", file=sys.stderr)
        print(
            f"| {one.name} | {one.silence:.2f} s | {one.dead:.1f} s | {one.lost} | {one.robots} |"
        )
    told = stage.lost()
    print(
        f"{landed.packets} packets stored, {landed.doubled} doubled; {len(told)} slices told lost"
    )
    for text in told[:10]:
        print(f"  {text}")
    return lost + landed.doubled + len(told)


async def many(stage: Stage, faults: int, minutes: float, seed: int) -> int:
    """Inflict so many at random."""
    chance, began = Chance(stage, seed), time.time()
    await chance.run(faults, 60 * minutes)
    await stage.until_sliced()
    await asyncio.sleep(SETTLE)
    until = time.time()
    await stage.finish()
    landed = await stage.landed()
    sent = len(stage.ports) * sum(began <= at <= until for at in stage.sound.sent)
    told = stage.lost()
    repeated = stage.repeated()
    unexplained = [one for one in repeated if not one.explained]
    print(f"{faults} faults in {minutes:g} minutes: {chance.counts}")
    print(f"processes that found no bus for 30 s, and were started again: {chance.failures}")
    share = landed.packets / sent
    print(f"{sent} packets sent, {landed.packets} stored ({share:.1%}), {landed.doubled} doubled")
    callbacks = len(stage.customer.received)
    print(f"slices told lost: {len(told)}; callbacks: {callbacks}, {len(repeated)} came again:")
    print(f"  {len(unexplained)} though no copy of the API was killed as they came")
    for one in repeated:
        print(f"  {one.id}: {one.later:.1f} s later{'' if one.explained else ', unexplained'}")
    longest = ", ".join(f"{one:.1f}" for one in silences(stage, until)[:10])
    print(f"longest times of a task without a robot: {longest} s")
    for text in told[:10]:
        print(f"  {text}")
    return landed.doubled + len(told) + len(unexplained)


async def main(options: argparse.Namespace) -> int:
    """Run the fleet."""
    with tempfile.TemporaryDirectory() as given:
        folder = options.folder or Path(given)
        disk = 0 if options.faults else DISK
        made = fault_stage(folder, options.workers, options.tasks, apis=2, disk=disk)
        async with made as stage:
            if options.faults:
                return await many(stage, options.faults, options.minutes, options.seed)
            return await each(stage, options.only)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--tasks", type=int, default=12)
    parser.add_argument("--only", default="", help="faults whose names have this text")
    parser.add_argument("--faults", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to leave logs; empty before")
    sys.exit(asyncio.run(main(parser.parse_args())) > 0)
