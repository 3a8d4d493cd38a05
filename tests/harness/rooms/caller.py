"""A publisher by hand that comes to a WHIP endpoint: it sends whatever datagrams a test wants."""

import asyncio
from collections.abc import Sequence

import httpx
import pylibsrtp

from slicer.webrtc.link import SrtpKeys
from slicer.webrtc.parameters import Local
from slicer.webrtc.srtp import outbound
from tests.harness.rooms.manual_peer import ManualPeer
from tests.harness.rooms.visit import local_of
from tests.harness.rtp.call import datagram, opus

OFFER = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n{common}"
    "a=rtpmap:111 opus/48000/2\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n{common}"
    "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n"
)
COMMON = (
    "a=sendonly\r\na=rtcp-mux\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n"
    "a=fingerprint:sha-256 {fingerprint}\r\na=setup:active\r\n"
)
PATIENCE = 20


class Caller:
    """One publisher; *bearer*: its UserSig, if the room wants one."""

    def __init__(
        self,
        url: str,
        bearer: str = "",
        host: str = "127.0.0.1",
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self.url, self.bearer = url, bearer
        self._client = client
        self.peer = ManualPeer(host=host)
        self.protecting: pylibsrtp.Session | None = None

    @property
    def offer(self) -> str:
        theirs = self.peer.remote
        ((_, fingerprint),) = theirs.fingerprints
        return OFFER.format(
            common=COMMON.format(ufrag=theirs.ufrag, pwd=theirs.pwd, fingerprint=fingerprint)
        )

    async def post(self) -> httpx.Response:
        headers = {"Content-Type": "application/sdp"}
        if self.bearer:
            headers["Authorization"] = f"Bearer {self.bearer}"
        if self._client is not None:
            return await self._client.post(self.url, content=self.offer, headers=headers)
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.post(self.url, content=self.offer, headers=headers)

    async def meet(self, index: int = 0) -> Local:
        """Have the offer answered; nothing is sent to the port yet, which is that of the candidate
        of this index."""
        answered = await self.post()
        assert answered.status_code == 201, answered.text
        fingerprint = answered.text.split("a=fingerprint:sha-256 ")[1].split("\r\n")[0]
        ours = local_of(answered.text, (("sha-256", fingerprint),), index)
        self.peer.meet(ours)
        return ours

    async def speak(self, packets: range) -> None:
        """Audio in its own time, and what comes is read meanwhile."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for count, number in enumerate(packets):
            self.send([datagram(opus(number), number, number * 960)])
            await asyncio.sleep(began + (count + 1) * 0.02 - loop.time())

    async def connect(self) -> SrtpKeys:
        """Checks and handshake, after `meet` or with it."""
        if self.peer.dtls is None:
            await self.meet()
        async with asyncio.timeout(PATIENCE):
            await self.peer.connect()
        assert self.peer.dtls is not None
        keys = self.peer.dtls.keys()
        self.protecting = outbound(keys)
        return keys

    def send(self, packets: Sequence[bytes]) -> None:
        """Protect and send these RTP packets."""
        assert self.protecting is not None
        for packet in packets:
            self.peer.send(self.protecting.protect(packet))

    def report(self, compound: bytes) -> None:
        """Protect and send this RTCP."""
        assert self.protecting is not None
        self.peer.send(self.protecting.protect_rtcp(compound))

    def close(self) -> None:
        self.peer.close()
