"""What one worker runs, by the records that it has read: records in, what is to be done out."""

from dataclasses import dataclass

from slicer.fleet.record import TaskRecord

MAX_GONE = 10_000
"""Tasks that went to others of which the revision is remembered: a late record is older than it."""


@dataclass(frozen=True, slots=True)
class Start:
    """Take this task up."""

    record: TaskRecord


@dataclass(frozen=True, slots=True)
class Change:
    """Its order has changed, or it is to be left."""

    record: TaskRecord


@dataclass(frozen=True, slots=True)
class Stop:
    """The task is not this worker's any more: its robot leaves, and nothing is told of that."""

    task: str


Step = Start | Change | Stop


class Ownership:
    """The tasks of one worker."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._mine: dict[str, TaskRecord] = {}
        self._gone: dict[str, int] = {}

    def receive(self, record: TaskRecord) -> list[Step]:
        """A record was read; one that is older than what is known of the task means nothing."""
        before = self._mine.get(record.task)
        known = before.revision if before else self._gone.get(record.task, 0)
        if record.revision <= known:
            return []
        if record.worker != self._worker or record.ended is not None:
            if before is None:
                return []
            del self._mine[record.task]
            self._gone[record.task] = record.revision
            if len(self._gone) > MAX_GONE:
                del self._gone[next(iter(self._gone))]
            # It ended here, unless another worker has ended it, or who ordered it has discarded it:
            # then it has no order any more.
            here = (record.worker, record.epoch) == (before.worker, before.epoch)
            ended_here = here and record.ended is not None and record.sealed
            return [] if ended_here else [Stop(record.task)]
        self._gone.pop(record.task, None)
        self._mine[record.task] = record
        if before is None:
            return [Start(record)]
        if before.epoch != record.epoch:
            # Others had it meanwhile: what is being cut overlaps with what they have cut.
            return [Stop(record.task), Start(record)]
        return [Change(record)]

    def epoch(self, task: str) -> int | None:
        """In which epoch the worker has a task, or None where it has not."""
        record = self._mine.get(task)
        return record.epoch if record is not None else None

    def tasks(self) -> dict[str, int]:
        """Its tasks, each with the revision of its record: what its heartbeat shows."""
        return {task: record.revision for task, record in self._mine.items()}
