"""LiveKit's SDK as a publisher that is a process of its own, and can be frozen: python -m … URL WHO

It says `published` once it sends, and goes on until it is ended.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

from tests.harness.rooms import publishing_process
from tests.harness.rooms.livekit_server import publisher


@contextlib.asynccontextmanager
async def publishing(url: str, identity: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Once it sends, until the context ends."""
    program = (sys.executable, "-m", __name__, url, identity)
    async with publishing_process.publishing(*program, started="published") as process:
        yield process


async def _publish(url: str, identity: str) -> None:
    async with publisher(url, identity):
        print("published", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_publish(*sys.argv[1:]))
