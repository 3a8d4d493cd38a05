"""A task's status: what its core and its counters say."""

from slicer.engine.task_status import status_of
from slicer.rtp.parameters import Kind, Role
from slicer.slicing.outputs import State
from tests.harness.engine.running_task import running


async def test_each_field_is_what_the_task_has() -> None:
    task, _, _, _ = running()
    task.stored, task.lost, task.late, task.judged, task.unjudged = 5, 4, 3, 2, 1
    status = status_of("mine", task)
    assert (status.task, status.state, status.anchors) == ("mine", State.RUNNING, ("ada",))
    assert status.tracks == (("ada", Kind.AUDIO, Role.MAIN),)
    assert status.subscription == task.driver.task.subscription
    assert (status.stored, status.lost, status.pending) == (5, 4, 0)
    assert (status.late, status.judged, status.unjudged) == (3, 2, 1)
