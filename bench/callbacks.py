"""What a callback costs: from `Sender.send` to the answer, with the queue on disk.

`python -m bench.callbacks [--lines 50] [--seconds 6]`: each second every line has one callback, all
at once, to a customer's server in a process of its own. Told is how long each took, the CPU of this
process, and by how much the loop was late meanwhile, which is what slicing would feel.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench.peers.statistics import quantile
from slicer.clock import LoopClock
from slicer.webhooks.client import Reply, WebhookClient
from slicer.webhooks.queue import Webhook, WebhookQueue
from slicer.webhooks.sender import ID_HEADER, Sender, Subscriber

PAYLOAD = json.dumps({"of": "x" * 800})
TICK = 0.005
CUSTOMER = """
import asyncio
from tests.harness.service.webhook_receiver import receiver

async def main():
    async with receiver("k") as there:
        print(there.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def _measure(url: str, lines: int, seconds: int) -> None:
    began, took, late = dict[str, float](), list[float](), list[float]()
    done = asyncio.Event()

    async def post(url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        reply = await client.post(url, body, headers)
        took.append(time.monotonic() - began[headers[ID_HEADER]])
        if len(took) == lines * seconds:
            done.set()
        return reply

    async def tick() -> None:
        while True:
            due = time.monotonic() + TICK
            await asyncio.sleep(TICK)
            late.append(time.monotonic() - due)

    with tempfile.TemporaryDirectory() as folder:
        queue, client = await WebhookQueue.open(Path(folder)), WebhookClient(True)
        subscriber = Subscriber(url, "k")
        sender = Sender(
            queue, lambda _: subscriber, lambda one, _: one.payload.encode(), post, LoopClock()
        )
        ticking, cpu = asyncio.ensure_future(tick()), time.process_time()
        for second in range(seconds):
            until = time.monotonic() + 1
            webhooks = [Webhook(f"{n}.{second}", 1, f"{n}", 1104, PAYLOAD) for n in range(lines)]
            began.update((one.id, time.monotonic()) for one in webhooks)
            await asyncio.gather(*map(sender.send, webhooks))
            await asyncio.sleep(max(until - time.monotonic(), 0))
        await done.wait()
        cpu = time.process_time() - cpu
        ticking.cancel()
        await sender.close()
        await client.close()
        await queue.close()
    print(
        f"{len(took)} callbacks, {_spread(took)}; CPU {1000 * cpu / len(took):.2f} ms each; "
        f"the loop was late by {_spread(late)}"
    )


def _spread(values: list[float]) -> str:
    found = (1000 * quantile(sorted(values), share) for share in (0.5, 0.99, 1.0))
    return " ".join(f"{one:.0f}" for one in found) + " ms (median, 99 %, most)"


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.callbacks", description=__doc__)
    parser.add_argument("--lines", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=6)
    given = parser.parse_args()
    with subprocess.Popen(
        [sys.executable, "-c", CUSTOMER], stdout=subprocess.PIPE, text=True
    ) as customer:
        assert customer.stdout is not None
        try:
            asyncio.run(_measure(customer.stdout.readline().strip(), given.lines, given.seconds))
        finally:
            customer.kill()


if __name__ == "__main__":
    main()
