"""A connection of ours whose bundle writes down what it gets, and its peer: aiortc, or by hand."""

import asyncio
import re
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast

from slicer.clock import LoopClock
from slicer.hot import Bundle
from slicer.rtp.packet import extensions, parse
from slicer.rtp.parameters import MID, RtpParameters
from slicer.rtp.rtcp import is_rtcp
from slicer.slicing.outputs import Transmit
from slicer.webrtc.connection import Connection, Events, Network
from slicer.webrtc.lite.port import UdpPort
from slicer.webrtc.loop_path import LoopMedia
from slicer.webrtc.parameters import Local
from tests.harness.rooms.manual_peer import NOW, ManualPeer
from tests.harness.rooms.whip_client import LOOPBACK, Flicker, Peer, Tone


class Seen:
    """What a connection tells and receives, with a way to wait for it; the bundle of its media."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.batches: list[list[bytes]] = []
        self.sending: list[Transmit] = []
        self.connected = asyncio.Event()
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.events = Events(self.connected.set, self.closed.set_result)

    def receive(self, datagrams: Sequence[bytes], now: float) -> list[Transmit]:
        if datagrams:
            self.batches.append(list(datagrams))
        sending, self.sending = self.sending, []
        return sending

    def deadline(self) -> float | None:
        return None

    @property
    def rtp(self) -> list[bytes]:
        return [one for batch in self.batches for one in batch if not is_rtcp(one)]

    @property
    def rtcp(self) -> list[bytes]:
        return [one for batch in self.batches for one in batch if is_rtcp(one)]

    def mids(self, streams: Sequence[RtpParameters]) -> set[str]:
        """The MIDs of the packets so far (RFC 8843 9.2)."""
        (number,) = {n for one in streams for n, uri in one.extensions.items() if uri == MID}
        packets = [parse(one) for one in self.rtp]
        found = (extensions(one.profile, one.extension).get(number) for one in packets)
        return {mid.decode() for mid in found if mid}

    async def until(self, condition: Callable[[], object], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)


class Call:
    """Both ends of one call."""

    def __init__(self, silence: float = 15.0, connect_timeout: float = 20.0) -> None:
        self.seen = Seen()
        self.media = LoopMedia(cast("Bundle", self.seen), LoopClock(), lambda _: None)
        network = Network(LOOPBACK, silence, connect_timeout)
        self.ours = Connection(network, self.media, self.seen.events)
        self.theirs = Peer()
        self.offer = ""

    async def connect(self) -> None:
        self.offer = await self.theirs.offer([Tone(), Flicker()])
        await self.theirs.accept(await self.ours.answer(self.offer))
        async with asyncio.timeout(20):
            await self.seen.connected.wait()

    def send_rtcp(self, data: bytes) -> None:
        self.seen.sending.append(Transmit(data))
        self.media.receive([])

    async def close(self) -> None:
        await self.ours.close()
        await self.theirs.close()


class Visit:
    """A peer by hand, and a connection of ours that it comes to."""

    def __init__(self, silence: float = 15.0) -> None:
        self.seen = Seen()
        self.media = LoopMedia(cast("Bundle", self.seen), LoopClock(), lambda _: None)
        self.port = UdpPort(LOOPBACK, 0, (), lambda: NOW)
        network = Network((), silence, port=self.port)
        self.ours = Connection(network, self.media, self.seen.events)
        self.peer = ManualPeer()

    async def connect(self) -> None:
        theirs = self.peer.remote
        ((name, value),) = theirs.fingerprints
        answer = await self.ours.answer(
            VISIT.format(ufrag=theirs.ufrag, pwd=theirs.pwd, name=name, value=value)
        )
        assert "\r\na=ice-lite\r\n" in answer
        self.peer.meet(local_of(answer, (("sha-256", self.port.certificate.fingerprint),)))
        await self.peer.connect()
        await self.seen.connected.wait()

    async def heard(self, number: int) -> None:
        count = len(self.seen.rtp)
        self.peer.media(struct.pack("!BBHII", 0x80, 111, number, 960 * number, 5) + b"\xf8\xff\xfe")
        await self.seen.until(lambda: len(self.seen.rtp) > count)

    async def close(self) -> None:
        await self.ours.close()
        self.peer.close()
        self.port.close()


VISIT = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\n"
    "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\na=fingerprint:{name} {value}\r\na=setup:active\r\n"
    "a=rtpmap:111 opus/48000/2\r\n"
)


def local_of(sdp: str, fingerprints: tuple[tuple[str, str], ...], index: int = 0) -> Local:
    """Our end as a description of ours tells it, by its candidate of this *index*."""
    ufrag, pwd = (re.findall(rf"a={name}:(.*?)\r\n", sdp)[0] for name in ("ice-ufrag", "ice-pwd"))
    candidate = re.findall(r"a=candidate:(.*?)\r\n", sdp)[index]
    address, port = candidate.split()[4:6]
    return Local(ufrag, pwd, fingerprints, address, int(port), (candidate,), lite=True)
