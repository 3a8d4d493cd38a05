"""A UDP path between a publisher and us that loses and delays what a seed says.

It needs no right and no module of the kernel, as `tc netem` does, and the same seed loses the same.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

Address = tuple[str, int]
BURST, PAUSE = 50, 0.002
"""What was held is passed on so many datagrams at a time, and so many seconds apart: a receiver's
buffer takes no more at once."""
_CANDIDATE = re.compile(
    r"^(a=candidate:\S+ 1 udp \d+ \S+ )(\d+)( typ host.*)$", re.MULTILINE | re.I
)
_CANDIDATES = re.compile(r"^a=candidate:.*\r?\n", re.MULTILINE)


@dataclass(frozen=True)
class Impairment:
    """*loss*: share of datagrams dropped, in runs of *burst* in the mean; *late*: share held back
    by up to *delay* seconds, so that others overtake them; *stubborn*: an RTP packet that was
    dropped is dropped each time it is sent again; *jitter*: seconds that each is held back by at
    most, in order; *duplicate*: share sent twice; *rate*: bit/s of a bottleneck with a queue of
    QUEUE; 0: none.
    """

    loss: float = 0.0
    late: float = 0.0
    delay: float = 0.0
    stubborn: bool = False
    burst: float = 1.0
    jitter: float = 0.0
    duplicate: float = 0.0
    rate: int = 0


QUEUE = 0.3
"""Seconds of datagrams that a bottleneck holds; further ones are dropped."""
HEADERS = 28
"""Bytes of IP and UDP for each datagram."""


class _End(asyncio.DatagramProtocol):
    """One of the path's two sockets; gives what comes in to the other."""

    def __init__(self, relay: "Relay", downstream: bool) -> None:
        self._relay, self._downstream = relay, downstream
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def send(self, data: bytes, target: Address) -> None:
        """Also when all is over: what is late may come then."""
        if not self.transport.is_closing():
            self.transport.sendto(data, target)

    def datagram_received(self, data: bytes, address: Address) -> None:
        self._relay.pass_on(data, address, self._downstream)


class Relay:
    """Both directions of one path; perfect until `impairment` is set.

    The publisher's offer and the answer have to be taken through `offer` and `answer`, so that
    each side knows the relay alone. *dropped*: payload type (RTP is not hidden by SRTP) → count;
    *overflown*: datagrams that found a bottleneck's queue full.
    """

    def __init__(self, seed: int) -> None:
        self.impairment = Impairment()
        self.dropped: Counter[int] = Counter()
        self.passed: Counter[int] = Counter()
        self.overflown = 0
        self._random = random.Random(seed)
        self._gone: set[bytes] = set()
        self._held: list[bytes] | None = None
        self._losing = False
        self._last: dict[_End, float] = {}  # when the last datagram leaves by an end
        self._slower: tuple[float, float, float] | None = None
        self._publisher: Address | None = None
        self._server: Address | None = None
        self._down = _End(self, downstream=True)
        self._up = _End(self, downstream=False)

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        for end in (self._down, self._up):
            await loop.create_datagram_endpoint(lambda end=end: end, ("127.0.0.1", 0))  # type: ignore[misc]

    def close(self) -> None:
        for end in (self._down, self._up):
            end.transport.close()

    def offer(self, sdp: str) -> str:
        """Without candidates: the publisher is found by its own checks."""
        return _CANDIDATES.sub("", sdp)

    def answer(self, sdp: str) -> str:
        """With the relay's port in place of the server's."""
        found = _CANDIDATE.search(sdp)
        assert found, sdp
        self._server = ("127.0.0.1", int(found[2]))
        ours = self._down.transport.get_extra_info("sockname")[1]
        return _CANDIDATE.sub(rf"\g<1>{ours}\g<3>", sdp)

    async def move(self) -> None:
        """Reach the server from another port from now on, as a NAT does that forgot the old one."""
        before, self._up = self._up, _End(self, downstream=False)
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self._up, ("127.0.0.1", 0))
        before.transport.close()

    def hold(self) -> None:
        """Keep what the publisher sends, until `release`."""
        self._held = []

    def release(self) -> None:
        """Pass on what was kept, in its order and as fast as it is taken, and then what comes."""
        assert self._held is not None
        assert self._server is not None
        for data in self._held[:BURST]:
            self._up.transport.sendto(data, self._server)
        del self._held[:BURST]
        if self._held:
            asyncio.get_running_loop().call_later(PAUSE, self.release)
        else:
            self._held = None

    def slow_down(self, seconds: float, over: float) -> None:
        """Delay what the publisher sends: by more and more, and by *seconds* after *over* of them;
        nothing is overtaken."""
        self._slower = (asyncio.get_running_loop().time(), seconds, over)

    def pass_on(self, data: bytes, address: Address, downstream: bool) -> None:
        if downstream:
            self._publisher = address
            if self._held is not None:
                self._held.append(data)
                return
        target, end = (self._server, self._up) if downstream else (self._publisher, self._down)
        if target is None:
            return
        payload_type = data[1] & 0x7F if downstream and data[0] >> 6 == 2 else -1
        name = data[8:12] + data[2:4]  # SSRC and sequence number
        if self.impairment.stubborn and name in self._gone:
            return
        if self._loses():
            self.dropped[payload_type] += 1
            if payload_type >= 0:
                self._gone.add(name)
            return
        self.passed[payload_type] += 1
        twice = self.impairment.duplicate and self._random.random() < self.impairment.duplicate
        for _ in range(2 if twice else 1):
            self._carry(data, target, end)

    def _loses(self) -> bool:
        """Gilbert's model of two states: in one of them all is lost."""
        it, chance = self.impairment, self._random.random()
        if it.burst <= 1 or it.loss >= 1:
            return chance < it.loss
        stays, begins = 1 - 1 / it.burst, it.loss / (1 - it.loss) / it.burst
        self._losing = chance < (stays if self._losing else begins)
        return self._losing

    def _carry(self, data: bytes, target: Address, end: _End) -> None:
        it, loop = self.impairment, asyncio.get_running_loop()
        now, last = loop.time(), self._last.get(end, 0.0)
        due = now + (self._slowness() if end is self._up else 0.0)
        if it.rate:
            if last - now > QUEUE:
                self.overflown += 1
                return
            due = max(now, last) + 8 * (len(data) + HEADERS) / it.rate
        elif it.jitter:
            due = max(now + self._random.random() * it.jitter, last + 1e-6)
        if due > now:
            self._last[end] = due
        if self._random.random() < it.late:
            due += self._random.random() * it.delay
        if due > now:
            loop.call_at(due, end.send, data, target)
        else:
            end.send(data, target)

    def _slowness(self) -> float:
        if self._slower is None:
            return 0.0
        since, seconds, over = self._slower
        return seconds * min((asyncio.get_running_loop().time() - since) / over, 1.0)


@asynccontextmanager
async def relay(seed: int) -> AsyncIterator[Relay]:
    """A path on loopback until the context ends."""
    made = Relay(seed)
    await made.open()
    try:
        yield made
    finally:
        made.close()
