"""What a slice costs beside its file, from its cut to its event: `python -m bench.slice_cost`.

One task with a folder for a store, slices one after the other, of one kind, with or without a
spool. For each stage it tells the CPU, the Python functions that are called and the system calls
that Python makes. CPU is this process's; a traced run shares it out, so a stage's is a share of
what was measured without tracing. The file itself is left out of the sums.

    python -m bench.slice_cost [--kind sound] [--spool]
    python -m bench.slice_cost --against TREE [--rounds 9]

The second compares this tree with another one that has a built `slicer` and `bench`, in turns: a
process of one, then of the other. On a busy machine only such ratios, and the counts, are steady.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import slicer
from bench.test_shell import BATCH, KINDS, MEMORY, Shell, cut_of
from slicer.media.slice import SliceInfo, make
from slicer.slicing.spec import ImageFormat

BATCHES = 24
"""Of BATCH slices: as many as the task's anchors may have at once (`engine/cut_rate.py`)."""
FILE, BENCH, LOOP = "the file", "this benchmark", "event loop, threads"
STAGES = (
    ("engine/running.py", "engine: the task"),
    ("engine/driver.py", "engine: the task"),
    ("engine/cut_rate.py", "engine: the task"),
    ("engine/", "engine: events, metrics"),
    ("media/", "engine: the task"),
    ("delivery/spool/", "spool"),
    ("delivery/", "outbox"),
    ("storage/", "store"),
    ("threads.py", LOOP),
    ("background.py", LOOP),
)
"""The stage of a module of slicer; what the standard library does is its caller's."""
LOOPS = ("/asyncio/", "/selectors.py", "/signal.py", "/_weakrefset.py")
SYSTEM_CALLS = {
    *("open", "close", "read", "write", "fsync", "flock", "urandom", "listdir", "scandir"),
    *("rename", "replace", "link", "unlink", "mkdir", "rmdir", "stat", "lstat", "fstat", "statvfs"),
    *("poll", "send", "recv", "eventfd_read", "eventfd_write"),
}
METHODS = {"epoll.poll", "socket.send", "socket.recv"}


class Trace:
    """What is called between `begin` and `end`, and the CPU of it, by stage."""

    def __init__(self) -> None:
        self.calls, self.system, self.cpu = Counter[str](), Counter[str](), Counter[str]()
        self.functions = Counter[str]()
        self._on = False
        self._of = threading.local()
        self._stages: dict[Any, str | None] = {}

    @contextmanager
    def noting(self) -> Iterator[None]:
        self._on = True
        yield
        self._on = False

    def hook(self, frame: FrameType, event: str, function: Any) -> None:
        """A profiler's, for each thread."""
        now, of = time.thread_time_ns(), self._of
        stack: list[str] = of.__dict__.setdefault("stack", [BENCH])
        if self._on and hasattr(of, "last"):
            self.cpu[stack[-1]] += now - of.last
        if event == "call":
            stage = self._stage(frame, stack[-1])
            stack.append(stage)
            if self._on:
                self.calls[stage] += 1
                self.functions[f"{stage}: {frame.f_code.co_qualname}"] += 1
        elif event == "return":
            if len(stack) > 1:
                stack.pop()
        elif event == "c_call" and self._on and _is_system_call(function):
            self.system[stack[-1]] += 1
        of.last = time.thread_time_ns()

    def _stage(self, frame: FrameType, caller: str) -> str:
        code = frame.f_code
        if caller == FILE or code is make.__code__:
            return FILE
        if code not in self._stages:
            self._stages[code] = _stage(code.co_filename)
        return self._stages[code] or caller


def _is_system_call(function: Any) -> bool:
    # `str.replace` is none.
    there = function.__module__ in {"posix", "fcntl"} or function.__qualname__ in METHODS
    return there and function.__name__ in SYSTEM_CALLS


def _stage(file: str) -> str | None:
    package, ours = f"{Path(slicer.__file__).parent}/", f"{Path(__file__).parent}/"
    if file.startswith(package):
        inner = file.removeprefix(package)
        return next((stage for start, stage in STAGES if inner.startswith(start)), None)
    if file.startswith(ours):
        return BENCH
    return LOOP if any(part in file for part in LOOPS) else None


