"""`slicer worker` as a process of its own, with settings that a test writes."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.harness.network.hub import Place


@dataclass
class Process:
    """The process while it runs."""

    process: asyncio.subprocess.Process

    def kill(self) -> None:
        """End it as a loss of power would."""
        self.process.send_signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Have it do nothing, as a machine that swaps or migrates."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    async def end(self) -> str:
        """SIGTERM; gives what it printed after its first line."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = await asyncio.wait_for(self.process.communicate(), 90)
        return out.decode()


@contextlib.asynccontextmanager
async def worker(
    name: str, config: str, folder: Path, secrets: Mapping[str, str], place: Place | None = None
) -> AsyncIterator[Process]:
    """Work with these settings until the context ends, in a network of its own if there is a
    *place*. stderr goes to `worker.log` in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "slicer.toml").write_text(config)
    command = [sys.executable, "-m", "slicer.cli", "worker", "--config", "slicer.toml"]
    command += ["--name", name]
    if place is not None:
        command = place.command(command)
    with (folder / "worker.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **secrets},
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        first = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        assert first == f"worker {name} of fleet slicer\n", (folder / "worker.log").read_text()
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
