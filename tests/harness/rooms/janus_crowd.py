"""Publishers that come and go in a room of Janus, all of one process:
python -m … ROOM SECONDS NAME…

Each sends for some seconds, leaves, and is back after one; the odd ones send video, too. After so
many seconds all leave, and a line of JSON says how many times each was there.
"""

import asyncio
import json
import random
import sys
from collections import Counter

from tests.harness.rooms.janus_publisher import connect

LEAST_STAY, LONGEST_STAY = 3.0, 7.0
AWAY = 1.0


async def come_and_go(room: str, name: str, kinds: list[str], until: float) -> int:
    """How many times it was there."""
    loop, chance, stays = asyncio.get_running_loop(), random.Random(name), 0
    while loop.time() < until:
        client, connection = await connect(room, name, "vp8", kinds)
        stays += 1
        # Its keepalives are due later than it leaves.
        await asyncio.sleep(chance.uniform(LEAST_STAY, LONGEST_STAY))
        await connection.close()
        await client.close()
        await asyncio.sleep(AWAY)
    return stays


async def main(room: str, seconds: float, names: list[str]) -> None:
    until = asyncio.get_running_loop().time() + seconds
    both = ["audio", "video"]
    working = [
        come_and_go(room, name, both[: 1 + place % 2], until) for place, name in enumerate(names)
    ]
    stays = await asyncio.gather(*working)
    print(json.dumps(Counter(dict(zip(names, stays, strict=True)))), flush=True)


if __name__ == "__main__":
    room, seconds, *names = sys.argv[1:]
    asyncio.run(main(room, float(seconds), names))
