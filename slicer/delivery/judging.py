"""An application's account at a supplier: which slice is judged next, when to try again, and when
to give up.

Theory of operation. All tasks of an application that name an account share this, and its circuit:
what fails for one application, stops no other. What the supplier allows the account, a rate and
requests side by side, is shared by all applications that name it (limiter.py). A track has one
slice under way at a time, and a slice waits for those that were cut before it and whose files are
still made, so a track's verdicts come in the order of its cuts; tracks take turns. A slice stays at
the head of its track until there is an outcome, and there always is one: a verdict, or the reason
why there is none.

    add ▶ its track's turn ▶ load ▶ ask ▶ Verdict
            │   ▲                     ├─ SliceNotJudged ▶ Unjudged
            │   └── backoff, circuit ─┴─ unavailable or refused, until max_age ▶ Unjudged
            └── selection.py: a repeated Verdict, or left out by sampling ▶ Unjudged

Where a supplier takes several slices in one request, those of a kind that are ready when a request
may go, go together: they have waited for the rate, for a place, or for the circuit, and none waits
for others to come. Each is of another track. What failed goes alone the next time, so that one odd
slice costs itself alone.

A picture that sampling leaves out, or that is the last one again, needs no file. Where no store is
to have it either, `unmade` says so before one is made. That is known once those before it in its
track have their outcomes: a hit has it looked at.

Slices that wait hold no file where the spool has it: *load* reads it when its turn comes. For the
loop's thread; *now* comes from the clock that is given.
"""

import logging
from bisect import insort
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from heapq import heappop, heappush
from itertools import count
from typing import TypeGuard

from slicer.background import Background
from slicer.clock import Clock, Timer
from slicer.delivery.circuit import Circuit
from slicer.delivery.delivery import Delivery, Phase
from slicer.delivery.limiter import Limiter
from slicer.delivery.retry import Backoff
from slicer.delivery.selection import Outlook, Selection
from slicer.errors import ModerationError, SliceNotJudged, SupplierRefused, SupplierUnavailable
from slicer.media.slice import File
from slicer.moderation import BatchSupplier, Supplier, Verdict
from slicer.moderation.settings import ModerationSettings

logger = logging.getLogger(__name__)

Key = tuple[str, ...]

LOOKED_AT = 4
"""Slices that are looked at for each that may go into a request: others may be of another kind."""


class Keep(Enum):
    """Which slices go to the store once they are judged; the values are TRTC's
    SaveModerationFile."""

    NONE = 0
    ALL = 1
    HITS = 2


@dataclass(frozen=True, slots=True)
class Unjudged:
    """Nobody has judged a slice: why, in words. *by_choice*: the settings have it left out."""

    reason: str
    by_choice: bool = False


Outcome = Verdict | Unjudged
Load = Callable[[], Awaitable[File | None]]
"""Gives the file; None where it cannot be had now, for which the slice is tried again."""
Done = Callable[[Outcome], object]


@dataclass(slots=True)
class JudgingCounters:
    """What became of the slices that were given to be judged:
    taken = judged + unjudged + left_out + gone + waiting."""

    taken: int = 0
    judged: int = 0
    hits: int = 0
    """Of those judged: to be looked at, or to be stopped."""
    repeated: int = 0
    """Of those judged: by the verdict of an earlier, equal picture."""
    together: int = 0
    """Of those judged: in one request with others."""
    unjudged: int = 0
    left_out: int = 0
    """By sampling."""
    gone: int = 0
    """Given up elsewhere meanwhile: the spool was full, or the outbox closed."""
    failures: int = 0
    """Tries of a slice that failed and are repeated."""


@dataclass(slots=True, eq=False)
class _Job:
    delivery: Delivery
    load: Load
    done: Done
    number: int
    deadline: float
    failures: int = 0
    asked: bool = False
    selected: bool = False
    alone: bool = False
    """It failed, and goes into no request with others."""

    def comes_after(self, other: "_Job") -> bool:
        """Whether it was cut later."""
        return self.delivery.number > other.delivery.number


