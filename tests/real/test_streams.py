"""Streams of real servers as rooms: nginx' RTMP with FFmpeg as publisher, GStreamer's RTSP."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from slicer.errors import RoomError
from slicer.media import ogg, picture
from slicer.rooms import backoff
from slicer.rooms.stream.settings import StreamSettings
from slicer.slicing.facts import RoomEntered, RoomLost, Stopped
from slicer.slicing.outputs import AudioCut, GroupFrames, PictureCut
from tests.harness.certificates import make_certificate
from tests.harness.media.content import Content, Encoding, Painter, find_beeps, read_frame_number
from tests.harness.media.slices import decode_ogg, mono
from tests.harness.rooms import nginx_rtmp as rtmp
from tests.harness.rooms import rtsp_server as rtsp
from tests.harness.rooms.streams import Robot, publishing, write_file
from tests.harness.rooms.tls_front import tls_front

FPS, RATE = 10, 48_000
CONTENT = Content(Painter(width=320, height=180, fps=FPS), seconds=6)


async def until(done: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.02)


def beeps(cut: AudioCut) -> list[float]:
    """The *now* of each beep in a slice, by the slice's name and its samples."""
    file = ogg.write(cut.packets, cut.start, cut.end)
    samples = np.asarray(mono(decode_ogg(file))).reshape(-1)
    return [cut.began + at for at in find_beeps(samples)]


def shown(robot: Robot) -> list[tuple[PictureCut, int]]:
    """The pictures, each with the number of the frame in it. One in the middle of a group needs the
    frames of the cuts before."""
    found, group = list[tuple[PictureCut, int]](), list[bytes]()
    for cut in robot.cuts:
        if not isinstance(cut, PictureCut | GroupFrames):
            continue
        group = [*([] if cut.first == 0 else group), *cut.frames]
        if isinstance(cut, PictureCut):
            pixels = picture.decode(cut.codec.name, group).to_ndarray(format="rgb24")
            number = read_frame_number(np.asarray(pixels, np.uint8))
            assert number is not None
            found.append((cut, number))
    return found


def check_times(robot: Robot, slack: float) -> None:
    """Slices of a second to the sample, and audio and pictures on one clock: a beep is heard when
    the first frame of its second is shown. Names may move by a packet of AAC, 21 ms, and the Opus
    that waits for the next one: what comes first has waited in the server, and is late."""
    lengths = [cut.end - cut.start for cut in robot.audio()]
    assert set(lengths[:-1]) == {RATE}
    heard = [at for cut in robot.audio() for at in beeps(cut)]
    assert len(heard) >= 3
    assert np.diff(heard) == pytest.approx(np.ones(len(heard) - 1), abs=0.045)
    pictures = shown(robot)
    assert len(pictures) >= 3
    seconds = [cut.began - number / FPS for cut, number in pictures]
    assert seconds == pytest.approx([seconds[-1]] * len(seconds), abs=0.045)
    apart = (heard[-1] - seconds[-1]) % 1.0
    assert min(apart, 1 - apart) < slack


@pytest.mark.skipif(bool(rtmp.missing()), reason=f"there is no {rtmp.missing()}")
async def test_a_published_stream_is_sliced_lost_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "FIRST", 0.5)
    file = write_file(tmp_path / "a.flv", CONTENT, Encoding("h264", "aac", gop=FPS))
    robot = Robot(StreamSettings(connect_timeout=8, silence=1))
    with rtmp.nginx_rtmp(tmp_path) as port:
        url = f"rtmp://127.0.0.1:{port}/live/ada"
        with publishing(file, url):
            await robot.enter(f"{url}#anchor=ada")
            await until(lambda: len(robot.audio()) >= 4)
        await until(lambda: bool(robot.facts(RoomLost)))
        check_times(robot, slack=0.06)
        first = len(robot.audio())
        with publishing(file, url):
            await until(lambda: len(robot.facts(RoomEntered)) == 2)
            await until(lambda: len(robot.audio()) >= first + 2)
        assert robot.connector is not None
        assert robot.connector.counters["no_parameter_sets"] == 0
        await robot.leave()
    assert {cut.track.anchor for cut in robot.audio()} == {"ada"}


@pytest.mark.skipif(bool(rtmp.missing()), reason=f"there is no {rtmp.missing()}")
async def test_nobody_publishes(tmp_path: Path) -> None:
    with rtmp.nginx_rtmp(tmp_path) as port:
        robot = Robot(StreamSettings(connect_timeout=1, silence=1))
        with pytest.raises(RoomError, match=r"no media within 1 s|nothing came in time"):
            await robot.enter(f"rtmp://127.0.0.1:{port}/live/nobody")
        await robot.leave()
    with rtmp.nginx_rtmp(tmp_path, "deny play all;") as port:
        with pytest.raises(RoomError, match=r"FFmpeg: |no media"):
            await robot.enter(f"rtmp://127.0.0.1:{port}/live/ada")
        await robot.leave()


@pytest.mark.skipif(bool(rtsp.missing()), reason=f"GStreamer lacks {rtsp.missing()}")
async def test_an_rtsp_server_is_sliced_undecoded(tmp_path: Path) -> None:
    file = write_file(tmp_path / "a.mkv", CONTENT, Encoding("h264", "opus", gop=FPS))
    robot = Robot()
    with rtsp.rtsp_server(file, "me", "hush") as port:
        with pytest.raises(RoomError, match=r"FFmpeg: .*401") as refused:
            await robot.enter(f"rtsp://me:wrong@127.0.0.1:{port}/ada")
        assert "wrong" not in str(refused.value)
        await robot.enter(f"rtsp://me:hush@127.0.0.1:{port}/ada#anchor=ada")
        await until(lambda: bool(robot.facts(Stopped)))  # the file has an end, and the SDP says so
    check_times(robot, slack=0.06)
    await robot.leave()


async def check_tls(
    robot: Robot, url: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose certificate nobody vouches for is refused; one of a known authority is not."""
    with pytest.raises(RoomError, match="FFmpeg: "):
        await robot.enter(url)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(RoomError, match="FFmpeg: "):
        await robot.enter(url.replace("127.0.0.1", "localhost"))  # it is another host's
    await robot.enter(url)
    await until(lambda: len(robot.audio()) >= 2 and len(robot.pictures()) >= 1)
    await robot.leave()


@pytest.mark.skipif(bool(rtmp.missing()), reason=f"there is no {rtmp.missing()}")
async def test_rtmps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_file(tmp_path / "a.flv", CONTENT, Encoding("h264", "aac", gop=FPS))
    certificate, key = make_certificate(tmp_path)
    with (
        rtmp.nginx_rtmp(tmp_path) as port,
        tls_front(certificate, key, port) as front,
        publishing(file, f"rtmp://127.0.0.1:{port}/live/ada"),
    ):
        await check_tls(Robot(), f"rtmps://127.0.0.1:{front}/live/ada", certificate, monkeypatch)


@pytest.mark.skipif(bool(rtsp.missing()), reason=f"GStreamer lacks {rtsp.missing()}")
async def test_rtsps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_file(tmp_path / "a.mkv", CONTENT, Encoding("h264", "opus", gop=FPS))
    certificate, key = make_certificate(tmp_path)
    with rtsp.rtsp_server(file) as port, tls_front(certificate, key, port) as front:
        await check_tls(Robot(), f"rtsps://127.0.0.1:{front}/ada", certificate, monkeypatch)
