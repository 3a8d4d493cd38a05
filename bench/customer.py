"""A customer's server of callbacks in a process of its own, so that its work delays nothing that is
measured beside it.

`python -m bench.customer`: prints its URL; at the end of its input, when it heard of each file.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.harness.service.webhook_receiver import Received, receiver, reply

KEY = "CallbackKey1"
STORED, VERDICT = 1004, 1104


@dataclass
class Customer:
    """*heard*: by a file's name, when its callback came, in seconds since 1970; once it has
    ended."""

    url: str
    heard: dict[str, float] = field(default_factory=dict)


@contextlib.asynccontextmanager
async def customer() -> AsyncIterator[Customer]:
    """A customer's server, until the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.customer"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        made = Customer((await process.stdout.readline()).decode().strip())
        yield made
        process.stdin.close()
        made.heard |= json.loads(await process.stdout.read())
    finally:
        process.stdin.close()  # which ends it
        await process.wait()


async def main() -> None:
    """Be that process."""
    came: list[tuple[float, Received]] = []

    def answer(request: Received) -> bytes:
        came.append((time.time(), request))
        return reply(200)

    async with receiver(KEY, answer) as server:
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)
    print(json.dumps({_file(one): at for at, one in came if one.event in {STORED, VERDICT}}))


def _file(request: Received) -> str:
    """Which file a callback is of."""
    told = request.told["EventInfo"]["Payload"]
    return str(told["FileName"] if request.event == STORED else told["Image"] or told["Audio"])


if __name__ == "__main__":
    asyncio.run(main())
