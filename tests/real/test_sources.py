"""Sources that are unusual, each through a WHIP session of its own: what is cut of them is whole.

RTP of the test's own goes over aiortc's ICE, DTLS and SRTP, in real time, and the offers say what
such senders' offers say.
"""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import httpx
import pytest_asyncio
from aiortc import MediaStreamTrack, RTCRtpSender
from av import AudioFrame, VideoFrame

from slicer.clock import LoopClock
from slicer.media import picture
from slicer.rooms import Context
from slicer.rooms.whip.room import WhipConnector
from slicer.slicing.outputs import AudioCut, PictureCut
from slicer.slicing.spec import ImageFormat
from tests.harness.media.encoder import encode_pictures, read_image
from tests.harness.media.picture import Painter, read_frame_number
from tests.harness.rooms.robot import ROOM, Robot
from tests.harness.rooms.whip_client import Peer
from tests.harness.rtp.call import datagram, heard, opus
from tests.harness.rtp.packetize import annexb, payloads

FPS, GROUP, SECONDS = 25, 5, 4
"""Frames a second, and from one keyframe to the next; how long each source sends."""
VIDEO_TICKS, AUDIO_TICKS, PACKETS = 90_000 // FPS, 960, 50

Timed = tuple[float, bytes]
"""Seconds from the beginning, and an RTP packet."""


