"""Plain RTP and SRTP of real senders: FFmpeg, with its own SDP, and GStreamer's rtpbin."""

import asyncio
import base64
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from slicer.media import picture
from slicer.rooms.rtp.room import ENCRYPTED
from slicer.rooms.rtp.settings import RtpSettings
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorLeft
from slicer.slicing.outputs import TrackRefused
from tests.harness.media.content import Content, Encoding, Painter
from tests.harness.rooms import rtpbin
from tests.harness.rooms.rtp_sender import Robot, free_ports
from tests.harness.rooms.streams import write_file

CONTENT = Content(Painter(width=320, height=180, fps=10), seconds=4)
KEY = base64.b64encode(bytes(range(30))).decode()


@contextlib.asynccontextmanager
async def sending(file: Path, *outputs: str) -> AsyncIterator[None]:
    """FFmpeg sends a file in real time, nothing encoded, until the context ends."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-re", "-i", str(file), *outputs]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def output(kind: str, url: str, *options: str) -> list[str]:
    return ["-map", f"0:{kind}", "-c", "copy", *options, "-f", "rtp", url]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="there is no ffmpeg")
async def test_ffmpeg_sends_to_two_ports_until_it_ends(tmp_path: Path) -> None:
    file = write_file(tmp_path / "a.mkv", CONTENT, Encoding("vp8", "opus", gop=10))
    audio, video = free_ports(2)
    robot = Robot(RtpSettings(silence=1))
    types = "audio=97:opus&video=96:vp8"
    await robot.enter(f"rtp://127.0.0.1:{audio}?{types}&video_port={video}&anchor=ada")
    outputs = [
        *output("a", f"rtp://127.0.0.1:{audio}"),
        *output("v", f"rtp://127.0.0.1:{video}"),
    ]
    async with sending(file, *outputs):
        await robot.until(lambda: AnchorLeft("ada", "nothing received for 1 s") in robot.told)
    assert {cut.end - cut.start for cut in robot.audio()[:-1]} == {48_000}
    assert sum(cut.end - cut.start for cut in robot.audio()) == pytest.approx(4 * 48_000, abs=4800)
    assert len(robot.pictures()) >= 3
    # FFmpeg's reports tell the clock of both: what is shown and heard at once has one name.
    zeros = [cut.began - cut.start / 48_000 for cut in robot.audio()[1:]]
    assert zeros == pytest.approx([zeros[0]] * len(zeros), abs=0.02)
    assert robot.connector.counters["report_disbelieved"] == 0
    assert robot.connector.counters["foreign_source"] == 0
    await robot.room.leave()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="there is no ffmpeg")
async def test_ffmpegs_own_description_opens_its_srtp(tmp_path: Path) -> None:
    """Keys, ports and parameter sets are in its SDP alone: its packets have no SPS."""
    file = write_file(tmp_path / "a.mkv", CONTENT, Encoding("h264", "opus", gop=10))
    audio, video = free_ports(2)
    path = tmp_path / "session.sdp"
    crypto = ("-srtp_out_suite", "AES_CM_128_HMAC_SHA1_80", "-srtp_out_params", KEY)
    outputs = [
        *output("a", f"srtp://127.0.0.1:{audio}", *crypto),
        *output("v", f"srtp://127.0.0.1:{video}", *crypto),
        *("-sdp_file", str(path)),
    ]
    robot = Robot()
    async with sending(file, *outputs):
        await robot.until(lambda: path.exists() and "m=video" in path.read_text())
        assert "a=crypto" in path.read_text()
        await robot.enter(f"rtp://{path}?anchor=ada")
        await robot.until(lambda: len(robot.audio()) >= 2 and len(robot.pictures()) >= 2)
    first = next(cut for cut in robot.pictures() if cut.first == 0)
    assert picture.decode("h264", first.frames).width == 320
    assert {cut.end - cut.start for cut in robot.audio()} == {48_000}
    assert robot.connector.counters["srtp_authentication"] == 0
    await robot.room.leave()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="there is no ffmpeg")
async def test_ffmpegs_srtp_without_its_key_is_refused(tmp_path: Path) -> None:
    content = replace(CONTENT, seconds=10)  # of video, it takes 64 packets to tell
    file = write_file(tmp_path / "a.mkv", content, Encoding("h264", "opus", gop=10))
    audio, video = free_ports(2)
    crypto = ("-srtp_out_suite", "AES_CM_128_HMAC_SHA1_80", "-srtp_out_params", KEY)
    outputs = [
        *output("a", f"srtp://127.0.0.1:{audio}", *crypto),
        *output("v", f"srtp://127.0.0.1:{video}", *crypto),
    ]
    robot = Robot()
    types = "audio=97:opus&video=96:h264"
    await robot.enter(f"rtp://127.0.0.1:{audio}?{types}&video_port={video}&anchor=ada")

    def refused() -> list[TrackRefused]:
        return [one for one in robot.told if isinstance(one, TrackRefused)]

    async with sending(file, *outputs):
        await robot.until(lambda: len(refused()) == 2)
        counted = robot.connector.counters["encrypted"]
        await robot.until(lambda: robot.connector.counters["encrypted"] > counted + 50)
    assert refused() == [TrackRefused("ada", kind, ENCRYPTED) for kind in Kind]
    assert robot.cuts == []
    await robot.room.leave()


@pytest.mark.skipif(bool(rtpbin.missing()), reason=f"GStreamer lacks {rtpbin.missing()}")
async def test_gstreamer_answers_requests_for_keyframes() -> None:
    """It sends one keyframe by itself, so each further picture was asked for."""
    audio, video, source = free_ports(3)
    robot = Robot()
    url = f"rtp://127.0.0.1:{audio}?audio=96:opus&video=97:vp8&video_port={video}&anchor=ada"
    await robot.enter(url)
    with rtpbin.rtpbin(audio, video, source):
        await robot.until(lambda: len(robot.pictures()) >= 4 and len(robot.audio()) >= 3)
    pictures = robot.pictures()[:4]
    assert [(cut.first, len(cut.frames)) for cut in pictures] == [(0, 1)] * 4
    assert len({cut.keyframe for cut in pictures}) == 4
    assert {cut.end - cut.start for cut in robot.audio()} == {48_000}
    spoken = robot.audio()[1]
    assert spoken.track.kind is Kind.AUDIO
    await robot.room.leave()
