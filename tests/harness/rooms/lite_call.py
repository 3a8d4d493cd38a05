"""A call between our ICE-lite end and a peer driven by hand, by UDP or by TCP."""

import asyncio
import contextlib
from collections.abc import Callable

from slicer.webrtc.link import Link
from slicer.webrtc.lite.port import UdpPort
from slicer.webrtc.lite.tcp import TcpPort
from slicer.webrtc.lite.transport import LiteTransport
from tests.harness.rooms.manual_peer import NOW, ManualPeer

LOOPBACK = "127.0.0.1"
SECONDS = 5.0


class Call:
    """Our end on both ports, and a peer driven by hand, which comes by one of them."""

    def __init__(self, setup: str = "active", tcp: bool = False) -> None:
        self.port = UdpPort([LOOPBACK], 0, (), lambda: NOW)
        self.tcp = TcpPort(self.port, [LOOPBACK], 0, ())
        self.ended: list[str] = []
        self.moved = 0
        self.quiet = False
        self.ours = self.transport()
        self.peer = ManualPeer(setup, tcp)
        self.connecting: asyncio.Task[str] | None = None
        self.links: list[Link] = []

    def transport(self) -> LiteTransport:
        """Our end of a session."""
        told = (self.ended.append, self.move, self.read, lambda: self.quiet)
        return LiteTransport(self.port, *told)

    def take(self) -> None:
        self.links.append(self.ours.take(self.peer.remote))

    def move(self) -> None:
        self.moved += 1

    def read(self) -> None:
        """As a media path would: read the link's socket, and hand back what is no media."""
        for link in self.links:
            with contextlib.suppress(BlockingIOError):
                while True:
                    data, address = link.sock.recvfrom(2_048)
                    link.others(data, address)

    async def meet(self, seconds: float = SECONDS) -> None:
        self.peer.meet(await self.ours.local())
        self.connecting = asyncio.create_task(
            self.ours.connect(self.peer.remote, False, seconds, self.take)
        )
        await asyncio.sleep(0)

    async def connect(self) -> Link:
        await self.meet()
        assert self.connecting is not None
        async with asyncio.timeout(SECONDS):
            await self.peer.connect()
            assert await self.connecting == ""
        (link,) = self.links
        return link

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(SECONDS):
            while not condition():
                await self.peer.pump()

    async def close(self) -> None:
        await self.ours.stop()
        await self.ours.stop()
        if self.connecting is not None:
            self.connecting.cancel()
        for link in self.links:
            link.sock.close()
        self.peer.close()
        self.tcp.close()
        self.port.close()
