"""What a process and its children have used: CPU time to the nanosecond, memory, lost datagrams."""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_CPU_OF_A_PROCESS = 2
_WORKING = (1, 2, 3, 6, 7, 8)
"""Columns of /proc/stat: user, nice, system, irq, softirq, steal."""


def tree(pid: int) -> list[int]:
    """A process and all below it, itself first."""
    found = [pid]
    for one in found:
        try:
            threads = list((PROC / str(one) / "task").iterdir())
        except OSError:
            continue
        for thread in threads:
            try:
                found += map(int, (thread / "children").read_text().split())
            except OSError:
                continue
    return found


def cpu(pids: Iterable[int]) -> float:
    """Seconds of CPU, user and system, of all their threads, those that have ended included.

    The clock of another process (clock_getcpuclockid(3)) counts nanoseconds; /proc/PID/stat, which
    has the same sum, only ticks of 10 ms.
    """
    return sum(time.clock_gettime(~pid << 3 | _CPU_OF_A_PROCESS) for pid in pids)


def _field(text: str, name: str) -> int:
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def pss(pids: Iterable[int]) -> int:
    """Bytes of memory; what several share is counted once, in parts."""
    return 1024 * sum(_field((PROC / str(pid) / "smaps_rollup").read_text(), "Pss") for pid in pids)


def peak_rss(pids: Iterable[int]) -> int:
    """Bytes: the highest resident sizes since each began, added up; shared pages count in each."""
    return 1024 * sum(_field((PROC / str(pid) / "status").read_text(), "VmHWM") for pid in pids)


def dropped(pids: Iterable[int]) -> int:
    """Datagrams that the kernel dropped since their sockets exist: receive buffers were full."""
    inodes = {inode for pid in pids for inode in _sockets(pid)}
    total = 0
    for name in ("net/udp", "net/udp6"):
        table = (PROC / name).read_text().splitlines()[1:] if (PROC / name).exists() else []
        rows = (line.split() for line in table)
        total += sum(int(row[12]) for row in rows if row[9] in inodes)
    return total


def _sockets(pid: int) -> list[str]:
    found = []
    for descriptor in (PROC / str(pid) / "fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.startswith("socket:["):
            found.append(target[8:-1])
    return found


def busy(cores: Iterable[int]) -> float:
    """Seconds for which these cores have worked since the start, for anybody."""
    return busy_in((PROC / "stat").read_text(), cores) / os.sysconf("SC_CLK_TCK")


def busy_in(text: str, cores: Iterable[int]) -> int:
    """Ticks in a /proc/stat: all but idle and waiting for disks."""
    names = {f"cpu{core}" for core in cores}
    rows = (line.split() for line in text.splitlines())
    return sum(int(row[at]) for row in rows if row and row[0] in names for at in _WORKING)


@dataclass(frozen=True)
class Usage:
    """What was measured over a window of *seconds*. *others*: CPU that anybody else had meanwhile
    on the measured cores; on a quiet machine next to nothing."""

    seconds: float
    cpu: float
    others: float
    pss: int
    peak_rss: int
    dropped: int
    processes: int


class Window:
    """Measures process trees from its making to `close`; `look` in between for the memory."""

    def __init__(self, roots: Sequence[int], cores: Sequence[int]) -> None:
        self._cores = cores
        self._pids = [pid for root in roots for pid in tree(root)]
        self._pss = 0
        self._dropped = dropped(self._pids)
        self._busy = busy(cores)
        self._began, self._cpu = time.monotonic(), cpu(self._pids)

    def look(self) -> None:
        """Note the memory of now."""
        self._pss = max(self._pss, pss(self._pids))

    def close(self) -> Usage:
        """Raises OSError where a process has ended before."""
        used, ended = cpu(self._pids) - self._cpu, time.monotonic()
        others = max(0.0, busy(self._cores) - self._busy - used)
        self.look()
        return Usage(
            ended - self._began,
            used,
            others,
            self._pss,
            peak_rss(self._pids),
            dropped(self._pids) - self._dropped,
            len(self._pids),
        )
