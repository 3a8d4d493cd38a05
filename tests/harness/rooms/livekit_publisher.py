"""LiveKit's SDK as a publisher that is a process of its own, and can be frozen: python -m … URL WHO

It says `published` once it sends, and goes on until it is ended.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

from tests.harness.rooms.livekit_server import publisher


@contextlib.asynccontextmanager
async def publishing(url: str, identity: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Once it sends, until the context ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, url, identity, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"published\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _publish(url: str, identity: str) -> None:
    async with publisher(url, identity):
        print("published", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_publish(*sys.argv[1:]))
