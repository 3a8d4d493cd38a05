"""The states of a task, as data.

Theory of operation. A task is one robot in one room. It is STARTING until the room lets it in, then
RUNNING. When the connection to the room breaks it is RECONNECTING: its anchors are gone as far as
it knows, so their last slices are cut; the room connects again by itself and tells everything anew.
It has as long for that as a task may be alone (`max_idle`); then the room counts as unreachable.
Whatever ends a task (its owner, the room, loneliness, the process) takes the one road to ENDED:
every track is let go, which cuts what there is, and then the task has finished. ENDED is final;
facts that come later are ignored, because a room's farewells may cross the stop on their way.

Tracks are not in this table. Which ones there are is never a state but a sum: anchors present,
media published, lists, and the number of anchors a task may take; `SliceTask._reconcile` is the
one place where tracks begin and end.
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
