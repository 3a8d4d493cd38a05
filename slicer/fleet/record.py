"""What the bus keeps of one task: who runs it, and its order, sealed."""

import json
from dataclasses import asdict, dataclass, fields, replace

from slicer.errors import BadInput

FORMAT = 3
"""The records' version: a process that knows another one leaves them alone."""


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """One task. All writes of a fleet have one order, and *revision* is this one's place in it.

    *epoch*: how often the task was given to a worker; *worker*: the one that has it, or nothing;
    *previous*: of a task that no worker has, the one that handed it over, which gets it again only
    where there is no other one; else the one that it was taken from, as dead;
    *sealed*: the order and its secrets, encrypted; *code*: why its robot left or is leaving.
    *together*: tasks for which this is the same go to the same worker, where it is not empty.
    *created*, *expires* and *ended* are wall time in seconds. *changes*: how many the record
    has had: one that has had fewer is older, whatever its revision.
    """

    task: str
    app: int = 0
    epoch: int = 0
    worker: str = ""
    previous: str = ""
    sealed: str = ""
    created: float = 0.0
    expires: float = 0.0
    code: int | None = None
    ended: float | None = None
    revision: int = 0
    together: str = ""
    changes: int = 0


_KEPT = [one.name for one in fields(TaskRecord) if one.name not in {"task", "revision"}]
_TYPES: dict[str, type | tuple[type, ...]] = {
    "app": int,
    "epoch": int,
    "worker": str,
    "previous": str,
    "sealed": str,
    "created": (int, float),
    "expires": (int, float),
    "code": (int, type(None)),
    "ended": (int, float, type(None)),
    "together": str,
    "changes": int,
}


def to_json(record: TaskRecord) -> bytes:
    """The record as it is written; its key and its revision are the bus's."""
    kept = {name: value for name, value in asdict(record).items() if name in _KEPT}
    return json.dumps({"format": FORMAT, **kept}, separators=(",", ":")).encode()


def from_json(task: str, data: bytes, revision: int) -> TaskRecord:
    """The record again. Raises BadInput for what another version wrote, or nobody of ours."""
    try:
        found = json.loads(data)
        version = found.pop("format")
        values = {name: found[name] for name in _KEPT}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInput("fleet.bucket", f"record {task}", "records of rtc-slicer") from None
    if version != FORMAT:
        allowed = f"records of format {FORMAT}; another version of rtc-slicer wrote this one"
        raise BadInput("fleet.bucket", f"record {task} of format {version}", allowed)
    wrong = [name for name, value in values.items() if not isinstance(value, _TYPES[name])]
    if wrong:
        raise BadInput("fleet.bucket", f"record {task}", f"another type of {wrong[0]}")
    return TaskRecord(task, revision=revision, **values)


def given(record: TaskRecord, worker: str) -> TaskRecord:
    """The record that gives a task to *worker*; *previous* is the one that was lost, if one was."""
    return replace(record, epoch=record.epoch + 1, worker=worker, previous=record.worker)
