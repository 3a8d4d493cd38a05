"""A publisher that is a process of its own, and says when it is connected."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.harness.rooms.whip_muxer import STARTED


@contextlib.asynccontextmanager
async def publishing(
    *command: str, started: str = STARTED
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run it from when it says *started* until the context ends.

    Raises RuntimeError with what it said where it ends before, TimeoutError after 30 s.
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    try:
        said = b""
        while started.encode() not in said:
            line = await asyncio.wait_for(process.stdout.readline(), 30)
            if not line:
                raise RuntimeError(f"{command[0]} ended: {said.decode(errors='replace')}")
            said += line
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
