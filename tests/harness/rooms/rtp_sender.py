"""A sender of plain RTP or SRTP on loopback, as the tests direct it."""

import asyncio
import base64
import socket
from collections.abc import Callable, Sequence
from urllib.parse import quote

from slicer.clock import LoopClock
from slicer.rooms import Context, parse_room
from slicer.rooms.frames import EncodedFrame, FrameTrack
from slicer.rooms.rtp.room import RtpConnector, RtpRoom
from slicer.rooms.rtp.settings import RtpSettings
from slicer.rtp import rtcp
from slicer.rtp.parameters import H264, OPUS, Kind, Role
from slicer.slicing.facts import Fact, TrackPublished
from slicer.slicing.outputs import (
    AudioCut,
    GroupFrames,
    PictureCut,
    PictureMissing,
    Settled,
    Subscribe,
    TrackKey,
    TrackOutput,
)
from slicer.slicing.spec import AudioSpec, VideoSpec

TYPES = "audio=96:opus&video=97:h264"
"""What a FrameTrack sends its packets as."""


def free_ports(count: int = 1) -> list[int]:
    """Ports of loopback, each with its next one free as well."""
    found: list[int] = []
    held: list[socket.socket] = []
    while len(found) < count:
        pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        held += pair
        pair[0].bind(("127.0.0.1", 0))
        port = int(pair[0].getsockname()[1])
        try:
            pair[1].bind(("127.0.0.1", port + 1))
        except (OSError, OverflowError):
            continue
        found.append(port)
    for one in held:
        one.close()
    return found


def option(key: bytes) -> str:
    """A key and salt as the URL's option has it."""
    return quote(base64.b64encode(key).decode(), safe="")


class Sender:
    """One source address; *protect* makes SRTP of what it sends."""

    def __init__(
        self, host: str = "127.0.0.1", protect: Callable[[bytes], bytes] | None = None
    ) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((host, 0))
        self.sock.setblocking(False)
        self.audio = FrameTrack((Kind.AUDIO, Role.MAIN), OPUS)
        self.video = FrameTrack((Kind.VIDEO, Role.MAIN), H264)
        self._protect = protect

    def send(self, datagrams: Sequence[bytes], port: int) -> None:
        for datagram in datagrams:
            data = datagram if self._protect is None else self._protect(datagram)
            self.sock.sendto(data, ("127.0.0.1", port))

    def talk(self, port: int, first: int, count: int, control: int | None = None) -> None:
        """Packets of 20 ms; reports go to *control*, or the same port."""
        for number in range(first, first + count):
            frame = EncodedFrame(Kind.AUDIO, number * 960, b"\xfc\xff\xfe" + bytes([number % 256]))
            for datagram in self.audio.packets(frame):
                report = rtcp.is_rtcp(datagram) and control is not None
                self.send([datagram], control if report and control is not None else port)

    def received(self) -> list[bytes]:
        """What has come back."""
        found = []
        while True:
            try:
                found.append(self.sock.recv(2048))
            except BlockingIOError:
                return found

    def close(self) -> None:
        self.sock.close()


class Robot:
    """What a task does in an RTP room."""

    def __init__(self, settings: RtpSettings | None = None) -> None:
        self.connector = RtpConnector(Context(LoopClock(), rtp=settings or RtpSettings()))
        self.told: list[Fact] = []
        self.cuts: list[TrackOutput] = []
        self.room: RtpRoom

    async def enter(self, url: str) -> None:
        self.room = await self.connector.open(parse_room(url), "robot", self._listen)
        await self.room.enter()

    async def until(self, done: Callable[[], bool], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not done():
                await asyncio.sleep(0.01)

    def audio(self) -> list[AudioCut]:
        return [cut for cut in self.cuts if isinstance(cut, AudioCut)]

    def pictures(self) -> list[PictureCut]:
        return [cut for cut in self.cuts if isinstance(cut, PictureCut)]

    def _listen(self, event: Fact | TrackOutput) -> None:
        if isinstance(event, AudioCut | PictureCut | GroupFrames | PictureMissing | Settled):
            self.cuts.append(event)
            return
        self.told.append(event)
        if isinstance(event, TrackPublished):
            spec = AudioSpec(1, 3.0) if event.kind is Kind.AUDIO else VideoSpec(1, 3.0)
            self.room.subscribe(Subscribe(TrackKey("t", event.anchor, event.kind), spec))
