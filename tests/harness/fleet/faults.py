"""Faults of a fleet that runs (fault_stage.py), one by one or at random, and what they cost."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.harness.fleet.fault_stage import SLICE, Gap, Seen, Stage

EDGE = 3.0
"""Seconds for which a slice may wait for its sender's report before it counts as cut
(`slicing.report_wait`)."""


@dataclass(frozen=True)
class Fault:
    """What is done to a fleet, and undone by the time that `do` returns: to which worker, if to
    one."""

    name: str
    do: Callable[[Stage], Awaitable[str]]


@dataclass(frozen=True)
class Cost:
    """What a fault cost. *silence*: seconds for which a task had no robot, at most, as what is
    stored says; *dead*: seconds of a slice in progress that went with it, at most; *lost*: slices
    that were cut and are not stored; *robots*: of one task at once."""

    name: str
    silence: float
    dead: float
    lost: int
    robots: int


def holder(stage: Stage) -> str:
    """A worker that has a task."""
    return sorted(set.union(*(set(stage.holders(task)) for task in stage.ports)))[0]


async def kill_worker(stage: Stage) -> str:
    name = holder(stage)
    await stage.kill(name)
    await stage.until_sliced()
    await stage.start(name)
    return name


async def freeze_worker(stage: Stage) -> str:
    name = holder(stage)
    stage.freeze(name)
    await stage.until_sliced()
    await asyncio.sleep(3)
    stage.thaw(name)
    return name


async def cut_off_from_nats(stage: Stage, seconds: float = 8.0) -> str:
    name = holder(stage)
    stage.cut_off(name)
    await stage.until_sliced()
    await asyncio.sleep(seconds)
    stage.join(name)
    return name


async def cut_off_from_everything(stage: Stage, seconds: float = 8.0) -> str:
    name = holder(stage)
    stage.unplug(name)
    await stage.until_sliced()
    await asyncio.sleep(seconds)
    stage.plug(name)
    return name


async def drain_worker(stage: Stage) -> str:
    name = holder(stage)
    await stage.end(name)
    await stage.start(name)
    return name


async def kill_leader(stage: Stage) -> str:
    number = await stage.leader()
    await stage.servers.kill(number)
    await asyncio.sleep(10)
    await stage.servers.start(number)
    await stage.leader()
    return ""


async def kill_leader_and_worker(stage: Stage) -> str:
    number, name = await stage.leader(), holder(stage)
    await asyncio.gather(stage.servers.kill(number), stage.kill(name))
    await stage.until_sliced()
    await asyncio.gather(stage.servers.start(number), stage.start(name))
    await stage.leader()
    return name


async def kill_two_servers(stage: Stage, seconds: float = 10.0) -> str:
    await asyncio.gather(stage.servers.kill(0), stage.servers.kill(1))
    await asyncio.sleep(seconds)
    await asyncio.gather(stage.servers.start(0), stage.servers.start(1))
    await stage.leader()  # what waited for it is known before the next fault
    return ""


async def fill_disk(stage: Stage, seconds: float = 20.0) -> str:
    name = holder(stage)
    stage.disks[name].fill()
    await asyncio.sleep(seconds)
    stage.disks[name].free()
    return name


async def upgrade(stage: Stage) -> str:
    """Every process is replaced, one after the other."""
    for number in range(len(stage.servers.ports)):
        await stage.servers.end(number)
        await stage.servers.start(number)
        await stage.leader()
        await asyncio.sleep(2)
    for name in [*stage.copies, *stage.running]:
        await stage.end(name)
        had = [task for task in list(stage.ports) if await stage.worker_of(task) == name]
        assert not had, f"{name} has handed all its tasks over"
        await stage.start(name)
        await stage.until_sliced()
    return ""


FAULTS = (
    Fault("a worker killed", kill_worker),
    Fault("a worker frozen, and thawed", freeze_worker),
    Fault("a worker cut off from NATS", cut_off_from_nats),
    Fault("a worker cut off from everything", cut_off_from_everything),
    Fault("a worker ended (SIGTERM), which drains it", drain_worker),
    Fault("a worker's spool without room for 20 s", fill_disk),
    Fault("the stream's leader killed", kill_leader),
    Fault("the leader and a worker killed together", kill_leader_and_worker),
    Fault("two of three NATS servers killed for 10 s", kill_two_servers),
    Fault("everything replaced, one after the other", upgrade),
)


@dataclass(frozen=True)
class Window:
    """When a fault was, in seconds of `time.time`; *until*: when all was well again. *missed*:
    workers that were taken for dead though nothing was done to them: a machine that is too busy
    holds them up as a freeze would."""

    fault: Fault
    began: float
    until: float
    missed: frozenset[str]


async def inflict(stage: Stage, fault: Fault, settle: float = 4.0) -> Window:
    """Do it, and wait until all tasks have been sliced again for a while."""
    began, before = time.time(), stage.taken_for_dead()
    name = await fault.do(stage)
    await stage.until_sliced()
    await asyncio.sleep(settle)
    missed = frozenset(stage.taken_for_dead() - before) - {name}
    return Window(fault, began, time.time(), missed)


def cost(
    window: Window, gaps: Sequence[Gap], seen: dict[str, list[Seen]], edge: float = EDGE
) -> Cost:
    """What a fault cost, once everything has been stored that will be. *edge*: seconds after its
    last packet within which a slice may not be known as its worker's own yet."""
    began = window.began
    mine = gaps_of(window, gaps)
    return Cost(
        window.fault.name,
        max((one.before - max(began, one.after) for one in mine), default=0.0),
        max((max(0.0, began - one.after) for one in mine), default=0.0),
        sum(int(max(0.0, began - one.after - edge) // SLICE) for one in mine),
        max(
            len(one.workers)
            for looks in seen.values()
            for one in _during(looks, began, window.until)
        ),
    )


def gaps_of(window: Window, gaps: Sequence[Gap]) -> list[Gap]:
    """Those that end in a window."""
    return [one for one in gaps if window.began < one.before <= window.until]


def silences(stage: Stage, until: float) -> list[float]:
    """How long each time a task had no robot that is not cut off, in seconds, the longest first."""
    found = []
    for looks in stage.seen.values():
        first = next((n for n, one in enumerate(looks) if one.reachable), len(looks))
        ends = [one for one in looks[first:] if one.at <= until]
        ends.append(Seen(until, frozenset(), frozenset()))
        found += [after.at - one.at for one, after in pairwise(ends) if not one.reachable]
    return sorted(found, reverse=True)


def _during(looks: list[Seen], began: float, until: float) -> list[Seen]:
    """What was seen in a window, with what held when it began."""
    before = [one for one in looks if one.at <= began][-1:]
    return before + [one for one in looks if began < one.at <= until]


class Chance:
    """Faults at random: each is undone after some seconds, whatever else is going on."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self._stage, self._random = stage, random.Random(seed)
        self._busy = set[str]()
        self._undoing = set[asyncio.Task[None]]()
        self.counts: dict[str, int] = {}
        self.failures = 0
        """Processes that did not start, and were started once more."""

    async def run(self, faults: int, seconds: float) -> None:
        """Inflict so many within these seconds; all are undone when this returns."""
        began = time.monotonic()
        for number in range(faults):
            due = began + number * seconds / faults + self._random.uniform(0, seconds / faults)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._start()
        for one in await asyncio.gather(*self._undoing, return_exceptions=True):
            self.failures += one is not None
        for name in self._stage.places:
            if name not in self._stage.running:
                await self._stage.kill(name)
                await self._stage.start(name)

    def _start(self) -> None:
        kinds = {
            "worker killed": (self._kill, "w"),
            "worker frozen": (self._freeze, "w"),
            "worker cut off from NATS": (self._cut_off, "w"),
            "worker cut off": (self._unplug, "w"),
            "worker ended": (self._end, "w"),
            "API copy killed": (self._kill, "a"),
            "NATS server killed": (self._kill_server, "n"),
        }
        name = self._random.choice(list(kinds))
        kind, letter = kinds[name]
        victim = self._victim(letter)
        if victim is None:  # too much is broken already: wait for something to mend
            name, victim = "none: too many at once", ""
        self.counts[name] = self.counts.get(name, 0) + 1
        if victim:
            self._busy.add(victim)
            task = asyncio.ensure_future(self._undo(kind, victim))
            self._undoing.add(task)
            task.add_done_callback(self._undoing.discard)

    def _victim(self, letter: str) -> str | None:
        stage = self._stage
        names = {
            "w": list(stage.places),
            "a": [name for name in stage.copies if name.startswith("a")],
            "n": [f"n{number}" for number in range(len(stage.servers.ports))],
        }[letter]
        free = [name for name in names if name not in self._busy]
        # One of each kind stays as it is.
        return self._random.choice(free) if len(free) > 1 else None

    async def _undo(self, kind: Callable[[str, float], Awaitable[None]], victim: str) -> None:
        try:
            await kind(victim, self._random.uniform(0.3, 8.0))
        except (AssertionError, TimeoutError):  # it found no bus for as long as it waits: once more
            self.failures += 1
            await self._stage.kill(victim)
            await self._stage.start(victim)
        finally:
            self._busy.discard(victim)

    async def _kill(self, name: str, seconds: float) -> None:
        await self._stage.kill(name)
        await asyncio.sleep(seconds)
        await self._stage.start(name)

    async def _end(self, name: str, seconds: float) -> None:
        await self._stage.end(name)
        await asyncio.sleep(seconds / 4)
        await self._stage.start(name)

    async def _freeze(self, name: str, seconds: float) -> None:
        self._stage.freeze(name)
        await asyncio.sleep(seconds)
        self._stage.thaw(name)

    async def _cut_off(self, name: str, seconds: float) -> None:
        self._stage.cut_off(name)
        await asyncio.sleep(seconds)
        self._stage.join(name)

    async def _unplug(self, name: str, seconds: float) -> None:
        self._stage.unplug(name)
        await asyncio.sleep(seconds)
        self._stage.plug(name)

    async def _kill_server(self, name: str, seconds: float) -> None:
        number = int(name.removeprefix("n"))
        await self._stage.servers.kill(number)
        await asyncio.sleep(seconds)
        await self._stage.servers.start(number)
