"""The makers' threads."""

import asyncio
import os
import platform
import subprocess
import sys
import threading

import pytest

from slicer.engine import workers
from slicer.threads import ThreadPool

# Memory as one picture takes it: some blocks of megabytes, written to, and given back.
PICTURES = """
import resource
from threading import Thread
from slicer.engine import workers

if {keeping}:
    workers.keep_freed_memory()

def take():
    blocks = [bytearray(b"x") * (2 << 20) for _ in range(5)]

def faults():
    take()
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range(10):
        take()
    print(resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before)

thread = Thread(target=faults)
thread.start()
thread.join()
"""


def test_as_many_as_cores_this_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert workers.cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert workers.cores() == len(allowed)


async def test_threads_do_the_work_and_end() -> None:
    crew = workers.open_workers()
    names = [crew.run(lambda: threading.current_thread().name) for _ in range(50)]
    used = set(await asyncio.gather(*names))
    crew.join()
    assert 1 <= len(used) <= workers.cores()
    assert all(name.startswith("maker") for name in used)
    assert len(crew.threads) <= workers.cores()
    assert not {*crew.threads} & {*threading.enumerate()}


def faults(keeping: bool) -> int:
    """Page faults of ten pictures in a process of its own."""
    tuned = ("MALLOC", "GLIBC")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(tuned)}
    command = [sys.executable, "-c", PICTURES.format(keeping=keeping)]
    return int(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have their own way")
def test_the_memory_of_one_picture_serves_the_next() -> None:
    assert faults(keeping=False) > 1000
    assert faults(keeping=True) < 100


def test_who_opens_the_threads_keeps_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(workers, "keep_freed_memory", lambda: made.append("kept"))
    crew = workers.open_workers()
    assert isinstance(crew, ThreadPool)
    assert made == ["kept"]
    crew.shut_down()
