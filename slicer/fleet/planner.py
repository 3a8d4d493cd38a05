"""What is to be done so that each task is run by one worker: facts in, orders out.

There is no leader. Every copy of the API has a planner and carries out what it says; of several
that want to give the same task away, the compare-and-set of its record lets one win. A planner acts
on records and heartbeats alone:

    a record without a worker, or of a dead one     Assign: epoch + 1, if its revision is the same
    a beat that does not show a record's revision   Push: send the record to its worker, and again
    a beat that shows a task of another worker      Push: send it the record, so that it stops

A worker that is dead may be one that cannot be heard. Where one alone is silent, that is its own
trouble. Where half of all fall silent, or a whole zone, the network is suspected: then only so many
tasks a second are moved, for all of them may be back before they have moved. Where nobody is heard,
nothing is moved.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from slicer.errors import LimitReached
from slicer.fleet.beat import Beat
from slicer.fleet.placement import place
from slicer.fleet.record import TaskRecord
from slicer.fleet.roster import Roster

TICK = 0.1
"""Seconds between two calls of `handle_timer`."""
RETRY = 1.0
"""Seconds until a task whose Assign has had no effect is assigned again."""
REPEAT = 0.5
"""Seconds until a record is pushed again to a worker whose beat does not show it."""
MAX_ASSIGNS = 250
"""Tasks that one call assigns, so that beats are heard between two calls."""
BRAKED_SHARE, BRAKED_LEAST = 0.05, 10
"""Of the tasks of silent workers, how many a second are moved while the network is suspected: this
share, and no fewer than that many."""
FORGET_AFTER = 3_600.0
"""Seconds after which a dead worker that has no tasks is not listed any more."""
MIN_SUSPECTS = 2
"""Workers that must be silent at once before the network is suspected."""


@dataclass(frozen=True, slots=True)
class Assign:
    """Give a task to *worker* with the epoch after *record*'s, if that is still its latest."""

    record: TaskRecord
    worker: str


@dataclass(frozen=True, slots=True)
class Push:
    """Send a record to *worker*, which has not seen it."""

    record: TaskRecord
    worker: str


Order = Assign | Push


