"""How a task is now, as its owner may ask."""

from dataclasses import dataclass

from slicer.engine.running import RunningTask
from slicer.rtp.parameters import Kind, Role
from slicer.slicing.outputs import State
from slicer.slicing.subscription import Subscription


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """What `describe` says. *tracks*: (anchor, kind, role) being cut now; *pending*: not yet
    stored; *late*: pictures ready more than 2 s after they were taken; *judged*: slices with a
    verdict; *unjudged*: those that should have one, and have none."""

    task: str
    state: State
    anchors: tuple[str, ...]
    tracks: tuple[tuple[str, Kind, Role], ...]
    subscription: Subscription
    stored: int
    lost: int
    pending: int
    late: int = 0
    judged: int = 0
    unjudged: int = 0


def status_of(task: str, running: RunningTask) -> TaskStatus:
    """The status of a task that runs."""
    core = running.driver.task
    tracks = tuple((track.anchor, *track.slot) for track in sorted(core.tracks))
    return TaskStatus(
        task,
        core.state,
        core.anchors,
        tracks,
        core.subscription,
        running.stored,
        running.lost,
        running.pending,
        running.late,
        running.judged,
        running.unjudged,
    )
