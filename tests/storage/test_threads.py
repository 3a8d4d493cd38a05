"""The threads of one store."""

import asyncio
import threading

import pytest

from slicer.errors import StorageRefused
from slicer.storage.threads import Threads


async def test_work_is_done_in_a_thread_of_that_name() -> None:
    threads = Threads("shelf", 2)
    name = await threads.run("key", lambda: threading.current_thread().name)
    await threads.close()
    assert name.startswith("shelf")
    assert not [thread for thread in threading.enumerate() if thread.name == name]


async def test_no_more_at_once_than_there_are_threads() -> None:
    threads, gate = Threads("shelf", 2), threading.Event()
    started = threading.Semaphore(0)

    def work() -> bool:
        started.release()
        return gate.wait(20)

    runs = [asyncio.ensure_future(threads.run("key", work)) for _ in range(3)]
    await asyncio.sleep(0)
    assert started.acquire(timeout=20)
    assert started.acquire(timeout=20)
    assert not started.acquire(timeout=0.05)
    gate.set()
    assert await asyncio.gather(*runs) == [True] * 3
    await threads.close()


async def test_an_error_comes_through() -> None:
    threads = Threads("shelf", 1)
    with pytest.raises(ZeroDivisionError):
        await threads.run("key", lambda: 1 // 0)
    await threads.close()


async def test_closed() -> None:
    threads = Threads("shelf", 1)
    await threads.close()
    await threads.close()
    with pytest.raises(StorageRefused, match="a/b: this store was closed; open it again"):
        await threads.run("a/b", lambda: None)
