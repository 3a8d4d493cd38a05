"""The states of a task, as data.

Theory of operation. A task is one robot in one room. It is STARTING until the room lets it in, then
RUNNING. When the connection to the room breaks it is RECONNECTING: its anchors are gone as far as
it knows, so their last slices are cut. The room connects again by itself and reports everybody
anew. It has `max_idle` seconds for that; then the room counts as unreachable.

Whatever ends a task (its owner, the room, idling, the process), it ends in one way: every track is
released, which gives its last cut, and then the task has finished. ENDED is final. Facts that come
later are ignored, because a room's last facts may cross the stop on their way.

Tracks are not in this table. They are computed and not remembered: from the anchors present, the
media they publish, the lists, and the number of anchors a task may take. `SliceTask._reconcile` is
the one place where tracks begin and end.
"""

from enum import Enum, auto

from slicer.slicing.outputs import State


class Trigger(Enum):
    """What can change a state."""

    ENTERED = auto()
    LOST = auto()
    STOPPED = auto()


TRANSITIONS: dict[tuple[State, Trigger], State] = {
    (State.STARTING, Trigger.ENTERED): State.RUNNING,
    (State.STARTING, Trigger.LOST): State.RECONNECTING,
    (State.STARTING, Trigger.STOPPED): State.ENDED,
    (State.RUNNING, Trigger.LOST): State.RECONNECTING,
    (State.RUNNING, Trigger.STOPPED): State.ENDED,
    (State.RECONNECTING, Trigger.ENTERED): State.RUNNING,
    (State.RECONNECTING, Trigger.STOPPED): State.ENDED,
}


def follow(state: State, trigger: Trigger) -> State:
    """The state after this trigger; the same one where the table has no row."""
    return TRANSITIONS.get((state, trigger), state)