class Planner:
    """One API copy's view of the fleet. *zone*: the one that it places new tasks in, if any."""

    def __init__(self, zone: str = "") -> None:
        self.roster = Roster()
        self.braked = 0
        """Times that the brake has held back a move that was due."""
        self._zone = zone
        self._records: dict[str, TaskRecord] = {}
        self._of_worker: defaultdict[str, set[str]] = defaultdict(set)
        self._together: defaultdict[str, set[str]] = defaultdict(set)
        self._placing: dict[str, tuple[str, float]] = {}
        self._coming = Counter[str]()
        self._pushed: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._zones: dict[str, str] = {}
        self._freed: dict[str, float] = {}
        self._allowance = 0.0
        self._looked: float | None = None
        self._unplaced = 0

    @property
    def unplaced(self) -> int:
        """Tasks that are due and for which there was no worker at the last look."""
        return self._unplaced

    def unowned(self, now: float) -> dict[str, float]:
        """Tasks that no worker has which lives, each with the seconds for which that has been so,
        as far as this process knows."""
        found = {task: now - self._freed.get(task, now) for task in self._of_worker[""]}
        for beat in self.roster.dead(now):
            silence = self.roster.silence(beat.worker, now)
            found |= dict.fromkeys(self._of_worker[beat.worker], silence)
        return found

    def orders_waiting(self, worker: str) -> int:
        """Records of a worker's tasks that its heartbeat has not shown yet."""
        beat = self.roster.beat(worker)
        seen = beat.tasks if beat is not None else {}
        tasks = self._of_worker.get(worker, ())
        return sum(seen.get(task, 0) < self._records[task].revision for task in tasks)

    def receive(self, fact: TaskRecord | Beat, now: float) -> list[Order]:
        """A record, in the order of revisions for each task, or a heartbeat."""
        if isinstance(fact, Beat):
            return list(self._hear(fact, now))
        return list(self._learn(fact, now))

    def handle_timer(self, now: float) -> list[Order]:
        """Call this each TICK."""
        self.roster.handle_timer(now)
        for beat in self.roster.dead(now):
            long_ago = self.roster.silence(beat.worker, now) > FORGET_AFTER
            if long_ago and not self._of_worker[beat.worker]:
                self.roster.forget(beat.worker)
        alive = self.roster.alive(now)
        due = [task for task in self._due(now) if self._may_try(task, now)]
        self._unplaced = len(due) if not alive else 0
        if not due or not alive:
            self._refill(0, now)
            return []
        most = MAX_ASSIGNS
        if self._suspects_network(now):
            self._refill(
                sum(len(self._of_worker[one.worker]) for one in self.roster.dead(now)), now
            )
            most = min(most, int(self._allowance))
            self.braked += max(0, len(due) - most)
            self._allowance -= min(most, len(due))
        found: list[Order] = []
        for task in due[:most]:
            record = self._records[task]
            zone = self._zones.get(record.worker, "") or self._zone
            together = record.together
            if (worker := self._choose(task, together, alive, zone, record.previous)) is None:
                self._unplaced += 1
                continue
            self._note_placing(task, worker, now)
            found.append(Assign(record, worker))
        return found

    def place(self, task: str, now: float, together: str = "") -> str:
        """The worker for a new task; *together*: as a record has it. Raises LimitReached where no
        worker can take it."""
        alive = self.roster.alive(now)
        if (worker := self._choose(task, together, alive, self._zone, "")) is None:
            reason = "all are full or draining" if alive else "none is there"
            raise LimitReached(f"fleet: no worker takes a task: {reason}")
        self._note_placing(task, worker, now)
        return worker

    def give_up(self, task: str) -> None:
        """A task that was placed is not there after all."""
        if placed := self._placing.pop(task, None):
            self._coming[placed[0]] -= 1

    def tasks_of(self, worker: str) -> int:
        """How many a worker has by the records, and by what is under way."""
        return len(self._of_worker[worker]) + self._coming[worker]

    def _note_placing(self, task: str, worker: str, now: float) -> None:
        self.give_up(task)
        self._placing[task] = worker, now
        self._coming[worker] += 1

    def _hear(self, beat: Beat, now: float) -> Iterator[Order]:
        if not beat.capacity:
            return  # it is only starting, and may be a second one of that name
        self.roster.receive(beat, now)
        self._zones[beat.worker] = beat.zone
        mine = self._of_worker[beat.worker]
        for task in mine:
            if beat.tasks.get(task, 0) < self._records[task].revision:
                yield from self._push(task, beat.worker, now)
        for task, revision in beat.tasks.items():
            stray = task not in mine and task in self._records
            if stray and revision < self._records[task].revision:
                yield from self._push(task, beat.worker, now)

    def _learn(self, record: TaskRecord, now: float) -> Iterator[Order]:
        before = self._records.get(record.task)
        if before is not None and before.revision >= record.revision:
            return
        if before is not None:
            self._of_worker[before.worker].discard(record.task)
            self._part(before)
            self._pushed.pop(record.task, None)
        self.give_up(record.task)
        self._freed.pop(record.task, None)
        if record.ended is not None:
            self._records.pop(record.task, None)
            self._pushed.pop(record.task, None)
            return
        self._records[record.task] = record
        self._of_worker[record.worker].add(record.task)
        if record.together:
            self._together[record.together].add(record.task)
        if not record.worker:
            self._freed[record.task] = now
        if record.worker:
            self.roster.expect(record.worker, now)
            yield from self._push(record.task, record.worker, now)

    def _part(self, record: TaskRecord) -> None:
        """It is with others no more."""
        others = self._together.get(record.together, set())
        others.discard(record.task)
        if not others:
            self._together.pop(record.together, None)

    def _push(self, task: str, worker: str, now: float) -> Iterator[Order]:
        """Send the latest record; the same one again only once REPEAT has passed."""
        record, pushed = self._records[task], self._pushed[task]
        if now - pushed.get(worker, -REPEAT) >= REPEAT:
            pushed[worker] = now
            yield Push(record, worker)

    def _due(self, now: float) -> Iterator[str]:
        """Tasks that nobody runs: first those that no worker has."""
        yield from self._of_worker[""]
        for beat in self.roster.dead(now):
            yield from self._of_worker[beat.worker]

    def _may_try(self, task: str, now: float) -> bool:
        _, since = self._placing.get(task, ("", now - RETRY))
        return now - since >= RETRY

    def _choose(
        self, task: str, together: str, alive: list[Beat], zone: str, avoid: str
    ) -> str | None:
        counts = {beat.worker: self.tasks_of(beat.worker) for beat in alive}
        if together:
            others = self._together.get(together, set()) - {task}
            holders = {self._records[one].worker for one in others} - {avoid}
            there = [beat for beat in alive if beat.worker in holders and not beat.draining]
            if there:
                return place(task, there, counts)
        return place(task, alive, counts, zone, avoid, together)

    def _suspects_network(self, now: float) -> bool:
        silent = {beat.worker for beat in self.roster.dead(now) if self._of_worker[beat.worker]}
        if len(silent) < MIN_SUSPECTS:
            return False
        alive = [beat.worker for beat in self.roster.alive(now)]
        zones_alive = {self._zones[worker] for worker in alive}
        zones_silent = {self._zones.get(worker, "") for worker in silent}
        return len(silent) >= len(alive) or not zones_silent <= zones_alive

    def _refill(self, of_silent: int, now: float) -> None:
        """More moves are allowed as time passes; what is not used in a second is gone."""
        rate = max(BRAKED_LEAST, BRAKED_SHARE * of_silent) if of_silent else 0.0
        gone = now - self._looked if self._looked is not None else 0.0
        self._looked = now
        self._allowance = min(rate, self._allowance + rate * gone)