def alone(kind: str) -> None:
    """The files of a batch."""
    cut = cut_of(KINDS[kind], 0, 0.0)
    info = SliceInfo("key", cut.track, datetime.now(UTC))
    for _ in range(BATCH):
        make(cut, info, ImageFormat.WEBP)


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """CPU in microseconds and switches of threads, for each slice of a batch."""
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF)
    work()
    after, cpu = resource.getrusage(resource.RUSAGE_SELF), time.process_time() - began
    switches = after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw
    return cpu / BATCH * 1e6, switches / BATCH


@contextmanager
def opened(spool: bool) -> Iterator[Shell]:
    where = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=where) as folder, asyncio.Runner() as runner:
        shell = Shell(runner, Path(folder), spool)
        yield shell
        shell.close()


def measure(kind: str, spool: bool) -> tuple[float, float]:
    """CPU beside the file, and switches of threads; medians."""
    alone(kind)
    files = statistics.median(measured(lambda: alone(kind))[0] for _ in range(BATCHES))
    with opened(spool) as shell:
        shell.go(KINDS[kind])
        found = [measured(lambda: shell.go(KINDS[kind])) for _ in range(BATCHES)]
    cpu = statistics.median(one[0] for one in found) - files
    return cpu, statistics.median(one[1] for one in found)


def trace(kind: str, spool: bool) -> Trace:
    """The same, traced."""
    found = Trace()
    threading.setprofile(found.hook)
    sys.setprofile(found.hook)
    try:
        with opened(spool) as shell:
            shell.go(KINDS[kind])
            with found.noting():
                for _ in range(BATCHES):
                    shell.go(KINDS[kind])
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return found


def table(kind: str, spool: bool, functions: bool) -> None:
    """Print the stages."""
    cpu, switches = measure(kind, spool)
    found, slices = trace(kind, spool), BATCH * BATCHES
    del found.cpu[FILE], found.calls[FILE]
    share = cpu / found.cpu.total()
    print(f"{kind}, {'spool' if spool else 'no spool'}: us of CPU, calls, system calls")
    for stage, _ in found.cpu.most_common():
        calls, system = found.calls[stage] / slices, found.system[stage] / slices
        print(f"  {stage:24} {found.cpu[stage] * share:6.0f} {calls:7.1f} {system:6.1f}")
    calls, system = found.calls.total() / slices, found.system.total() / slices
    print(f"  {'all':24} {cpu:6.0f} {calls:7.1f} {system:6.1f}, {switches:.1f} switches of threads")
    if functions:
        for name, count in found.functions.most_common():
            if count >= slices // 2 and not name.startswith(f"{FILE}: "):
                print(f"    {count / slices:6.2f} {name}")


def compare(other: Path, kinds: list[str], spools: list[bool], rounds: int) -> None:
    """Both trees in turns; the median of the ratios of neighbours."""
    ours = Path(__file__).parents[1]
    for kind in kinds:
        for spool in spools:
            runs = [[_run(tree, kind, spool) for tree in (other, ours)] for _ in range(rounds)]
            before, after = (statistics.median(run[at][0] for run in runs) for at in (0, 1))
            ratio = statistics.median(after[0] / before[0] for before, after in runs)
            least = [min(run[at][0] for run in runs) for at in (0, 1)]
            switches = [statistics.median(run[at][1] for run in runs) for at in (0, 1)]
            print(
                f"{kind}, {'spool' if spool else 'no spool'}: {before:.0f} -> {after:.0f} us, "
                f"least {least[0]:.0f} -> {least[1]:.0f}, times {ratio:.2f}; "
                f"switches of threads {switches[0]:.1f} -> {switches[1]:.1f}",
                flush=True,
            )


def _run(tree: Path, kind: str, spool: bool) -> tuple[float, float]:
    command = [sys.executable, __file__, "--once", "--kind", kind, *(["--spool"] * spool)]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    ended = subprocess.run(command, env=environment, cwd=tree, check=True, capture_output=True)
    cpu, switches = json.loads(ended.stdout)
    return cpu, switches


def main() -> None:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.slice_cost",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kind", choices=KINDS, help="one kind alone")
    parser.add_argument("--spool", action="store_true", help="by way of the disk alone")
    parser.add_argument("--functions", action="store_true", help="each function that is called")
    parser.add_argument("--against", type=Path, help="another tree, to be compared with")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    kinds = [given.kind] if given.kind else list(KINDS)
    spools = [True] if given.spool else [False, True]
    if given.once:
        print(json.dumps(measure(kinds[0], given.spool)))
    elif given.against:
        compare(given.against, kinds, spools, given.rounds)
    else:
        for kind in kinds:
            for spool in spools:
                table(kind, spool, given.functions)


if __name__ == "__main__":
    main()
