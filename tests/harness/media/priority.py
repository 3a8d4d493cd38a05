"""Keeps an encoder from taking the machine: knows no encoder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_priority() -> Iterator[None]:
    """Undo what is done to this thread's scheduling.

    SVT-AV1, run as root, makes the thread that calls it a real-time one (SCHED_FIFO, 99) and leaves
    it so: every test after it, and every process it starts, would starve all others.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)