class Silent(MediaStreamTrack):
    """A track of which aiortc sends nothing."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    async def recv(self) -> AudioFrame | VideoFrame:
        await asyncio.Event().wait()
        raise AssertionError


def encode(codec: str, height: int = 180) -> list[bytes]:
    """Frames that show their numbers, each GROUP of them from a keyframe on."""
    painter = Painter(width=height * 16 // 9, height=height)
    drawn = [painter.draw(number) for number in range(SECONDS * FPS)]
    groups = range(0, len(drawn), GROUP)
    return [unit for at in groups for unit in encode_pictures(codec, drawn[at : at + GROUP])]


def video(codec: str, frames: list[bytes], payload_type: int, ssrc: int) -> Iterator[Timed]:
    """Each frame as it is sent."""
    sequence = 0
    for number, frame in enumerate(frames):
        parts = payloads(codec, frame, picture=number)
        for part in parts:
            marker, timestamp = part is parts[-1], number * VIDEO_TICKS
            yield (
                number / FPS,
                datagram(part, sequence, timestamp, ssrc, payload_type, marker),
            )
            sequence += 1


def is_set(unit: bytes) -> bool:
    """Whether a NAL unit is an SPS or a PPS."""
    return unit[0] & 31 in {7, 8}


@dataclass
class Bare:
    """H.264 whose parameter sets are in the offer alone, as hardware encoders do it."""

    codec = "video/H264"

    def __post_init__(self) -> None:
        self.frames = encode("h264")
        self.sets = [unit for unit in annexb(self.frames[0]) if is_set(unit)]

    def offer(self, sdp: str) -> str:
        told = ",".join(base64.b64encode(one).decode() for one in self.sets)
        return re.sub(r"(packetization-mode=1)", rf"\1;sprop-parameter-sets={told}", sdp)

    def packets(self, payload_type: int) -> Iterator[Timed]:
        stripped = [
            b"".join(b"\0\0\0\1" + unit for unit in annexb(frame) if not is_set(unit))
            for frame in self.frames
        ]
        return video("h264", stripped, payload_type, 1)


@dataclass
class Layers:
    """Three layers of simulcast in one m-line by their SSRCs, no RID agreed on: what pages get who
    write `a=ssrc-group:SIM` into their offers."""

    codec = "video/VP8"

    def offer(self, sdp: str) -> str:
        lines = "a=ssrc-group:SIM 1 2 3\r\n"
        lines += "".join(f"a=ssrc:{ssrc} cname:x\r\n" for ssrc in (1, 2, 3))
        return re.sub(r"(a=ssrc.*\r\n)+", lines, sdp)

    def packets(self, payload_type: int) -> Iterator[Timed]:
        sent = [
            timed
            for ssrc, height in ((1, 180), (2, 270), (3, 360))
            for timed in video("vp8", encode("vp8", height), payload_type, ssrc)
        ]
        return iter(sorted(sent, key=lambda timed: timed[0]))


@dataclass
class Returning:
    """Opus of one SSRC, then of another, then of the first again, on one clock; no packet lost."""

    codec = "audio/opus"

    def offer(self, sdp: str) -> str:
        return re.sub(r"(a=ssrc.*\r\n)+", "", sdp)

    def packets(self, payload_type: int) -> Iterator[Timed]:
        sequences = {1: 60_000, 2: 7}
        for number in range(SECONDS * PACKETS):
            ssrc = 2 if PACKETS <= number < 2 * PACKETS else 1
            packet = datagram(
                opus(number), sequences[ssrc], number * AUDIO_TICKS, ssrc, payload_type
            )
            sequences[ssrc] += 1
            yield number / PACKETS, packet


SOURCES: dict[str, Bare | Layers | Returning] = {
    "bare": Bare(),
    "layers": Layers(),
    "returning": Returning(),
}


async def publish(url: str, source: Bare | Layers | Returning) -> None:
    """From the offer to the last packet."""
    kind = source.codec.partition("/")[0]
    peer = Peer()
    peer.connection.addTrack(Silent(kind))
    known = RTCRtpSender.getCapabilities(kind).codecs
    peer.connection.getTransceivers()[0].setCodecPreferences(
        [codec for codec in known if codec.mimeType == source.codec]
    )
    offer = source.offer(await peer.offer([]))
    async with httpx.AsyncClient() as client:
        headers = {"Content-Type": "application/sdp"}
        answer = await client.post(url, content=offer, headers=headers)
    assert answer.status_code == 201
    await peer.accept(answer.text)
    found = re.search(rf"a=rtpmap:(\d+) {source.codec.partition('/')[2]}/", answer.text, re.I)
    assert found
    await until(lambda: peer.connection.connectionState == "connected")
    began = asyncio.get_running_loop().time()
    transport = peer.connection.getSenders()[0].transport
    for when, packet in source.packets(int(found[1])):
        await asyncio.sleep(began + when - asyncio.get_running_loop().time())
        await transport._send_rtp(packet)  # noqa: SLF001 (aiortc has no verb for it)
    await peer.close()


async def until(done: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not done():
            await asyncio.sleep(0.01)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def robot() -> AsyncIterator[Robot]:
    """What it has cut of all of them."""
    made = Robot(WhipConnector(Context(LoopClock())))
    await made.enter()
    at = made.rooms.endpoint(ROOM)
    await asyncio.gather(*(publish(f"{at}/{name}", one) for name, one in SOURCES.items()))
    await until(lambda: sum("AnchorLeft" in type(one).__name__ for one in made.told) == 3)
    yield made
    await made.rooms.close()


def shown(robot: Robot, anchor: str) -> list[tuple[tuple[int, int], int | None]]:
    """Size and frame number of each picture."""
    found = []
    for cut in robot.cuts(PictureCut):
        if isinstance(cut, PictureCut) and cut.track.anchor == anchor:
            made = picture.write(cut.codec.name, cut.frames, ImageFormat.PNG)
            number = read_frame_number(read_image(made.data))
            found.append(((made.width, made.height), number))
    return found


def test_parameter_sets_of_the_offer_alone_cost_no_keyframe(robot: Robot) -> None:
    found = shown(robot, "bare")
    print(found)
    assert {size for size, _ in found} == {(320, 180)}
    numbers = [number for _, number in found if number is not None]
    assert numbers[0] == 0
    assert len(numbers) == len(found) == SECONDS
    assert all(0 <= number - due * FPS <= GROUP for due, number in enumerate(numbers))


def test_layers_that_nobody_agreed_on_make_a_frame_one_picture(robot: Robot) -> None:
    found = shown(robot, "layers")
    print(found)
    assert len({size for size, _ in found}) == 1
    numbers = [number for _, number in found if number is not None]
    assert len(numbers) == len(found) == SECONDS
    assert all(FPS - GROUP <= after - before <= FPS + GROUP for before, after in pairwise(numbers))
    assert robot.rooms.counters["parallel_ssrc"] > 100


def test_an_ssrc_that_comes_back_loses_no_audio(robot: Robot) -> None:
    cuts = [cut for cut in robot.cuts(AudioCut) if isinstance(cut, AudioCut)]
    assert heard(cuts) == list(range(SECONDS * PACKETS))
    assert robot.rooms.counters["ssrc_changed"] == 2
