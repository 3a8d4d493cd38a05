"""The table of states is complete: every state meets every trigger."""

import pytest

from slicer.slicing.outputs import State
from slicer.slicing.state import TRANSITIONS, Trigger, follow

STARTING, RUNNING, RECONNECTING, ENDED = State


@pytest.mark.parametrize(
    ("state", "entered", "lost", "stopped"),
    [
        (STARTING, RUNNING, RECONNECTING, ENDED),
        (RUNNING, RUNNING, RECONNECTING, ENDED),
        (RECONNECTING, RUNNING, RECONNECTING, ENDED),
        (ENDED, ENDED, ENDED, ENDED),
    ],
)
def test_every_trigger_in_every_state(
    state: State, entered: State, lost: State, stopped: State
) -> None:
    assert [follow(state, trigger) for trigger in Trigger] == [entered, lost, stopped]


def test_the_table_has_no_row_that_changes_nothing() -> None:
    assert all(state is not after for (state, _), after in TRANSITIONS.items())
