"""A fleet's bus, with rooms and slices left out: `python -m bench.fleet_bus [TASKS [WORKERS]]`,
and `--unsigned`, to see what signatures cost.

A real NATS server; a copy of the API in this process; each worker a process of its own, with its
bus, its table and its heartbeats. How fast tasks are placed, what the bus costs while nothing
happens, how fast the tasks of a dead worker have another one, and what the consumers of callbacks
cost: 64 for each application.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from slicer.errors import BusUnavailable, LimitReached
from slicer.fleet.beat import EVERY, Beat
from slicer.fleet.bus import Bus
from slicer.fleet.facts import PARTITIONS, Fact, Facts
from slicer.fleet.ownership import Ownership
from slicer.fleet.planner import TICK, Assign, Order, Planner
from slicer.fleet.record import TaskRecord, given
from slicer.fleet.settings import FleetSettings
from slicer.fleet.signer import Signer
from slicer.fleet.table import Table
from tests.harness.fleet.nats_server import Servers, nats_servers

SIGNER = Signer([b"a key of 32 bytes, as a fleet has"])
AT_ONCE = 64
"""Writes under way at the same time."""
SECONDS = 10.0
"""For which the bus is watched."""
APPS = (0, 1, 10)
"""Applications whose callbacks are waited for."""


class Copy:
    """A copy of the API."""

    def __init__(self, bus: Bus, table: Table) -> None:
        self.planner, self._bus, self._table = Planner(), bus, table
        self.beats: dict[str, Beat] = {}
        self._limit = asyncio.Semaphore(AT_ONCE)
        self._writing = set[asyncio.Task[None]]()
        table.on_record.append(lambda one: self._plan(self.planner.receive(one, time.monotonic())))

    async def run(self) -> None:
        await self._bus.hear_beats(self._hear)
        while True:
            self._plan(self.planner.handle_timer(time.monotonic()))
            await asyncio.sleep(TICK)

    def _hear(self, beat: Beat) -> None:
        self.beats[beat.worker] = beat
        self._plan(self.planner.receive(beat, time.monotonic()))

    async def create(self, task: str) -> None:
        async with self._limit:
            while (worker := self._place(task)) is None:  # noqa: ASYNC110
                await asyncio.sleep(EVERY)  # the machine is so busy that nobody is heard
            record = TaskRecord(task, 1, 1, worker, sealed="x" * 1_000)
            while not await _written(self._table, record):  # noqa: ASYNC110
                await asyncio.sleep(EVERY)

    def _place(self, task: str) -> str | None:
        try:
            return self.planner.place(task, time.monotonic())
        except LimitReached:
            return None

    def _plan(self, orders: list[Order]) -> None:
        for order in orders:
            work = asyncio.ensure_future(self._carry_out(order))
            self._writing.add(work)
            work.add_done_callback(self._writing.discard)

    async def _carry_out(self, order: Order) -> None:
        async with self._limit:
            if isinstance(order, Assign):
                await _written(self._table, given(order.record, order.worker))
            else:
                await self._bus.push(order.record, order.worker)


@dataclass(frozen=True)
class Used:
    """CPU seconds of a process, and what the server has taken and given."""

    at: float
    server: float
    worker: float
    messages: int
    received: int
    sent: int


async def work(name: str, capacity: int, signs: bool, urls: Sequence[str]) -> None:
    """Be a worker until this process is ended."""
    bus = await Bus.connect(FleetSettings(tuple(urls)), name, SIGNER if signs else None)
    table, owns = Table(bus), Ownership(name)

    def learn(record: TaskRecord) -> None:
        owns.receive(record)

    table.on_record.append(learn)
    await table.open(1)
    await bus.hear_beats(lambda _: None, name)
    await bus.hear_pushes(name, table.learn)
    while True:
        await bus.beat(Beat(name, capacity=capacity, tasks=owns.tasks()))
        await asyncio.sleep(EVERY)


@asynccontextmanager
async def workers(
    count: int, capacity: int, signs: bool, urls: Sequence[str]
) -> AsyncIterator[dict[str, asyncio.subprocess.Process]]:
    """Their processes."""
    running: dict[str, asyncio.subprocess.Process] = {}
    try:
        for number in range(count):
            words = ["-m", "bench.fleet_bus", "--worker", f"w{number}", str(capacity)]
            words += [str(int(signs)), *urls]
            running[f"w{number}"] = await asyncio.create_subprocess_exec(sys.executable, *words)
        yield running
    finally:
        for one in running.values():
            if one.returncode is None:
                one.kill()
            await one.wait()


async def used(servers: Servers, worker: int) -> Used:
    """What was used until now."""
    async with httpx.AsyncClient(trust_env=False) as client:
        told = (await client.get(f"http://127.0.0.1:{servers.monitor}/varz")).json()
    server = next(one for one in _pids("nats-server") if str(servers.ports[0]) in _words(one))
    traffic = (told["in_msgs"] + told["out_msgs"], told["in_bytes"], told["out_bytes"])
    return Used(time.monotonic(), _cpu(server), _cpu(worker), *traffic)


async def watched(what: str, servers: Servers, worker: int) -> None:
    """Watch the bus for a while, and print what it costs."""
    before = await used(servers, worker)
    await asyncio.sleep(SECONDS)
    after = await used(servers, worker)
    seconds = after.at - before.at
    print(
        f"{what}: server {(after.server - before.server) / seconds:.1%} of a core, "
        f"a worker {(after.worker - before.worker) / seconds:.1%}; "
        f"{(after.messages - before.messages) / seconds:.0f} messages, "
        f"{(after.received - before.received) / seconds / 1e6:.2f} MB in and "
        f"{(after.sent - before.sent) / seconds / 1e6:.2f} MB out a second"
    )


def unowned(copy: Copy, table: Table, dead: str) -> Iterator[str]:
    """Tasks that no worker has taken up, as heartbeats say."""
    for task, record in table.records.items():
        beat = copy.beats.get(record.worker)
        if record.worker == dead or beat is None or beat.tasks.get(task, 0) < record.revision:
            yield task


async def callbacks(bus: Bus, servers: Servers, worker: int) -> None:
    """What it costs to wait for the callbacks of applications."""
    facts = Facts(bus)
    await facts.open(1)

    async def taken(_: Fact) -> float | None:
        return None

    for count in APPS:
        telling = [asyncio.ensure_future(facts.tell(app, taken)) for app in range(count)]
        busy, began = time.process_time(), time.perf_counter()
        await asyncio.sleep(5)  # until all consumers are there
        await watched(f"{count * PARTITIONS} consumers of callbacks", servers, worker)
        share = (time.process_time() - busy) / (time.perf_counter() - began)
        print(f"  the copy of the API that waits: {share:.1%} of a core")
        for one in telling:
            one.cancel()
        await asyncio.gather(*telling, return_exceptions=True)


async def main(tasks: int = 10_000, count: int = 20, *, signs: bool = True) -> None:
    """Measure, and print."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = await stack.enter_async_context(nats_servers(folder))
        bus = await Bus.connect(FleetSettings(servers.urls), "bench", SIGNER if signs else None)
        table = Table(bus)
        await table.open(1)
        starting = workers(count, 2 * tasks // count, signs, servers.urls)
        running = await stack.enter_async_context(starting)
        copy = Copy(bus, table)
        planning = asyncio.ensure_future(copy.run())
        while len(copy.beats) < count:  # noqa: ASYNC110 (heartbeats come by themselves)
            await asyncio.sleep(0.1)
        watcher = running["w1"].pid
        await watched(f"{count} workers without tasks", servers, watcher)
        await callbacks(bus, servers, watcher)
        busy, began = time.process_time(), time.perf_counter()
        await asyncio.gather(*(copy.create(f"task-{number:027}") for number in range(tasks)))
        took, busy = time.perf_counter() - began, time.process_time() - busy
        print(f"{tasks} tasks placed on {count} workers in {took:.1f} s: {tasks / took:.0f}/s")
        print(
            f"  the copy of the API that places them: {1e3 * busy / tasks:.2f} ms of CPU for each"
        )
        while any(True for _ in unowned(copy, table, "")):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        busy, began = time.process_time(), time.perf_counter()
        await watched(f"{count} workers with {tasks // count} tasks each", servers, watcher)
        share = (time.process_time() - busy) / (time.perf_counter() - began)
        print(f"  the copy of the API that hears them: {share:.1%} of a core")
        lost = sum(record.worker == "w0" for record in table.records.values())
        running["w0"].kill()
        began = time.perf_counter()
        while any(True for _ in unowned(copy, table, "w0")):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        took = time.perf_counter() - began
        print(f"{lost} tasks of a dead worker shown by others within {took:.2f} s")
        planning.cancel()
        await asyncio.gather(planning, return_exceptions=True)
        await table.close()
        await bus.close()


async def _written(table: Table, record: TaskRecord) -> bool:
    """Whether a write came to its end in time; a busy machine lets some of them wait."""
    try:
        await table.write(record)
    except BusUnavailable:
        return False
    return True


def _pids(name: str) -> Iterator[int]:
    for one in Path("/proc").iterdir():
        if one.name.isdecimal() and name in _words(int(one.name)):
            yield int(one.name)


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _cpu(pid: int) -> float:
    """CPU seconds of a process until now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        asyncio.run(work(sys.argv[2], int(sys.argv[3]), sys.argv[4] == "1", sys.argv[5:]))
    else:
        numbers = [int(one) for one in sys.argv[1:] if one != "--unsigned"]
        asyncio.run(main(*numbers, signs="--unsigned" not in sys.argv))
