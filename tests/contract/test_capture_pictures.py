"""From a capture and its .sdp to pictures: what the description alone tells is taken from it."""

import asyncio
import base64
import struct
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from slicer.clock import LoopClock
from slicer.media.decoder import GroupDecoder
from slicer.media.slice import SliceInfo, make
from slicer.rooms import Context, at_once
from slicer.rooms.replay.room import ReplayConnector
from slicer.rtp.parameters import ORIENTATION
from slicer.slicing.facts import Fact, Stopped, TrackPublished
from slicer.slicing.outputs import PictureCut, Subscribe, TrackKey, TrackOutput
from slicer.slicing.spec import VideoSpec
from tests.harness.media.encoder import encode_pictures, read_image
from tests.harness.media.picture import Painter, Rgb, read_frame_number
from tests.harness.rooms.captures import rtpdump
from tests.harness.rtp.packetize import Sender, annexb

FPS, TICKS, SECONDS = 5, 18_000, 3
HEAD = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\nm=video 5004 RTP/AVP 96\n"
PAINTER = Painter(width=320, height=180, fps=FPS)


async def pictures(path: Path, sdp: str, packets: list[tuple[float, bytes]]) -> list[Rgb]:
    """What a task makes of a capture: a picture every second."""
    path.write_bytes(rtpdump(*packets, began=1_736_174_000.0))
    path.with_suffix(".sdp").write_text(HEAD + sdp)
    told: list[Fact | TrackOutput] = []
    rooms = ReplayConnector(Context(LoopClock(), pace=at_once))

    def listen(one: Fact | TrackOutput) -> None:
        told.append(one)
        if isinstance(one, TrackPublished):
            room.subscribe(Subscribe(TrackKey("task", one.anchor, one.kind), VideoSpec(1)))

    room = await rooms.open(urlsplit(f"replay://{path}?speed=max"), "robot", listen)
    await room.enter()
    async with asyncio.timeout(20):
        while not any(isinstance(one, Stopped) for one in told):
            await asyncio.sleep(0.01)
    await rooms.close()
    images, decoder = [], GroupDecoder("vp8")
    for cut in told:
        if isinstance(cut, PictureCut):
            decoder = decoder if cut.first else GroupDecoder(cut.codec.name)
            info = SliceInfo("k", cut.track, datetime(2026, 1, 1, tzinfo=UTC))
            images.append(read_image(make(cut, info, decoder=decoder).data))
    return images


@pytest.mark.parametrize("orientation", [0, 1, 2, 3])
async def test_pictures_are_turned_as_the_capture_says(tmp_path: Path, orientation: int) -> None:
    """A camera that is held askew: its frames are drawn turned the other way."""
    drawn = [PAINTER.draw(number) for number in range(SECONDS * FPS)]
    askew = [np.ascontiguousarray(np.rot90(one, orientation)) for one in drawn]
    extension = struct.pack("!HHBBH", 0xBEDE, 1, 5 << 4, orientation, 0)
    sender = Sender("vp8")
    packets = [
        (number / FPS, one)
        for number, unit in enumerate(encode_pictures("vp8", askew))
        for one in sender.send(unit, number * TICKS, extension)
    ]
    sdp = f"a=rtpmap:96 VP8/90000\na=extmap:5 {ORIENTATION}\n"
    found = await pictures(tmp_path / "call.rtpdump", sdp, packets)
    assert [one.shape for one in found] == [(180, 320, 3)] * SECONDS
    assert [read_frame_number(one) for one in found] == [n * FPS for n in range(SECONDS)]


async def test_parameter_sets_of_the_description_alone_give_the_first_picture(
    tmp_path: Path,
) -> None:
    """RFC 6184 8.1, sprop-parameter-sets: none is in the packets."""
    drawn = [PAINTER.draw(number) for number in range(SECONDS * FPS)]
    units = [annexb(unit) for unit in encode_pictures("h264", drawn)]
    sets = {nal for unit in units for nal in unit if nal[0] & 31 in {7, 8}}
    assert len(sets) == 2
    sender = Sender("h264")
    packets = [
        (number / FPS, one)
        for number, unit in enumerate(units)
        for one in sender.send(
            b"".join(b"\0\0\0\1" + nal for nal in unit if nal not in sets), number * TICKS
        )
    ]
    told = ",".join(base64.b64encode(nal).decode() for nal in sorted(sets, key=lambda n: n[0] & 31))
    sdp = f"a=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={told}\n"
    found = await pictures(tmp_path / "call.rtpdump", sdp, packets)
    assert [read_frame_number(one) for one in found] == [n * FPS for n in range(SECONDS)]
    assert await pictures(tmp_path / "none.rtpdump", "a=rtpmap:96 H264/90000\n", packets) == []
