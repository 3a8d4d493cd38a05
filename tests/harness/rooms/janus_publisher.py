"""A publisher in a room of Janus, a process of its own: python -m … ROOM ID CODEC TRACK…

TRACK is audio, video or screen, which it publishes in this order of m-lines: a tone, and colours
that change, all by aiortc. It says `published` once it is connected, `asked` and when for each
request for a keyframe (PLI), and goes on until it is ended.
"""

import asyncio
import sys
import time
from fractions import Fraction
from typing import Any

import aioice.ice
import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtp import RTCP_PSFB_PLI, AnyRtcpPacket, RtcpPsfbPacket

from tests.harness.rooms.janus import PIN, Client

# It would leave loopback out, and here is nothing else.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]

ASKED = "asked"
FPS = 10
SIZES = {"video": (160, 90), "screen": (192, 128)}
KEEPALIVE = 5


class Tone(MediaStreamTrack):
    """440 Hz, 20 ms a frame."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._started = asyncio.get_running_loop().time()

    async def recv(self) -> av.AudioFrame:
        at = np.arange(960) + self._count * 960
        wave = (8_000 * np.sin(2 * np.pi * 440 * at / 48_000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, int(at[0]), Fraction(1, 48_000)
        self._count += 1
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._started + self._count * 0.02 - loop.time()))
        return frame


class Colours(MediaStreamTrack):
    """All of one grey that changes with each frame."""

    kind = "video"

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self._shape = height, width, 3
        self._count = 0
        self._started = asyncio.get_running_loop().time()

    async def recv(self) -> av.VideoFrame:
        picture = np.full(self._shape, self._count % 256, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture)
        frame.pts, frame.time_base = self._count * 90_000 // FPS, Fraction(1, 90_000)
        self._count += 1
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._started + self._count / FPS - loop.time()))
        return frame


async def connect(
    room: str, name: str, codec: str, tracks: list[str]
) -> tuple[Client, RTCPeerConnection]:
    """Publish; connected when this returns."""
    client = await Client.open()
    identity: dict[str, Any] = {"room": int(room)} if room.isdecimal() else {"room": room}
    if not room.isdecimal():
        identity["id"] = name
    await client.message(request="join", ptype="publisher", display=name, pin=PIN, **identity)
    # With another policy aiortc leaves the second m-line of a kind on a transport of its own.
    connection = RTCPeerConnection(RTCConfiguration(bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    known = RTCRtpSender.getCapabilities("video").codecs
    for track in tracks:
        media = Tone() if track == "audio" else Colours(*SIZES[track])
        transceiver = connection.addTransceiver(media)
        if track != "audio":
            transceiver.setCodecPreferences([one for one in known if codec in one.mimeType.lower()])
    await connection.setLocalDescription(await connection.createOffer())
    jsep = {"type": "offer", "sdp": connection.localDescription.sdp}
    codecs = {"audiocodec": "opus", "videocodec": codec}
    mids = (one.mid for one in connection.getTransceivers())
    described = [
        {"mid": mid, "description": f"my {track}"}
        for mid, track in zip(mids, tracks, strict=True)
        if track == "screen"
    ]
    said = await client.message(jsep, request="publish", descriptions=described, **codecs)
    await connection.setRemoteDescription(RTCSessionDescription(**said["jsep"]))
    async with asyncio.timeout(20):
        while connection.connectionState != "connected":
            await asyncio.sleep(0.02)
    return client, connection


def tell_requests(sender: RTCRtpSender) -> None:
    take = sender._handle_rtcp_packet  # noqa: SLF001 (aiortc counts no requests)

    async def told(packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_PLI:
            print(ASKED, time.monotonic(), flush=True)
        await take(packet)

    sender._handle_rtcp_packet = told  # type: ignore[method-assign]  # noqa: SLF001


async def publish(room: str, name: str, codec: str, tracks: list[str]) -> None:
    client, connection = await connect(room, name, codec, tracks)
    for sender in connection.getSenders():
        tell_requests(sender)
    print("published", flush=True)
    while True:
        await asyncio.sleep(KEEPALIVE)
        await client.keepalive()


if __name__ == "__main__":
    room, name, codec, *tracks = sys.argv[1:]
    asyncio.run(publish(room, name, codec, tracks))
