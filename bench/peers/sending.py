"""The process of the senders: `python -m bench.peers.sending`, told what to do line by line.

First line: a `Plan` as JSON. It connects, answers `{"connected": …}`; at any further line it begins
to send and answers when each anchor's first frame is due, by the wall clock; at the next one it
stops and answers with its counters.
"""

import asyncio
import json
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.peers.capture import load
from bench.peers.sender import Keys, Lane, Sender

LOOPBACK = "127.0.0.1"
GOLDEN = 0.618034
HEADSTART = 0.3
SRTP_KEY = bytes(range(1, 31))
"""Of everybody in the runs without DTLS, both ways: key and salt of AES_CM_128_HMAC_SHA1_80."""
SRTP_PROFILE = 1
_SEND_BUFFER = 1 << 20


@dataclass(frozen=True)
class Plan:
    """What to send where.

    *way*: "pairs" (plain RTP, sound two ports above video), "bundle" (plain RTP on one
    port, from the one above),
    "srtp" (the same with SRTP_KEY) or "whip" (published by WHIP to *urls*); *reports*: whether
    sender reports go to each port + 1 (pairs alone); *spread*: seconds over which anchors begin.
    """

    codec: str
    way: str
    ports: list[int] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    reports: bool = True
    spread: float = 5.0

    def line(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))


def phases(count: int, spread: float) -> list[float]:
    """When each anchor begins, in seconds after the first: evenly strewn, the same each time."""
    return [spread * (number * GOLDEN % 1) for number in range(count)]


def _socket(port: int, own: int = 0) -> int:
    """A connected socket's descriptor; it stays open as long as the process."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    made.bind((LOOPBACK, own))
    made.connect((LOOPBACK, port))
    return made.detach()


def plain_lane(plan: Plan, port: int) -> Lane:
    """The lane of an anchor that needs no connecting."""
    if plan.way == "pairs":
        reports = (_socket(port + 1), _socket(port + 3)) if plan.reports else (-1, -1)
        return Lane((_socket(port), _socket(port + 2)), reports)
    one = _socket(port, port + 1)
    keys = Keys(SRTP_PROFILE, SRTP_KEY) if plan.way == "srtp" else None
    return Lane((one, one), (one, one), keys, keys)


def say(**told: Any) -> None:
    """Tell who started us."""
    print(json.dumps(told), flush=True)


async def hear() -> str:
    """The next line from who started us."""
    return await asyncio.to_thread(sys.stdin.readline)


async def play(
    plan: Plan, lanes: list[Lane], hand_out: int = -1, lost: Callable[[], int] = lambda: 0
) -> None:
    """Send from one line to the next. *lost*: how many connections are gone."""
    sender = Sender(load(plan.codec), lanes, hand_out)
    say(connected=len(lanes))
    await hear()
    begin = time.monotonic() + HEADSTART
    begins = [begin + phase for phase in phases(len(lanes), plan.spread)]
    sender.start(begins)
    wall = time.time() - time.monotonic()
    say(begins=[one + wall for one in begins])
    await hear()
    sender.stop()
    say(**sender.totals(), late=sender.late, anchors=len(lanes), connections_lost=lost())


async def main() -> None:
    """Take the plan, connect, play."""
    plan = Plan(**json.loads(await hear()))
    if plan.way == "whip":
        from bench.peers.publish import published  # noqa: PLC0415 (aiortc costs a second)

        async with published(plan.urls, plan.codec) as (lanes, hand_out, lost):
            await play(plan, lanes, hand_out, lost)
    else:
        await play(plan, [plain_lane(plan, port) for port in plan.ports])


if __name__ == "__main__":
    asyncio.run(main())