class Judging:
    """The slices of one application that wait for one account's verdicts."""

    def __init__(  # noqa: PLR0913 (each is one thing that a test puts in its place)
        self,
        supplier: Supplier,
        limiter: Limiter,
        clock: Clock,
        settings: ModerationSettings,
        backoff: Backoff,
        *,
        chance: Callable[[], float],
        trouble: Callable[[str, ModerationError], None],
        recovered: Callable[[str, str], None],
    ) -> None:
        """*trouble* is told, for a task, of a kind of failure that is tried again: once, until the
        supplier has judged something, of which *recovered* is told with the supplier's label."""
        self.supplier, self.counters = supplier, JudgingCounters()
        self._limiter, self._clock = limiter, clock
        self._settings, self._backoff = settings, backoff
        self._chance, self._trouble, self._recovered = chance, trouble, recovered
        self._batches = supplier.batches if isinstance(supplier, BatchSupplier) else {}
        self._circuit = Circuit[ModerationError](backoff, chance)
        self._selection = Selection(settings)
        self._numbers = count()
        self._jobs: dict[int, _Job] = {}  # oldest first, and so by their deadlines
        self._tracks: dict[Key, deque[_Job]] = {}
        self._coming = defaultdict[Key, list[int]](list)  # by track, numbers of those being made
        self._heads: deque[Key] = deque()  # tracks whose first slice was not selected yet
        self._ready: deque[Key] = deque()
        self._later: list[tuple[float, int, Key]] = []
        self._reported: set[tuple[str, type[ModerationError]]] = set()
        self._requests = Background()
        self._wake: Timer | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """Slices without an outcome."""
        return len(self._jobs)

    @property
    def busy(self) -> bool:
        """The supplier is being asked."""
        return bool(self._requests)

    @property
    def open(self) -> bool:
        """The supplier fails, and is left alone."""
        return not self._circuit.closed

    @property
    def trouble(self) -> ModerationError | None:
        """The last failure since the last verdict."""
        return self._circuit.last

    @property
    def repeats(self) -> bool:
        """Whether pictures should come with a thumbnail."""
        return self._selection.repeats

    def add(self, delivery: Delivery, load: Load, done: Done) -> None:
        """Have a slice judged; *done* is called once, perhaps from within, unless it is gone before
        or this closes."""
        self.counters.taken += 1
        deadline = self._clock.now() + self._settings.max_age
        job = _Job(delivery, load, done, next(self._numbers), deadline)
        self._jobs[job.number] = job
        track = self._tracks.setdefault(delivery.queue, deque())
        place = len(track)  # files are made side by side: those of earlier cuts may come later
        while place and not (before := track[place - 1]).selected and before.comes_after(job):
            place -= 1
        track.insert(place, job)
        if not place:
            self._heads.append(delivery.queue)
        if not self._circuit.closed and self._circuit.last is not None:
            self._report(job, self._circuit.last)  # its task may not have heard of it
        self._look()

    @contextmanager
    def coming(self, delivery: Delivery) -> Iterator[Callable[[], Outlook | None]]:
        """A slice that is added before the block ends, or never. Gives what says, at any moment of
        the block, what becomes of it if it is added now; None: that is not known yet."""
        key, number = delivery.queue, delivery.number
        first = key not in self._coming
        insort(self._coming[key], number)
        try:
            yield lambda: self._outlook(delivery) if first else None
        finally:
            self._coming[key].remove(number)
            if not self._coming[key]:
                del self._coming[key]
            if key in self._tracks:
                self._heads.append(key)  # it may have waited for this one
                self._look()

    def _outlook(self, delivery: Delivery) -> Outlook | None:
        if self._closed or delivery.queue in self._tracks:
            return None
        return self._selection.outlook(delivery, self._clock.now())

    def note_trouble(self, task: str, error: ModerationError) -> None:
        """A check found that the account fails, and the task was told."""
        self._reported.add((task, type(error)))

    def hurry(self) -> None:
        """Try everything now that waits for its next try."""
        self._circuit.hurry(self._clock.now())
        self._later = [(0.0, number, key) for _, number, key in self._later]
        self._look()

    async def close(self) -> None:
        """Ask nothing more; who waits is told nothing."""
        self._closed = True
        if self._wake is not None:
            self._wake.cancel()
        await self._requests.finish(0.0)
        await self.supplier.close()

    def _look(self) -> None:
        """Give up what is too old, ask what may be asked, and look again when that changes."""
        if self._closed:
            return
        now = self._clock.now()
        self._expire(now)
        self._select(now)
        while self._later and self._later[0][0] <= now:
            self._ready.append(heappop(self._later)[2])
        while self._circuit.allows(now) and (job := self._next(now)):
            if not self._limiter.acquire(self._look):
                self._ready.appendleft(job.delivery.queue)
                break
            request = self._requests.start(
                self._ask(self._with_others(job, now), self._circuit.start())
            )
            request.add_done_callback(self._asked)
        self._set_timer(now)

    def _asked(self, _request: object) -> None:
        """A request has ended, or is cancelled before it began."""
        self._limiter.release()
        self._look()

    def _select(self, now: float) -> None:
        """End what needs no supplier as soon as it is the first of its track; the rest is ready."""
        while self._heads:
            key = self._heads.popleft()
            job = self._head(key)
            if job is None or job.selected or self._waits_for_another(job):
                continue
            job.selected = True
            if verdict := self._selection.repeated(job.delivery, now):
                self._end(job, verdict)
            elif self._selection.leaves_out(job.delivery, now):
                self._end(job, Unjudged("left out by sampling", by_choice=True))
            else:
                self._ready.append(key)

    def _waits_for_another(self, job: _Job) -> bool:
        """Whether one that was cut before it is still made."""
        coming = self._coming.get(job.delivery.queue)
        return coming is not None and coming[0] < job.delivery.number

    def _with_others(self, first: _Job, now: float) -> list[_Job]:
        """What goes into one request: a slice, and others that are ready as well. All are asked
        from now on."""
        first.asked = True
        jobs, passed, kind = [first], list[Key](), first.delivery.kind
        batch = self._batches.get(kind)
        if batch is None or first.alone or not self._circuit.closed:
            return jobs
        count = min(batch.count, self._settings.batch)
        size, keys = first.delivery.size, {first.delivery.info.key}
        for _ in range(LOOKED_AT * count):
            if len(jobs) == count or (job := self._next(now)) is None:
                break
            fits = job.delivery.kind is kind and size + job.delivery.size <= batch.size
            if fits and not job.alone and job.delivery.info.key not in keys:
                job.asked = True
                jobs.append(job)
                size += job.delivery.size
                keys.add(job.delivery.info.key)
            else:
                passed.append(job.delivery.queue)
        self._ready.extendleft(reversed(passed))
        return jobs

    def _next(self, now: float) -> _Job | None:
        while self._ready:
            key = self._ready.popleft()
            job = self._head(key)
            if job is not None and not job.selected:  # those before it are gone
                self._heads.append(key)
                self._select(now)
            elif job is not None and not job.asked:
                return job
        return None

    def _head(self, key: Key) -> _Job | None:
        """The first slice of a track that somebody still waits for, or that is being asked for."""
        track = self._tracks.get(key)
        while track:
            job = track[0]
            if job.asked or job.delivery.phase is not Phase.GONE:
                return job
            self.counters.gone += 1
            self._remove(job)
        return None

    def _expire(self, now: float) -> None:
        old = []
        for job in self._jobs.values():
            if job.deadline > now:
                break
            old.append(job)
        for job in old:
            if not job.asked:
                last = self._circuit.last
                reason = f" ({last})" if last is not None else ""
                waited = f"no verdict within {self._settings.max_age:g} s{reason}"
                self._end(job, Unjudged(waited))

    def _set_timer(self, now: float) -> None:
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        moments = [self._later[0][0]] if self._later else []
        if (first := next(iter(self._jobs.values()), None)) and not first.asked:
            moments.append(first.deadline)
        if self._ready and self._circuit.opens_at is not None:
            moments.append(self._circuit.opens_at)
        if due := min((moment for moment in moments if moment > now), default=None):
            self._wake = self._clock.call_at(due, self._look)

    async def _ask(self, jobs: Sequence[_Job], probe: bool) -> None:
        asked = False
        try:
            loaded = list[tuple[_Job, File]]()
            for job in jobs:
                file = await job.load()
                if file is None:
                    self._back_off(job, self._backoff.most)
                else:
                    loaded.append((job, file))
            if loaded:
                asked = True
                await self._judge(loaded, probe)
        finally:
            if not asked:
                self._circuit.abandon(probe)
            for job in jobs:
                job.asked = False

    async def _judge(self, loaded: Sequence[tuple[_Job, File]], probe: bool) -> None:
        """One request."""
        try:
            outcomes = await self._judge_batch([file for _, file in loaded])
        except ModerationError as error:
            outcomes = [error] * len(loaded)
            if isinstance(error, SliceNotJudged) and len(loaded) > 1:
                self._circuit.succeed()  # one of them is the cause: each finds out by itself
                for job, _ in loaded:
                    job.alone = True
                    self._back_off(job, 0.0)
                return
        except Exception as error:  # a supplier's module must not lose a slice by a fault of ours
            logger.exception("! %s", self.supplier.label)
            what = f"{type(error).__name__}: {error}"
            outcomes = [SupplierUnavailable(self.supplier.label, what)] * len(loaded)
        failures = [one for one in outcomes if _is_of_account(one)]
        if len(failures) < len(outcomes):
            self._circuit.succeed()  # it answers, and takes the account
        else:
            self._circuit.fail(failures[0], probe, self._clock.now())
        if any(isinstance(one, Verdict) for one in outcomes):
            self._tell_recovered()
        for (job, _), one in zip(loaded, outcomes, strict=True):
            self._take(job, one, together=len(loaded) > 1)

    async def _judge_batch(self, files: Sequence[File]) -> Sequence[Verdict | ModerationError]:
        if len(files) == 1:
            return [await self.supplier.judge(files[0])]
        assert isinstance(self.supplier, BatchSupplier)
        outcomes = await self.supplier.judge_batch(files)
        if len(outcomes) != len(files):
            raise ValueError(f"{len(outcomes)} verdicts of {len(files)} slices")
        return outcomes

    def _take(self, job: _Job, outcome: Verdict | ModerationError, *, together: bool) -> None:
        """What a supplier said of one slice."""
        if isinstance(outcome, Verdict):
            self.counters.together += together and job.delivery.phase is not Phase.GONE
            self._end(job, outcome)
        elif isinstance(outcome, SliceNotJudged):
            self._end(job, Unjudged(str(outcome)))
        else:
            self._again(job, outcome)

    def _again(self, job: _Job, error: ModerationError) -> None:
        now = self._clock.now()
        if now >= job.deadline:
            self._end(job, Unjudged(str(error)))
            return
        job.failures, job.alone = job.failures + 1, True
        self.counters.failures += 1
        self._report(job, error)
        if not self._circuit.closed:
            self._back_off(job, 0.0)  # the circuit waits for all
        else:
            refused = isinstance(error, SupplierRefused)
            self._back_off(job, self._backoff.after(job.failures, self._chance(), refused))

    def _back_off(self, job: _Job, seconds: float) -> None:
        heappush(self._later, (self._clock.now() + seconds, job.number, job.delivery.queue))

    def _report(self, job: _Job, error: ModerationError) -> None:
        reported = (job.delivery.info.task, type(error))
        if reported not in self._reported:
            self._reported.add(reported)
            self._trouble(job.delivery.info.task, error)

    def _tell_recovered(self) -> None:
        tasks = sorted({task for task, _ in self._reported})
        self._reported.clear()
        for task in tasks:
            self._recovered(task, self.supplier.label)

    def _end(self, job: _Job, outcome: Outcome) -> None:
        if self._remove(job):
            self._heads.append(job.delivery.queue)
        if job.delivery.phase is Phase.GONE:
            self.counters.gone += 1
            return
        if isinstance(outcome, Verdict):
            self.counters.judged += 1
            self.counters.hits += outcome.hit
            self.counters.repeated += outcome.repeated
            self._selection.note(job.delivery, outcome, self._clock.now())
        elif outcome.by_choice:
            self.counters.left_out += 1
        else:
            self.counters.unjudged += 1
        job.done(outcome)

    def _remove(self, job: _Job) -> bool:
        """Take it out; whether there is another one behind it in its track."""
        del self._jobs[job.number]
        track = self._tracks[job.delivery.queue]
        track.remove(job)
        if not track:
            del self._tracks[job.delivery.queue]
        return bool(track)


def _is_of_account(outcome: Verdict | ModerationError) -> TypeGuard[ModerationError]:
    """Whether it says of the supplier or the account that it fails, and not of a slice."""
    return not isinstance(outcome, Verdict | SliceNotJudged)


@dataclass(frozen=True, slots=True)
class Judge:
    """What a task does with its slices before they are stored: who judges them, and which are
    kept."""

    judging: Judging
    keep: Keep = Keep.NONE

    def keeps(self, outcome: Outcome) -> bool:
        """Whether a slice of this outcome goes to the store. One that nobody judged is no hit."""
        hit = isinstance(outcome, Verdict) and outcome.hit
        return self.keep is Keep.ALL or (self.keep is Keep.HITS and hit)
