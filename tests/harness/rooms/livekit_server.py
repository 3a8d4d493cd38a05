"""A LiveKit server for a test, and publishers in it by LiveKit's own SDK."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt
import numpy as np
from livekit import rtc

from tests.harness.rooms.server_process import free_ports, program, running

KEY, SECRET = "devkey", "a-secret-of-thirty-two-characters"
RATE, FPS = 48_000, 20
WIDTH, HEIGHT = 320, 180
LAYERED = 960, 544
"""Width and height that libwebrtc makes three spatial layers of."""
CONFIGURATION = f"""
port: {{http}}
bind_addresses: [127.0.0.1]
rtc:
  udp_port: {{udp}}
  tcp_port: 0
  enable_loopback_candidate: true
  node_ip: 127.0.0.1
  use_ice_lite: true
  interfaces: {{{{includes: [lo]}}}}
keys: {{{{{KEY}: {SECRET}}}}}
logging: {{{{level: debug, pion_level: error}}}}
"""


def token(identity: str, room: str = "lobby", **grants: object) -> str:
    """An access token for one who may do everything in this room."""
    video = {"room": room, "roomJoin": True, "roomAdmin": True, "roomCreate": True, **grants}
    now = int(time.time())
    claims = {"iss": KEY, "sub": identity, "nbf": now - 60, "exp": now + 600, "video": video}
    return jwt.encode(claims, SECRET, algorithm="HS256")


@dataclass
class LiveKitServer:
    """Where it runs, and how."""

    folder: Path
    http: int
    udp: int
    arguments: list[str] = field(default_factory=list)

    @classmethod
    def make(cls, folder: Path) -> "LiveKitServer":
        """Skips the test where the program is not at hand."""
        http, udp = free_ports(2)
        server = cls(folder, http, udp)
        configuration = folder / "livekit.yaml"
        configuration.write_text(CONFIGURATION.format(http=server.http, udp=server.udp))
        server.arguments = [program("livekit-server"), "--config", str(configuration)]
        return server

    def run(self) -> "contextlib.AbstractAsyncContextManager[int]":
        return running(self.arguments, self.http, self.folder / "log")

    def url(self, options: str = f"key={KEY}&secret={SECRET}") -> str:
        return f"livekit://127.0.0.1:{self.http}/lobby?{options}"

    async def ask(self, method: str, **fields: object) -> dict[str, Any]:
        """Call the server's API of rooms."""
        headers = {"Authorization": f"Bearer {token('admin', roomList=True)}"}
        url = f"http://127.0.0.1:{self.http}/twirp/livekit.RoomService/{method}"
        async with httpx.AsyncClient() as client:
            answer = await client.post(url, json=fields, headers=headers)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@contextlib.asynccontextmanager
async def publisher(
    url: str, identity: str, video: bool = True, layered: bool = False
) -> AsyncIterator[rtc.Room]:
    """LiveKit's SDK publishes a tone, and pictures of noise; *layered*: in VP9 with three spatial
    layers."""
    room = rtc.Room()
    await room.connect(url, token(identity), rtc.RoomOptions(auto_subscribe=False))
    audio_source = rtc.AudioSource(RATE, 1)
    sending = [asyncio.create_task(_tone(audio_source))]
    audio = rtc.LocalAudioTrack.create_audio_track("voice", audio_source)
    microphone = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    await room.local_participant.publish_track(audio, microphone)
    if video:
        width, height = LAYERED if layered else (WIDTH, HEIGHT)
        video_source = rtc.VideoSource(width, height)
        sending.append(asyncio.create_task(_noise(video_source, width, height)))
        pictures = rtc.LocalVideoTrack.create_video_track("face", video_source)
        camera = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            simulcast=layered,
            video_codec=rtc.VideoCodec.VP9 if layered else rtc.VideoCodec.VP8,
        )
        await room.local_participant.publish_track(pictures, camera)
    try:
        yield room
    finally:
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        await room.disconnect()


async def _tone(source: rtc.AudioSource) -> None:
    sent = 0
    while True:
        phase = np.arange(sent, sent + 480) * (2 * np.pi * 440 / RATE)
        samples = (np.sin(phase) * 8000).astype(np.int16)
        await source.capture_frame(rtc.AudioFrame(samples.tobytes(), RATE, 1, 480))
        sent += 480


async def _noise(source: rtc.VideoSource, width: int, height: int) -> None:
    number = 0
    while True:
        picture = np.random.default_rng(number).integers(0, 256, (height, width, 4), np.uint8)
        frame = rtc.VideoFrame(width, height, rtc.VideoBufferType.RGBA, picture.tobytes())
        source.capture_frame(frame)
        number += 1
        await asyncio.sleep(1 / FPS)
