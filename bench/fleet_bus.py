"""A fleet's bus, with rooms and slices left out: `python -m bench.fleet_bus [TASKS [WORKERS]]`.

A real NATS server, a planner and workers' ownership in one process: how fast tasks are placed, what
heartbeats cost, and how fast the tasks of a dead worker have another one.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from slicer.fleet.beat import EVERY, Beat
from slicer.fleet.bus import Bus
from slicer.fleet.ownership import Ownership
from slicer.fleet.planner import TICK, Assign, Order, Planner
from slicer.fleet.record import TaskRecord, given
from slicer.fleet.settings import FleetSettings
from slicer.fleet.table import Table
from tests.harness.fleet.nats_server import nats_servers

AT_ONCE = 64
"""Writes under way at the same time."""


class Copy:
    """A copy of the API."""

    def __init__(self, bus: Bus, table: Table) -> None:
        self.planner, self._bus, self._table = Planner(), bus, table
        self._limit = asyncio.Semaphore(AT_ONCE)
        self._writing = set[asyncio.Task[None]]()
        table.on_record.append(lambda one: self._plan(self.planner.receive(one, time.monotonic())))

    async def run(self) -> None:
        await self._bus.hear_beats(
            lambda one: self._plan(self.planner.receive(one, time.monotonic()))
        )
        while True:
            self._plan(self.planner.handle_timer(time.monotonic()))
            await asyncio.sleep(TICK)

    async def create(self, task: str) -> None:
        async with self._limit:
            worker = self.planner.place(task, time.monotonic())
            await self._table.write(TaskRecord(task, 1, 1, worker, sealed="x" * 1_000))

    def _plan(self, orders: list[Order]) -> None:
        for order in orders:
            work = asyncio.ensure_future(self._carry_out(order))
            self._writing.add(work)
            work.add_done_callback(self._writing.discard)

    async def _carry_out(self, order: Order) -> None:
        async with self._limit:
            if isinstance(order, Assign):
                await self._table.write(given(order.record, order.worker))
            else:
                await self._bus.push(order.record, order.worker)


async def beats(bus: Bus, owns: dict[str, Ownership], capacity: int) -> None:
    """The heartbeats of all that are left."""
    while True:
        for name, one in list(owns.items()):
            await bus.beat(Beat(name, capacity=capacity, tasks=one.tasks()))
        await asyncio.sleep(EVERY)


def unowned(table: Table, owns: dict[str, Ownership]) -> Iterator[str]:
    """Tasks that no worker has taken up."""
    for task, record in table.records.items():
        if record.worker not in owns or owns[record.worker].epoch(task) != record.epoch:
            yield task


async def main(tasks: int = 10_000, workers: int = 20) -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        async with nats_servers(Path(folder)) as servers:
            bus = await Bus.connect(FleetSettings(servers.urls), "bench")
            table = Table(bus)
            await table.open(1)
            owns = {f"w{number}": Ownership(f"w{number}") for number in range(workers)}

            def learn(record: TaskRecord) -> None:
                for one in owns.values():
                    one.receive(record)

            table.on_record.append(learn)
            copy = Copy(bus, table)
            running = [asyncio.ensure_future(copy.run())]
            running.append(asyncio.ensure_future(beats(bus, owns, 2 * tasks // workers)))
            await asyncio.sleep(1.0)
            began = time.perf_counter()
            await asyncio.gather(*(copy.create(f"task-{number:027}") for number in range(tasks)))
            took = time.perf_counter() - began
            print(
                f"{tasks} tasks placed on {workers} workers in {took:.1f} s: {tasks / took:.0f}/s"
            )
            busy, began = time.process_time(), time.perf_counter()
            await asyncio.sleep(5.0)
            share = (time.process_time() - busy) / (time.perf_counter() - began)
            size = len(table.records) // workers
            print(f"heartbeats of {workers} workers with {size} tasks each: {share:.0%} of a core")
            dead = owns.pop("w0").tasks()
            began = time.perf_counter()
            await asyncio.sleep(EVERY)
            while any(True for _ in unowned(table, owns)):  # noqa: ASYNC110 (looked at from outside)
                await asyncio.sleep(0.02)
            took = time.perf_counter() - began
            print(f"{len(dead)} tasks of a dead worker taken up by others within {took:.2f} s")
            for one in running:
                one.cancel()
            await table.close()
            await bus.close()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
