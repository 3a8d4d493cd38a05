"""Starts, talks to and ends the processes of a run; each on the cores it is given."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.peers.capture import ROOT

PATIENCE = 60.0
"""Seconds until a process that should answer is given up."""


class Process:
    """A child process that is told lines and answers with JSON, if it speaks at all."""

    def __init__(
        self,
        command: Sequence[str],
        cores: Sequence[int],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        with log.open("ab") as told:
            self._popen = subprocess.Popen(
                [*pinned(cores), *command],
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=told,
            )
        self._log = log
        self._rest = b""

    @property
    def pid(self) -> int:
        return self._popen.pid

    def tell(self, line: str = "") -> None:
        """Write a line."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(f"{line}\n".encode())
        self._popen.stdin.flush()

    def hear(self, patience: float = PATIENCE) -> dict[str, Any]:
        """The next line, read. Raises RuntimeError where none comes."""
        assert self._popen.stdout is not None
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._popen.stdout], [], [], patience)
            more = os.read(self._popen.stdout.fileno(), 1 << 16) if ready else b""
            if not more:
                raise RuntimeError(f"no answer: {self.said()}")
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def check(self) -> None:
        """Raise RuntimeError where it has ended."""
        if self._popen.poll() is not None:
            raise RuntimeError(f"ended with {self._popen.returncode}: {self.said()}")

    def said(self) -> str:
        """The end of what it wrote to its log."""
        return self._log.read_text(errors="replace")[-2000:]

    def end(self, how: signal.Signals = signal.SIGINT, patience: float = 10.0) -> None:
        """End it: by closing its input and this signal, and by force where that is not enough."""
        for pipe in (self._popen.stdin, self._popen.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        if self._popen.poll() is None:
            self._popen.send_signal(how)
        try:
            self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


def pinned(cores: Sequence[int]) -> list[str]:
    """What begins the command of a process that has these cores alone."""
    return ["taskset", "-c", ",".join(map(str, cores))]


def module(name: str, *words: str) -> list[str]:
    """The command of one of our own modules."""
    return [sys.executable, "-m", f"bench.peers.{name}", *words]
