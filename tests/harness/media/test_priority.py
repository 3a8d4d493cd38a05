"""Encoding AV1 leaves the thread as it was."""

import os

from tests.harness.media.video import encoded


def test_av1_leaves_scheduling_alone() -> None:
    before = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    encoded.__wrapped__("av1", frames=2)
    assert (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority) == before
