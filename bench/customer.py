"""A customer's server of callbacks in a process of its own, so that its work delays nothing that is
measured beside it.

`python -m bench.customer`: prints its URL; at the end of its input, when each verdict was told.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.harness.service.webhook_receiver import receiver

KEY = "CallbackKey1"
VERDICT = 1104


@dataclass
class Customer:
    """*heard*: by DataId, when its callback was made, in seconds since 1970; once it has ended."""

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
    async with receiver(KEY) as server:
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)
        told = [one.told for one in server.received if one.event == VERDICT]
    heard = {one["EventInfo"]["Payload"]["DataId"]: one["CallbackTs"] / 1000 for one in told}
    print(json.dumps(heard))


if __name__ == "__main__":
    asyncio.run(main())
