"""Publishers for tests of our own room: aiortc's peer connection, and tracks of little cost."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
import httpx
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)

from slicer.webrtc.transport import gather

LOOPBACK = ["127.0.0.1"]
FPS = 20


class Tone(MediaStreamTrack):
    """20 ms frames of a 440 Hz tone, in real time."""

    kind = "audio"
    _sent = 0

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(0.02)
        phase = np.arange(self._sent, self._sent + 960) * (2 * np.pi * 440 / 48_000)
        samples = (np.sin(phase) * 8000).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._sent, Fraction(1, 48_000)
        self._sent += 960
        return frame


class Flicker(MediaStreamTrack):
    """Small pictures of noise, in real time: each takes several packets, sent at once."""

    kind = "video"
    _sent = 0

    async def recv(self) -> av.VideoFrame:
        await asyncio.sleep(1 / FPS)
        picture = np.random.default_rng(self._sent).integers(0, 256, (120, 160, 3), np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = self._sent, Fraction(1, FPS)
        self._sent += 1
        return frame


@dataclass
class Peer:
    """An aiortc connection that only sends, on loopback, its candidates all in the offer."""

    connection: RTCPeerConnection = field(
        default_factory=lambda: RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
    )

    async def offer(self, tracks: Sequence[MediaStreamTrack]) -> str:
        for track in tracks:
            self.connection.addTrack(track)
        for transceiver in self.connection.getTransceivers():
            transceiver.direction = "sendonly"
        gatherer = self.connection.getSenders()[0].transport.transport.iceGatherer
        if not gatherer.getLocalCandidates():
            await gather(gatherer, LOOPBACK)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def answer(self, offer: str, tracks: Sequence[MediaStreamTrack]) -> str:
        """Send these tracks, and those from before, by the m-lines of an offer."""
        await self.connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        for track in tracks:
            self.connection.addTrack(track)
        gatherer = self.connection.getSenders()[0].transport.transport.iceGatherer
        if not gatherer.getLocalCandidates():
            await gather(gatherer, LOOPBACK)
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return str(self.connection.localDescription.sdp)

    async def pause(self, index: int) -> str:
        """Offer again, without what is sent by this m-line."""
        self.connection.getTransceivers()[index].direction = "inactive"
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def vanish(self) -> None:
        """Send and answer nothing any more, and tell nobody: what a killed process looks like."""
        ice = self.connection.getSenders()[0].transport.transport
        for protocol in ice._connection._protocols:  # noqa: SLF001 (aiortc has no verb for it)
            protocol.transport.abort()
        await asyncio.sleep(0)

    @property
    def controlling(self) -> bool:
        """Its end of ICE controls (RFC 8445 6.1.1)."""
        ice = self.connection.getSenders()[0].transport.transport
        return bool(ice._connection.ice_controlling)  # noqa: SLF001 (aiortc has no verb for it)

    async def send_raw(self, data: bytes) -> None:
        """This datagram, by the pair in use."""
        ice = self.connection.getSenders()[0].transport.transport
        await ice._send(data)  # noqa: SLF001 (aiortc has no verb for it)

    def ignore_checks(self) -> None:
        """Answer no connectivity check any more."""
        ice = self.connection.getSenders()[0].transport.transport
        connection = ice._connection  # noqa: SLF001 (aiortc has no verb for it)
        connection.request_received = lambda *_: None  # type: ignore[method-assign]

    async def close(self) -> None:
        await self.connection.close()


@dataclass
class Session:
    """A published peer and where it stands on the server."""

    peer: Peer
    url: str
    etag: str

    async def close(self) -> None:
        await self.peer.close()


async def publish_peer(
    client: httpx.AsyncClient, url: str, tracks: Sequence[MediaStreamTrack]
) -> Session:
    """Publish by WHIP; the caller closes the session."""
    peer = Peer()
    offer = await peer.offer(tracks)
    headers = {"Content-Type": "application/sdp"}
    response = await client.post(url, content=offer, headers=headers)
    assert response.status_code == 201, response.text
    await peer.accept(response.text)
    location = str(httpx.URL(url).join(response.headers["location"]))
    return Session(peer, location, response.headers["etag"])
