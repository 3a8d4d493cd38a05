"""Streams for the tests: files that FFmpeg's muxers made, HTTP servers of them, real publishers."""

import contextlib
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av

from slicer.clock import LoopClock
from slicer.rooms import Connector, Context, connector, parse_room
from slicer.rooms.stream.settings import StreamSettings
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import Fact, RoomLost, TrackPublished
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
from tests.harness.media.content import Content, Encoding, Painter, Writer

SHORT = Content(Painter(width=160, height=96, fps=10), seconds=4)
"""A frame number each tenth of a second, a beep on each full second."""


def write_file(
    path: Path, content: Content = SHORT, encoding: Encoding | None = None, **options: str
) -> Path:
    """Mux content into what the file's suffix names; *options* of the muxer."""
    encoding = encoding or Encoding("h264", "aac", gop=content.painter.fps)
    with av.open(str(path), "w", options=options) as container:
        writer = Writer(container, content, encoding)
        for frame in range(content.frames):
            writer.write(frame)
        writer.close()
    return path


def write_hls(folder: Path, content: Content = SHORT, *, fragmented: bool = False) -> Path:
    """A playlist with an end, of segments of a second: MPEG-TS, or fragmented MP4."""
    suffix, segments = ("m4s", "fmp4") if fragmented else ("ts", "mpegts")
    return write_file(
        folder / "index.m3u8",
        content,
        hls_time="1",
        hls_list_size="0",
        hls_segment_type=segments,
        hls_segment_filename=str(folder / f"%d.{suffix}"),
    )


@dataclass
class Site:
    """An HTTP server: *get* makes the answer to a path, (status, headers, pieces of the body)."""

    port: int
    paths: list[str] = field(default_factory=list)


Answer = tuple[int, dict[str, str], Iterator[bytes] | list[bytes]]


def of_folder(folder: Path) -> Callable[[str], Answer]:
    """Answers with the files of a folder."""

    def get(path: str) -> Answer:
        file = folder / path.partition("?")[0].lstrip("/")
        if not file.is_file():
            return 404, {}, []
        return 200, {}, [file.read_bytes()]

    return get


@contextlib.contextmanager
def served(get: Callable[[str], Answer]) -> Iterator[Site]:
    """An HTTP server on a free port, until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.paths.append(self.path)
            status, headers, body = get(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                for piece in body:
                    self.wfile.write(piece)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        site = Site(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """A TCP server that takes connections and says nothing; its port."""

    class Silent(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            over.wait(30)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    over = threading.Event()
    with Server(("127.0.0.1", 0), Silent) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            over.set()
            server.shutdown()
            thread.join()


def publish(path: Path, url: str, stop: threading.Event, *, speed: float = 1.0) -> None:
    """Send a file to an RTMP server by its own timestamps, once; in the caller's thread."""
    with av.open(str(path)) as file, av.open(url, "w", format="flv") as sink:
        streams = {one.index: sink.add_stream_from_template(one) for one in file.streams}
        began = time.monotonic()
        for packet in file.demux():
            if packet.dts is None or packet.time_base is None:
                continue
            early = began + float(packet.dts * packet.time_base) / speed - time.monotonic()
            if stop.wait(max(early, 0)):
                return
            packet.stream = streams[packet.stream_index]
            sink.mux(packet)


@contextlib.contextmanager
def publishing(path: Path, url: str) -> Iterator[threading.Thread]:
    """Publish beside the caller, until the context ends or the file does."""
    stop = threading.Event()
    thread = threading.Thread(target=publish, args=(path, url, stop))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join()


class Robot:
    """What a task does in a room: subscribes to all that is published, keeps what it is told."""

    def __init__(self, settings: StreamSettings | None = None) -> None:
        self.told: list[Fact] = []
        self.cuts: list[TrackOutput] = []
        self._settings = settings or StreamSettings(connect_timeout=5, silence=5)
        self.connector: Connector | None = None

    async def enter(self, url: str) -> None:
        """Raises what the room raises."""
        split = parse_room(url)
        context = Context(LoopClock(), stream=self._settings)
        self.connector = connector(split.scheme, context)
        self.room = await self.connector.open(split, "robot", self._listen)
        await self.room.enter()

    async def leave(self) -> None:
        await self.room.leave()
        assert self.connector is not None
        await self.connector.close()

    def facts(self, kind: type[Fact]) -> list[Fact]:
        return [fact for fact in self.told if isinstance(fact, kind)]

    def audio(self) -> list[AudioCut]:
        return [cut for cut in self.cuts if isinstance(cut, AudioCut)]

    def pictures(self) -> list[PictureCut]:
        return [cut for cut in self.cuts if isinstance(cut, PictureCut)]

    def _listen(self, event: Fact | TrackOutput) -> None:
        if isinstance(event, AudioCut | PictureCut | GroupFrames | PictureMissing | Settled):
            self.cuts.append(event)
        else:
            self.told.append(event)
        if isinstance(event, TrackPublished):
            spec = AudioSpec(1, 3.0) if event.kind is Kind.AUDIO else VideoSpec(1, 3.0)
            self.room.subscribe(Subscribe(TrackKey("t", event.anchor, event.kind), spec))
        elif isinstance(event, RoomLost):
            for kind in Kind:
                for anchor in {one.anchor for one in self.told if isinstance(one, TrackPublished)}:
                    self.room.unsubscribe(TrackKey("t", anchor, kind))
