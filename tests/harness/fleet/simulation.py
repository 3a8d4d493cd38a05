"""A fleet on one thread and in its own time: its parts, a bus that orders writes, and their faults.

Workers, copies of the API and the bus are as the real ones with what they do by sockets and rooms
left out. Each node looks every STEP seconds. A node may be killed, frozen (it does nothing, and
what its robots' sockets hold is cut when it thaws), cut off (it hears and reaches nobody, and goes
on), slow (messages take longer), or have its clock jump ahead.
"""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from slicer.fleet.beat import EVERY, Beat
from slicer.fleet.fence import Fence, Ticket
from slicer.fleet.ownership import Ownership, Start, Step, Stop
from slicer.fleet.planner import TICK, Assign, Order, Planner
from slicer.fleet.record import TaskRecord, given

STEP = 0.05
SLICE = 2.0
JOIN = 0.3
TIMEOUT = 1.0

Done = Callable[[int | None], None]


@dataclass
class Node:
    """What can fail. *delay*: seconds that a message to it or from it takes."""

    name: str
    delay: float = 0.002
    cut: bool = False
    dead: bool = False
    frozen_until: float = 0.0
    clock: float = 0.0
    read: int = 0

    def healthy(self, now: float) -> bool:
        return not (self.dead or self.cut) and now >= self.frozen_until


@dataclass
class Worker(Node):
    """A worker: what it cuts is a stretch of true time."""

    draining: bool = False
    capacity: int = 100
    owns: Ownership = field(init=False)
    fence: Fence = field(init=False)
    since: dict[str, float] = field(default_factory=dict)
    """Where the slice in progress of each task began."""
    waiting: dict[int, tuple[float, float]] = field(default_factory=dict)
    releasing: set[str] = field(default_factory=set)
    beaten: float = -1.0

    def __post_init__(self) -> None:
        self.owns = Ownership(self.name)
        self.fence = Fence(self.owns.epoch)


@dataclass
class Copy(Node):
    """A copy of the API."""

    planner: Planner = field(default_factory=Planner)
    ticked: float = -1.0


class Bus:
    """All writes, in one order. Nothing is read or written while it is away."""

    def __init__(self) -> None:
        self.log: list[tuple[float, TaskRecord | None]] = []
        self.records: dict[str, TaskRecord] = {}
        self.away = False

    def write(self, record: TaskRecord | None, now: float) -> int | None:
        """Of a record: if its revision is the latest one's; None: a barrier. Gives the revision."""
        revision = len(self.log) + 1
        if record is not None:
            latest = self.records.get(record.task)
            if record.revision != (latest.revision if latest else 0):
                return None
            self.records[record.task] = record = replace(record, revision=revision)
        self.log.append((now, record))
        return revision


@dataclass(frozen=True)
class Accepted:
    """A slice that was delivered: of which epoch, and from when to when."""

    epoch: int
    began: float
    ended: float
    worker: str


