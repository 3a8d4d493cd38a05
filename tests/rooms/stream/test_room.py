"""Streams as rooms, over HTTP on loopback: what is told, cut and refused, and how they end."""

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from slicer.clock import LoopClock
from slicer.errors import BadInput, RoomError
from slicer.rooms import Context, backoff, parse_room
from slicer.rooms.stream import room as module
from slicer.rooms.stream.reader import ReaderEvents
from slicer.rooms.stream.room import StreamConnector
from slicer.rooms.stream.settings import StreamSettings
from slicer.rooms.stream.tracks import Tracks
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Fact,
    RoomEntered,
    RoomLost,
    Stopped,
    TrackPublished,
)
from slicer.slicing.outputs import EndReason, Subscribe, TrackKey, TrackRefused
from slicer.slicing.spec import AudioSpec
from tests.harness.media.content import Content, Encoding, Painter
from tests.harness.rooms.streams import (
    Answer,
    Robot,
    of_folder,
    served,
    silent_server,
    write_file,
    write_hls,
)

BRIEF = Content(Painter(width=160, height=96, fps=10), seconds=2)
LIVE = {"flvflags": "no_duration_filesize"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording in segments, one in a file, and what a live server would send."""
    made = tmp_path_factory.mktemp("streams")
    write_hls(made, BRIEF)
    (made / "mp4").mkdir()
    write_hls(made / "mp4", BRIEF, fragmented=True)
    write_file(made / "live.flv", BRIEF, None, **LIVE)
    write_file(made / "audio.flv", BRIEF, Encoding(None, "aac"), **LIVE)
    write_file(made / "vp9.flv", BRIEF, Encoding("vp9", "aac"), **LIVE)
    write_file(made / "only-vp9.flv", BRIEF, Encoding("vp9", None), **LIVE)
    (made / "text.flv").write_text("this is no FLV" * 1000)
    (made / "empty.flv").write_bytes(b"")
    away = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://169.254.169.254/0.ts\n"
    (made / "away.m3u8").write_text(away)
    (made / "file.m3u8").write_text(away.replace("http://169.254.169.254", "file:///etc"))
    return made


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    with served(of_folder(folder)) as site:
        yield site.port


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST", 0.1)


async def told(robot: Robot, kind: type[Fact], count: int = 1) -> None:
    """Until the robot was told so many facts of this kind."""
    async with asyncio.timeout(10):
        while len(robot.facts(kind)) < count:
            await asyncio.sleep(0.01)


ARRIVAL = [
    RoomEntered(),
    AnchorJoined("ada"),
    TrackPublished("ada", Kind.VIDEO),
    TrackPublished("ada", Kind.AUDIO),
]


@pytest.mark.parametrize("playlist", ["index.m3u8", "mp4/index.m3u8"])
async def test_a_recording_plays_at_its_own_pace_and_is_over_at_its_end(
    port: int, playlist: str
) -> None:
    robot = Robot()
    await robot.enter(f"hls://127.0.0.1:{port}/{playlist}#anchor=ada")
    began = asyncio.get_running_loop().time()
    assert robot.connector is not None
    assert robot.connector.connections == 1
    await told(robot, Stopped)
    assert asyncio.get_running_loop().time() - began > 1.5  # two seconds, less what was read ahead
    over = [AnchorLeft("ada", "the stream ended"), Stopped(EndReason.ROOM_GONE)]
    assert robot.told == [*ARRIVAL, *over]
    assert sum(cut.end - cut.start for cut in robot.audio()) == pytest.approx(2 * 48_000, abs=1920)
    (first, second) = robot.pictures()
    assert second.timestamp - first.timestamp == 90_000
    assert second.began - first.began == pytest.approx(1, abs=0.02)
    # Both kinds of one moment have one name, wherever the container has put them.
    zero = robot.audio()[0].began - (robot.audio()[0].start - (1 << 32)) / 48_000
    assert first.began - first.timestamp / 90_000 == pytest.approx(zero, abs=0.03)
    assert robot.connector.connections == 0
    assert robot.connector.counters["packets_media"] > 20  # of video; and audio
    await robot.leave()


async def test_a_stream_that_ends_is_lost_and_comes_back_as_new(port: int) -> None:
    robot = Robot()
    await robot.enter(f"flv://127.0.0.1:{port}/live.flv#anchor=ada")
    await told(robot, RoomEntered, 2)
    assert robot.told[:6] == [*ARRIVAL, RoomLost("the stream ended"), RoomEntered()]
    assert sum(cut.end - cut.start for cut in robot.audio()[:2]) == pytest.approx(96_000, abs=1920)
    await robot.leave()
    count = len(robot.told)
    await asyncio.sleep(0.3)
    assert len(robot.told) == count, "nothing is told after leave"


async def test_while_a_stream_is_away_each_try_says_why(folder: Path) -> None:
    answers = itertools.chain([200], itertools.repeat(503))

    def get(path: str) -> Answer:
        status = next(answers)
        return status, {}, [(folder / "live.flv").read_bytes()] if status == 200 else []

    robot = Robot()
    with served(get) as site:
        await robot.enter(f"flv://127.0.0.1:{site.port}/live")
        await told(robot, RoomLost, 3)
    reasons = [fact.reason for fact in robot.told if isinstance(fact, RoomLost)]
    assert reasons[:3] == ["the stream ended", *["HTTP 503 Service Unavailable"] * 2]
    assert robot.connector is not None
    assert robot.connector.counters["reconnects_failed"] == len(reasons) - 1
    await robot.leave()


async def test_a_live_playlist_that_ends_is_not_played_again(folder: Path) -> None:
    """At the first look it has no end; it has one when it is connected to again."""
    whole = (folder / "index.m3u8").read_text()
    first = whole[: whole.index("0.ts") + 5]
    playlists = itertools.chain([first], itertools.repeat(whole))
    files = of_folder(folder)

    def get(path: str) -> Answer:
        return (200, {}, [next(playlists).encode()]) if path == "/index.m3u8" else files(path)

    robot = Robot()
    with served(get) as site:
        await robot.enter(f"hls://127.0.0.1:{site.port}/index.m3u8")
        await told(robot, Stopped)
    assert [type(fact) for fact in robot.told[4:]] == [RoomLost, Stopped]
    assert robot.facts(Stopped) == [Stopped(EndReason.ROOM_GONE)]
    assert sum(cut.end - cut.start for cut in robot.audio()) == pytest.approx(96_000, abs=1920)
    await robot.leave()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("flv://127.0.0.1:{port}/none.flv", "HTTP 404 Not Found"),
        ("flv://127.0.0.1:{port}/text.flv", "FFmpeg: End of file"),
        ("flv://127.0.0.1:{port}/empty.flv", "FFmpeg: "),
        ("flv://127.0.0.1:{port}/only-vp9.flv", r"nothing in the stream .*video: vp9 cannot be"),
        ("hls://127.0.0.1:{port}/none.m3u8", "HTTP 404 Not Found"),
        ("hls://127.0.0.1:{port}/live.flv", "FFmpeg: Invalid data"),
        ("hls://127.0.0.1:{port}/away.m3u8", "the stream leads to 169.254.169.254:80"),
        ("hls://127.0.0.1:{port}/file.m3u8", "the stream leads to a URL of file"),
        ("rtmp://127.0.0.1:1/live/ada?sign=hush", "FFmpeg: Connection refused$"),
        ("rtsp://me:hush@127.0.0.1:1/ada", "FFmpeg: Connection refused$"),
    ],
)
async def test_what_cannot_be_entered_says_why_and_shows_no_secret(
    port: int, path: str, says: str
) -> None:
    robot = Robot(StreamSettings(connect_timeout=1, silence=1))
    with pytest.raises(RoomError, match=says) as refused:
        await robot.enter(path.format(port=port))
    assert "hush" not in str(refused.value)
    assert robot.told == []
    await robot.leave()


async def test_segments_that_are_refused_say_why_though_the_playlist_is_read_again(
    folder: Path,
) -> None:
    playlist = (folder / "away.m3u8").read_text().replace("http://169.254.169.254/", "")
    played = 0

    def get(path: str) -> Answer:
        nonlocal played
        played += path == "/live.m3u8"
        return (200, {}, [playlist.encode()]) if path == "/live.m3u8" else (404, {}, [])

    robot = Robot(StreamSettings(connect_timeout=5, silence=5))
    with served(get) as site, pytest.raises(RoomError, match="HTTP 404 Not Found"):
        await robot.enter(f"hls://127.0.0.1:{site.port}/live.m3u8")
    assert played > 1
    await robot.leave()


@pytest.mark.parametrize("scheme", ["rtmp", "rtsp", "hls", "flv"])
async def test_a_server_that_says_nothing_is_given_up_in_time(scheme: str) -> None:
    """And the loop goes on meanwhile: FFmpeg waits without Python's lock."""
    robot = Robot(StreamSettings(connect_timeout=1, silence=1))
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    turning = asyncio.ensure_future(turn())
    given_up = pytest.raises(RoomError, match=r"no media within 1 s|nothing came in time")
    with silent_server() as port, given_up:
        await robot.enter(f"{scheme}://127.0.0.1:{port}/live/ada")
    turning.cancel()
    assert turns > 10
    await robot.leave()


@asynccontextmanager
async def two_hundred_m_lines() -> AsyncIterator[tuple[str, Counter[str]]]:
    """An RTSP server that describes and sets up two hundred, and sends nothing by any: a URL, and
    what was asked for."""
    asked = Counter[str]()
    line = "m=audio 0 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\na=control:track{}\r\n"
    described = "v=0\r\ns=-\r\nt=0 0\r\n" + "".join(map(line.format, range(200)))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                asked[head.split()[0]] += 1
                number = re.findall(r"CSeq: (\d+)", head)[0]
                body = described if head.startswith("DESCRIBE") else ""
                lines = ["RTSP/1.0 200 OK", f"CSeq: {number}", "Session: 1"]
                lines += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
                lines += re.findall(r"Transport: .*", head)
                writer.write("\r\n".join([*lines, "", body]).encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/ada", asked


async def test_a_description_of_two_hundred_m_lines_can_be_left() -> None:
    robot = Robot(StreamSettings(connect_timeout=30, silence=30))
    async with two_hundred_m_lines() as (url, asked), asyncio.timeout(30):
        entering = asyncio.ensure_future(robot.enter(url))
        while asked["SETUP"] < 200:
            await asyncio.sleep(0.01)
        await robot.leave()
        with suppress(RoomError):  # but where FFmpeg took the description for a stream
            await entering


async def test_a_description_of_two_hundred_m_lines_is_given_up_in_time() -> None:
    robot = Robot(StreamSettings(connect_timeout=2, silence=1))
    async with two_hundred_m_lines() as (url, asked), asyncio.timeout(20):
        try:
            await robot.enter(url)
        except RoomError as refused:
            reason = str(refused)
        else:  # FFmpeg took the description for a stream
            await told(robot, RoomLost)
            reason = next(one.reason for one in robot.told if isinstance(one, RoomLost))
        await robot.leave()
    assert asked["DESCRIBE"] >= 1
    assert re.search("no media within 2 s|nothing came in time|FFmpeg: |the stream ended", reason)


class Late:
    """A reader whose stream opens or ends in the very moment in which it is given up: the time-out
    has cancelled the task that waits, which has not run yet."""

    opens, ends = False, False
    refusal = ""

    def __init__(self, _address: object, _settings: object, events: ReaderEvents) -> None:
        self.counters, self._events = Counter[str](), events

    def start(self) -> None:
        self._loop, self._waiting = asyncio.get_running_loop(), asyncio.current_task()
        self._loop.call_soon(self._look)

    def _look(self) -> None:
        assert self._waiting is not None
        if not self._waiting.cancelling():
            self._loop.call_soon(self._look)
        elif self.opens:
            self._events.opened(Tracks(), False)
        elif self.ends:
            self._events.ended("late")

    def stop(self) -> None: ...


class Once(Late):
    """One that opens at once, and then ends."""

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(self._events.opened, Tracks(), False)
        loop.call_later(0.05, self._events.ended, "gone")


@pytest.mark.parametrize("what", ["opens", "ends"])
async def test_what_comes_as_a_stream_is_given_up_is_not_told(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Late, what, True)
    monkeypatch.setattr(module, "Reader", Late)
    robot = Robot(StreamSettings(connect_timeout=0.1, silence=1))
    with pytest.raises(RoomError, match=r"no media within 0\.1 s"):
        await robot.enter("rtmp://127.0.0.1:1/live/ada")
    await asyncio.sleep(0.3)  # in which it would be connected to again
    assert robot.told == []
    await robot.leave()


async def test_a_stream_that_ends_as_a_reconnect_is_given_up_is_connected_to_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readers = itertools.chain([Once], itertools.repeat(Late))

    def reader(address: object, settings: object, events: ReaderEvents) -> Late:
        return next(readers)(address, settings, events)

    monkeypatch.setattr(Late, "ends", True)
    monkeypatch.setattr(module, "Reader", reader)
    robot = Robot(StreamSettings(connect_timeout=0.1, silence=1))
    await robot.enter("rtmp://127.0.0.1:1/live/ada")
    await told(robot, RoomLost, 3)
    lost = RoomLost("no media within 0.1 s")
    assert robot.facts(RoomLost)[:3] == [RoomLost("gone"), lost, lost]
    await robot.leave()


async def test_of_tracks_that_cannot_be_taken_the_rest_is(port: int) -> None:
    robot = Robot()
    await robot.enter(f"flv://127.0.0.1:{port}/vp9.flv")
    refused = TrackRefused("stream", Kind.VIDEO, "vp9 cannot be taken")
    assert refused in robot.told
    assert TrackPublished("stream", Kind.AUDIO) in robot.told
    await robot.leave()


async def test_a_robot_that_leaves_while_it_connects_hears_nothing() -> None:
    robot = Robot(StreamSettings(connect_timeout=9, silence=2))
    with silent_server() as port:
        entering = asyncio.ensure_future(robot.enter(f"rtmp://127.0.0.1:{port}/live/ada"))
        await asyncio.sleep(0.1)
        await robot.room.leave()
        with pytest.raises(RoomError, match="the stream was left"):
            await entering
    with pytest.raises(RoomError, match="left"):
        await robot.room.enter()
    robot.room.subscribe(Subscribe(TrackKey("t", "stream", Kind.AUDIO), AudioSpec(1)))
    robot.room.unsubscribe(TrackKey("t", "stream", Kind.AUDIO))
    assert robot.told == []


async def test_a_connector_that_closes_leaves_its_rooms(port: int) -> None:
    connector = StreamConnector(Context(LoopClock()))
    url = parse_room(f"flv://127.0.0.1:{port}/audio.flv")
    connector.check(url)
    with pytest.raises(BadInput, match="room"):
        connector.check(parse_room("flv://127.0.0.1"))
    heard: list[object] = []
    room = await connector.open(url, "robot", heard.append)
    await room.enter()
    assert connector.connections == 1
    await connector.close()
    await room.leave()
    assert connector.connections == 0
    assert heard[0] == RoomEntered()
