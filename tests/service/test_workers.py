"""The makers' threads."""

import asyncio
import os
import threading

from slicer.service.workers import cores, open_workers


def test_as_many_as_cores_this_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert cores() == len(allowed)


async def test_threads_do_the_work_and_end() -> None:
    workers = open_workers()
    names = [workers.run(lambda: threading.current_thread().name) for _ in range(50)]
    used = set(await asyncio.gather(*names))
    workers.join()
    assert 1 <= len(used) <= cores()
    assert all(name.startswith("maker") for name in used)
    assert len(workers._threads) <= cores()
    assert not {*workers._threads} & {*threading.enumerate()}
