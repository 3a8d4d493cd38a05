"""`slicer serve` as a process of its own, with settings that a test writes."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Served:
    """The process and the port of its API."""

    process: asyncio.subprocess.Process
    port: int

    async def says(self, text: str) -> str:
        """The next line that begins so; those before it are passed over."""
        assert self.process.stdout is not None
        while line := await asyncio.wait_for(self.process.stdout.readline(), 60):
            if line.decode().startswith(text):
                return line.decode()
        raise AssertionError(f"it ended, and did not say {text!r}")

    async def end(self) -> str:
        """SIGTERM; gives what it printed after its first line."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = await asyncio.wait_for(self.process.communicate(), 60)
        return out.decode()


@contextlib.asynccontextmanager
async def serve(
    config: str, folder: Path, *arguments: str, secrets: Mapping[str, str] | None = None
) -> AsyncIterator[Served]:
    """Serve with these settings until the context ends. stderr goes to `serve.log` in *folder*."""
    (folder / "slicer.toml").write_text(config)
    command = [sys.executable, "-m", "slicer.cli", "serve", "--config", "slicer.toml", *arguments]
    with (folder / "serve.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **(secrets or {})},
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        first = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        found = re.match(r"serving https?://[\d.]+:(\d+) for 1 application", first)
        assert found, (first, (folder / "serve.log").read_text())
        yield Served(process, int(found[1]))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
