"""The thread that reads a stream: its queue, its pace, and that it says nothing once stopped."""

import asyncio
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from slicer.rooms import parse_room
from slicer.rooms.frames import EncodedFrame
from slicer.rooms.stream import reader as module
from slicer.rooms.stream.address import StreamAddress
from slicer.rooms.stream.reader import Reader, ReaderEvents
from slicer.rooms.stream.settings import StreamSettings
from slicer.rooms.stream.tracks import Tracks
from tests.harness.media.content import Content, Encoding, Painter
from tests.harness.rooms.streams import of_folder, served, silent_server, write_file

BRIEF = Content(Painter(width=160, height=96, fps=10), seconds=2)


class Heard:
    """What a reader tells."""

    def __init__(self) -> None:
        self.tracks: Tracks | None = None
        self.finite = False
        self.frames: list[EncodedFrame] = []
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.takes = 0

    def events(self) -> ReaderEvents:
        return ReaderEvents(self._opened, self._frames, self.ended.set_result)

    def _opened(self, tracks: Tracks, finite: bool) -> None:
        self.tracks, self.finite = tracks, finite

    def _frames(self, frames: Sequence[EncodedFrame]) -> None:
        self.frames += frames
        self.takes += 1


def reader(port: int, path: str, heard: Heard) -> Reader:
    address = StreamAddress.parse(parse_room(f"flv://127.0.0.1:{port}/{path}"))
    return Reader(address, StreamSettings(connect_timeout=5, silence=5), heard.events())


async def test_all_frames_come_before_the_end(tmp_path: Path) -> None:
    write_file(tmp_path / "a.flv", BRIEF, Encoding("h264", None), flvflags="no_duration_filesize")
    heard = Heard()
    with served(of_folder(tmp_path)) as site:
        reading = reader(site.port, "a.flv", heard)
        reading.start()
        assert await heard.ended == "the stream ended"
    assert heard.tracks is not None
    assert not heard.finite
    assert len(heard.frames) == BRIEF.frames
    reading.stop()


async def test_a_loop_that_does_not_keep_up_holds_the_stream_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_QUEUED", 1)
    write_file(tmp_path / "a.flv", BRIEF, Encoding("h264", None), flvflags="no_duration_filesize")
    heard = Heard()
    with served(of_folder(tmp_path)) as site:
        reading = reader(site.port, "a.flv", heard)
        reading.start()
        time.sleep(0.3)
        assert await heard.ended == "the stream ended"
    assert len(heard.frames) == BRIEF.frames
    assert reading.counters["stream_held_up"] > 0
    assert heard.takes > BRIEF.frames / 3
    reading.stop()


async def no_thread() -> None:
    """Until no reader has one any more."""
    async with asyncio.timeout(10):
        while any(one.name == "slicer_stream" for one in threading.enumerate()):
            await asyncio.sleep(0.01)


async def test_a_recording_is_paced_and_stops_at_once(tmp_path: Path) -> None:
    write_file(tmp_path / "a.flv", BRIEF, Encoding("h264", None))
    heard = Heard()
    with served(of_folder(tmp_path)) as site:
        reading = reader(site.port, "a.flv", heard)
        reading.start()
        async with asyncio.timeout(5):
            while not heard.frames:
                await asyncio.sleep(0.01)
        reading.stop()
        reading.stop()
        taken = len(heard.frames)
        await no_thread()
    assert heard.finite
    assert taken < BRIEF.frames / 2
    await asyncio.sleep(0)
    assert len(heard.frames) == taken
    assert not heard.ended.done()


async def test_a_defect_ends_the_stream_and_not_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Tracks:
        raise KeyError("no such thing")

    monkeypatch.setattr(module, "find_tracks", fail)
    write_file(tmp_path / "a.flv", BRIEF, Encoding(None, "aac"))
    heard = Heard()
    with served(of_folder(tmp_path)) as site:
        reader(site.port, "a.flv", heard).start()
        assert await heard.ended == "it cannot be read (KeyError)"


async def test_a_loop_that_is_closed_hears_nothing(tmp_path: Path) -> None:
    write_file(tmp_path / "a.flv", BRIEF, Encoding(None, "aac"))
    made: list[Reader] = []

    async def begin() -> None:
        made.append(reader(site.port, "a.flv", Heard()))

    with served(of_folder(tmp_path)) as site:
        thread = threading.Thread(target=lambda: asyncio.run(begin()))
        thread.start()
        await asyncio.to_thread(thread.join)
        made[0].start()
        await no_thread()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("flv://127.0.0.1:{port}/only-vp9.flv", "nothing in the stream can be taken (video: vp9"),
        ("flv://127.0.0.1:{port}/none.flv", "HTTP 404 Not Found"),
        ("hls://127.0.0.1:{port}/none.m3u8", "HTTP 404 Not Found"),
        ("rtmp://127.0.0.1:1/live/ada?key=hush", "FFmpeg: Connection refused"),
        ("rtsp://127.0.0.1:{silent}/ada", "nothing came in time"),
    ],
)
async def test_what_cannot_be_opened_ends_with_its_reason(
    tmp_path: Path, url: str, says: str
) -> None:
    write_file(tmp_path / "only-vp9.flv", BRIEF, Encoding("vp9", None))
    heard = Heard()
    with served(of_folder(tmp_path)) as site, silent_server() as silent:
        split = parse_room(url.format(port=site.port, silent=silent))
        settings = StreamSettings(connect_timeout=1, silence=1)
        reading = Reader(StreamAddress.parse(split), settings, heard.events())
        reading.start()
        reason = await heard.ended
    assert reason.startswith(says)
    assert "hush" not in reason
    assert heard.tracks is None
    assert reading.refusal == ("HTTP 404 Not Found" if "404" in says else "")


ENDS_AT_ONCE = """
import asyncio, atexit, threading
atexit.register(lambda: print([each.name for each in threading.enumerate()]))  # called last
from slicer.rooms import parse_room
from slicer.rooms.stream.address import StreamAddress
from slicer.rooms.stream.reader import Reader, ReaderEvents
from slicer.rooms.stream.settings import StreamSettings

async def main():
    heard = asyncio.Event()
    events = ReaderEvents(lambda *_: None, lambda _: heard.set(), lambda _: None)
    address = StreamAddress.parse(parse_room("flv://127.0.0.1:{port}/a.flv"))
    reader = Reader(address, StreamSettings(), events)
    reader.start()
    await heard.wait()
    {leave}

asyncio.run(main())
"""


@pytest.mark.parametrize("leave", ["reader.stop()", "pass"])
async def test_a_process_that_ends_has_no_thread_in_ffmpeg(tmp_path: Path, leave: str) -> None:
    """One that came out of there into an interpreter that was gone crashed it."""
    content = Content(Painter(width=160, height=96, fps=10), seconds=20)
    write_file(tmp_path / "a.flv", content, Encoding("h264", "aac"))
    with served(of_folder(tmp_path)) as site:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ENDS_AT_ONCE.format(port=site.port, leave=leave)),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            said, _ = await process.communicate()
    assert (said.decode().strip(), process.returncode) == ("['MainThread']", 0)