class Simulation:
    """Runs until it is told to stop. `accepted` holds what was delivered, by task."""

    def __init__(self, workers: int, copies: int = 2, seed: int = 0, zones: int = 1) -> None:
        self.now = 0.0
        self.bus = Bus()
        self.random = random.Random(seed)
        self.workers = {f"w{n}": Worker(f"w{n}") for n in range(workers)}
        self.zones = {f"w{n}": f"z{n % zones}" for n in range(workers)}
        self.copies = {f"a{n}": Copy(f"a{n}") for n in range(copies)}
        self.accepted: dict[str, list[Accepted]] = {}
        self.refused = 0
        self.running: dict[str, set[str]] = {}
        self.silent_since: dict[str, float] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._steps = 0

    def nodes(self) -> list[Node]:
        return [*self.workers.values(), *self.copies.values()]

    def create(self, task: str) -> None:
        """As a copy of the API does it, which dies after that for all we know."""
        copy = next(one for one in self.copies.values() if one.healthy(self.now))
        worker = copy.planner.place(task, self._clock(copy))
        self.bus.write(TaskRecord(task, epoch=1, worker=worker), self.now)
        self.accepted[task], self.running[task] = [], set()

    def end(self, task: str) -> None:
        """Its worker says that it is over."""
        self.bus.write(replace(self.bus.records[task], ended=self.now), self.now)

    def restart(self, worker: str) -> None:
        """The process anew, under its name; nothing of the old one is left."""
        old = self.workers[worker]
        self._forget(old)
        self.workers[worker] = Worker(worker, read=0, clock=self.random.uniform(0, 1e6))

    def kill(self, name: str) -> None:
        node = {**self.workers, **self.copies}[name]
        node.dead = True
        if isinstance(node, Worker):
            self._forget(node)

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now = self._steps * STEP
            self._steps += 1
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
            for copy in self.copies.values():
                self._step_copy(copy)
            for worker in self.workers.values():
                self._step_worker(worker)

    def unowned(self) -> list[str]:
        """Tasks that no healthy worker slices now."""
        return [
            task
            for task, record in self.bus.records.items()
            if record.ended is None
            and not any(self.workers[one].healthy(self.now) for one in self.running[task])
        ]

    def doubled(self) -> list[tuple[str, Accepted, Accepted]]:
        """Pairs of slices of two epochs that hold the same time."""
        found = []
        for task, slices in self.accepted.items():
            ordered = sorted(slices, key=lambda one: one.began)
            for one, other in itertools.pairwise(ordered):
                if one.epoch != other.epoch and other.began < one.ended:
                    found.append((task, one, other))
        return found

    # What nodes do

    def _clock(self, node: Node) -> float:
        return self.now + node.clock

    def _step_copy(self, copy: Copy) -> None:
        if copy.dead or self.now < copy.frozen_until:
            return
        now = self._clock(copy)
        for record in self._read(copy):
            if record is not None:
                self._carry_out(copy, copy.planner.receive(record, now))
        if now - copy.ticked >= TICK:
            copy.ticked = now
            self._carry_out(copy, copy.planner.handle_timer(now))

    def _carry_out(self, copy: Copy, orders: list[Order]) -> None:
        for order in orders:
            if isinstance(order, Assign):
                self._write(copy, given(order.record, order.worker), lambda _: None)
            else:
                self._send(copy, self.workers[order.worker], order.record)

    def _step_worker(self, worker: Worker) -> None:
        if worker.dead or self.now < worker.frozen_until:
            return
        self._cut(worker)
        for record in self._read(worker):
            if record is not None:
                self._take(worker, worker.owns.receive(record))
        self._settle(worker, worker.fence.seen(worker.read))
        if worker.draining:
            self._release(worker)
        if worker.fence.begin():

            def done(revision: int | None) -> None:
                if worker.dead:
                    return
                if revision is None:
                    worker.fence.failed()
                else:
                    self._settle(worker, worker.fence.written(revision))

            self._write(worker, None, done)
        if self.now - worker.beaten >= EVERY:
            worker.beaten = self.now
            tasks = worker.owns.tasks()
            zone = self.zones[worker.name]
            beat = Beat(worker.name, "", zone, worker.capacity, 0.0, worker.draining, tasks)
            for copy in self.copies.values():
                self._send(worker, copy, beat)

    def _take(self, worker: Worker, steps: list[Step]) -> None:
        for step in steps:
            if isinstance(step, Start):
                task = step.record.task
                worker.since[task] = self.now + self.random.uniform(0, JOIN)
                self.running[task].add(worker.name)
            elif isinstance(step, Stop):
                worker.since.pop(step.task, None)
                self.running[step.task].discard(worker.name)
                worker.releasing.discard(step.task)
        for task in [one for one in worker.since if worker.owns.epoch(one) is None]:
            del worker.since[task]
            self.running[task].discard(worker.name)

    def _cut(self, worker: Worker) -> None:
        for task, began in list(worker.since.items()):
            for number in range(1, int((self.now - began) / SLICE) + 1):
                self._cut_one(worker, task, began + number * SLICE)

    def _cut_one(self, worker: Worker, task: str, ended: float) -> None:
        epoch = worker.owns.epoch(task)
        assert epoch is not None
        began = worker.since[task]
        if ended <= began:
            return
        ticket = worker.fence.add(task, epoch)
        worker.waiting[ticket.number] = began, ended
        worker.since[task] = ended

    def _settle(self, worker: Worker, settled: list[tuple[Ticket, bool]]) -> None:
        for ticket, allowed in settled:
            began, ended = worker.waiting.pop(ticket.number)
            if allowed:
                slice = Accepted(ticket.epoch, began, ended, worker.name)
                self.accepted[ticket.task].append(slice)
            else:
                self.refused += 1

    def _release(self, worker: Worker) -> None:
        """Hand all tasks over: the robot leaves, what it cut passes the fence, the task is free."""
        for task in list(worker.since):
            if task not in worker.releasing:
                worker.releasing.add(task)
                self._cut_one(worker, task, self.now)
                del worker.since[task]
                self.running[task].discard(worker.name)
        for task in [one for one in worker.releasing if not worker.fence.waits_for(one)]:
            worker.releasing.discard(task)
            record = self.bus.records[task]
            if record.worker == worker.name and record.revision == worker.owns.tasks().get(task):
                self._write(
                    worker, replace(record, worker="", previous=worker.name), lambda _: None
                )

    # The bus

    def _read(self, node: Node) -> list[TaskRecord | None]:
        if node.cut or self.bus.away:
            return []
        log, at = self.bus.log, node.read
        while at < len(log) and log[at][0] + node.delay <= self.now:
            at += 1
        found = [record for _, record in log[node.read : at]]
        node.read = at
        return found

    def _write(self, node: Node, record: TaskRecord | None, done: Done) -> None:
        def answer(revision: int | None) -> Callable[[], None]:
            return lambda: done(revision)

        def arrive() -> None:
            if node.cut or self.bus.away:
                self._at(self.now + TIMEOUT, answer(None))
                return
            revision = self.bus.write(record, self.now)
            # It is written, and its writer does not hear of it.
            lost = self.random.random() < 0.01
            self._at(
                self.now + (TIMEOUT if lost else node.delay), answer(None if lost else revision)
            )

        self._at(self.now + node.delay, arrive)

    def _send(self, source: Node, to: Node, what: Beat | TaskRecord) -> None:
        if source.cut or to.cut or to.dead or self.bus.away:
            return

        def arrive() -> None:
            if to.dead or to.cut:
                return
            if self.now < to.frozen_until:  # it lies in the socket
                self._at(to.frozen_until, arrive)
            elif isinstance(to, Copy):
                self._carry_out(to, to.planner.receive(what, self._clock(to)))
            elif isinstance(to, Worker) and isinstance(what, TaskRecord):
                self._take(to, to.owns.receive(what))

        self._at(self.now + source.delay + to.delay, arrive)

    def _at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), what))

    def _forget(self, worker: Worker) -> None:
        for tasks in self.running.values():
            tasks.discard(worker.name)
