"""Publishes by FFmpeg's WHIP muxer: `python -m tests.harness.rooms.whip_muxer URL [FILE]`.

A file of H.264 (no B-frames) and stereo Opus is sent as it is, round and round, at its own speed;
without a file, test content is encoded while it is sent. Ends cleanly on SIGTERM.

It has to be a process of its own: PyAV holds the GIL while it connects, and a server in the same
process could not answer.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
from av.container import OutputContainer

from tests.harness.certificates import make_certificate
from tests.harness.media.content import Content, Encoding, Writer

STARTED = "publishing"


@contextlib.contextmanager
def whip(url: str, bearer: str = "") -> Iterator[OutputContainer]:
    """The muxer's container; it connects at the first packet, and sends DELETE when it closes."""
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = make_certificate(Path(folder))
        options = {"cert_file": str(certificate), "key_file": str(key)}
        if bearer:
            options["authorization"] = bearer
        with av.open(url, "w", format="whip", options=options) as container:
            yield container


class Pace:
    """Holds packets back until they are due. Calls *started* at the first one."""

    def __init__(self, started: Callable[[], None]) -> None:
        self._started = started
        self._begin: float | None = None

    def wait(self, due: float) -> None:
        """Sleep until *due* seconds of media after the start."""
        if self._begin is not None:
            time.sleep(max(0.0, self._begin + due - time.monotonic()))

    def sent(self, due: float) -> None:
        """Begin to count with the first packet: connecting takes its time."""
        if self._begin is None:
            self._begin = time.monotonic() - due
            self._started()


def loop_file(
    container: OutputContainer, path: Path, stopped: Callable[[], bool], pace: Pace
) -> None:
    """Send the packets of a file in real time, again and again, until *stopped* says so."""
    with av.open(str(path), "r") as source:
        streams = [container.add_stream_from_template(stream) for stream in source.streams]
    for packet, offset in _rounds(path):
        assert packet.dts is not None
        assert packet.time_base is not None
        due = float(offset + packet.dts * packet.time_base)
        packet.pts = packet.dts = packet.dts + round(offset / packet.time_base)
        packet.stream = streams[packet.stream.index]
        pace.wait(due)
        if stopped():
            return
        container.mux(packet)
        pace.sent(due)


def _rounds(path: Path) -> Iterator[tuple["av.Packet[av.stream.Stream]", Fraction]]:
    """Every packet of a file again and again, with the seconds all rounds before it took."""
    offset = Fraction(0)
    while True:
        with av.open(str(path), "r") as source:
            leading = (*source.streams.video, *source.streams.audio)[0]
            assert leading.duration is not None
            assert leading.time_base is not None
            length = leading.duration * leading.time_base
            for packet in source.demux():
                if packet.size and _belongs(packet, length):
                    yield packet, offset
            offset += length


def _belongs(packet: "av.Packet[av.stream.Stream]", length: Fraction) -> bool:
    """Whether a packet lies in its own round: audio may reach a packet beyond the pictures' end."""
    assert packet.dts is not None
    assert packet.time_base is not None
    return (
        packet.dts * packet.time_base < length + (packet.stream.start_time or 0) * packet.time_base
    )


def encode_live(container: OutputContainer, stopped: Callable[[], bool], pace: Pace) -> None:
    """Encode test content and send it in real time until *stopped* says so."""
    content = Content()
    writer = Writer(container, content, Encoding("h264"))
    for frame in itertools.count():
        due = frame / content.painter.fps
        pace.wait(due)
        if stopped():
            return
        writer.write(frame)
        pace.sent(due)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--bearer", default="")
    given = parser.parse_args(arguments)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    pace = Pace(partial(print, STARTED, flush=True))
    with whip(given.url, given.bearer) as container:
        if given.file:
            loop_file(container, given.file, stop.is_set, pace)
        else:
            encode_live(container, stop.is_set, pace)


@contextlib.asynccontextmanager
async def muxer(url: str, file: Path | None = None, bearer: str = "") -> AsyncIterator[int]:
    """Run the publisher as a process until the context ends; its pid, once it is connected.

    Raises RuntimeError with what it said where it cannot publish.
    """
    words = [url, *([str(file)] if file else []), *(["--bearer", bearer] if bearer else [])]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.harness.rooms.whip_muxer", *words,
        cwd=Path(__file__).parents[3],
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said = b""
        while STARTED.encode() not in said:
            line = await asyncio.wait_for(process.stdout.readline(), 30)
            if not line:
                raise RuntimeError(f"the WHIP muxer ended: {said.decode(errors='replace')}")
            said += line
        yield process.pid
        with contextlib.suppress(ProcessLookupError):  # its server may have gone before it
            process.terminate()
        await asyncio.wait_for(process.communicate(), 10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def muxers(urls: Iterable[str], file: Path) -> AsyncIterator[None]:
    """One for each URL. They are killed: FFmpeg hangs where its peer is gone."""
    with contextlib.suppress(ProcessLookupError):
        async with contextlib.AsyncExitStack() as stack:
            pids = [await stack.enter_async_context(muxer(url, file)) for url in urls]
            yield
            for pid in pids:
                os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
