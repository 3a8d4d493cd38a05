"""A process that has an application's facts told, and prints each: for what a thread cannot show.

python -m tests.harness.fleet.fact_reader URL BUCKET APP ACK_WAIT=SECONDS …
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

from slicer.fleet import facts as module
from slicer.fleet.bus import Bus
from slicer.fleet.facts import Fact, Facts
from slicer.fleet.settings import FleetSettings
from slicer.fleet.signer import Signer


@dataclass
class FactReader:
    """The process, as a test sees it."""

    process: asyncio.subprocess.Process

    async def told(self) -> str:
        """What it tells next."""
        assert self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), 20)).decode().strip()


@contextlib.asynccontextmanager
async def reading(url: str, bucket: str, app: int, **constants: float) -> AsyncIterator[FactReader]:
    """One that runs; *constants*: what facts.py is to have in place of its own."""
    given = [f"{name}={value}" for name, value in constants.items()]
    arguments = ["-m", "tests.harness.fleet.fact_reader", url, bucket, str(app), *given]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield FactReader(process)
    finally:
        process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def frozen(reader: FactReader) -> AsyncIterator[None]:
    """It does nothing meanwhile; what is sent to it waits."""
    os.kill(reader.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(reader.process.pid, signal.SIGCONT)


async def _main(url: str, bucket: str, app: str, *constants: str) -> None:
    for name, value in (constant.split("=") for constant in constants):
        setattr(module, name, float(value))
    settings = FleetSettings((url,), bucket=bucket, replicas=1)
    bus = await Bus.connect(settings, "reader", Signer([b"key"]))

    async def tell(fact: Fact) -> None:
        sys.stdout.write(fact.data.decode() + "\n")
        sys.stdout.flush()

    await Facts(bus).tell(int(app), tell)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
