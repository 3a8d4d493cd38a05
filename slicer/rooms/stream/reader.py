"""Reads one stream in a thread of its own, from connecting to its end.

Theory of operation. FFmpeg blocks, so each connection to a stream has a thread. It opens, tells
what there is, and then queues frames, which the loop takes all at once. The queue is bounded in
bytes: where the loop does not keep up, the thread waits, and with it the server.

FFmpeg gives up by itself after a time without data (the interrupt that PyAV sets), so no thread
outlives `stop` by more than `connect_timeout` or `silence`. Nobody waits for it but a process that
ends, and that for ENDING seconds: what it still tells after `stop` is not heard.

RTMP, RTSP and FLV come as they are sent. HLS comes in whole segments, and a recording at any
speed, so both are given out by their own timestamps. Where those leap, the pace begins anew.
"""

import asyncio
import atexit
import logging
import ssl
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import av

from slicer.errors import RoomError
from slicer.rooms.frames import EncodedFrame
from slicer.rooms.stream.address import Protocol, StreamAddress
from slicer.rooms.stream.resources import Resources
from slicer.rooms.stream.settings import StreamSettings
from slicer.rooms.stream.tracks import AnyPacket, Tracks, find_tracks

ANALYZE = "1500000"
"""Microseconds of media in which FFmpeg looks for tracks; less misses video beside audio."""
MAX_QUEUED = 8 << 20
"""Bytes of frames that wait for the loop: some 20 s of a stream of 3 Mbit/s."""
LEAP = 10.0
"""Seconds by which timestamps may go on from one packet to the next of a stream that is paced."""
ENDING = 1.0
"""Seconds for which a process that ends waits for its readers; the next packet comes sooner."""

_OPTIONS: Mapping[Protocol, Mapping[str, str]] = {
    Protocol.RTMP: {"rtmp_live": "live"},
    # By UDP, whoever can reach our ports could send media.
    Protocol.RTSP: {"rtsp_transport": "tcp"},
    # A connection that is kept goes round io_open, which looks where each URL leads.
    Protocol.HLS: {"http_persistent": "0", "http_multiple": "0", "live_start_index": "-1"},
    Protocol.FLV: {},
}
_WHITELISTS: Mapping[Protocol, str] = {
    Protocol.RTMP: "rtmp,rtmps,tls,tcp",
    Protocol.RTSP: "rtsp,rtsps,rtp,tls,tcp",
    Protocol.HLS: "http,https,tls,tcp",
    Protocol.FLV: "",
}
logger = logging.getLogger(__name__)
_readers: "weakref.WeakSet[Reader]" = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class ReaderEvents:
    """Callbacks of a reader, on the loop's thread: *opened* with what there is, and whether it has
    an end that is known; *frames*; *ended* once, with the reason, also where nothing was opened."""

    opened: Callable[[Tracks, bool], None]
    frames: Callable[[Sequence[EncodedFrame]], None]
    ended: Callable[[str], None]


class Reader:
    """One connection to a stream."""

    def __init__(
        self, address: StreamAddress, settings: StreamSettings, events: ReaderEvents
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._address, self._settings, self._events = address, settings, events
        http = address.protocol in {Protocol.HLS, Protocol.FLV}
        self._resources = Resources(address, settings) if http else None
        self._loop = asyncio.get_running_loop()
        self._stopped = threading.Event()
        self._taken = threading.Condition()
        self._queue: list[EncodedFrame] = []
        self._queued = 0
        self._zero: float | None = None
        self._began: float | None = None  # when it began to connect; None once it is open
        self._last = 0.0
        # A daemon: a process that ends does not wait for all of a server's silence.
        self._thread = threading.Thread(target=self._run, name="slicer_stream", daemon=True)

    @property
    def refusal(self) -> str:
        """Why a resource of a stream on HTTP was not opened since media came last, in words; ""
        where each was."""
        return "" if self._resources is None else self._resources.refusal

    def start(self) -> None:
        """Connect."""
        _readers.add(self)
        self._thread.start()

    def stop(self) -> None:
        """Call back no more; the connection ends soon. May be called twice."""
        self._stopped.set()
        if self._resources is not None:
            self._resources.stop()
        with self._taken:
            self._taken.notify()

    def join(self, seconds: float) -> None:
        """Wait until its thread has ended, no longer than this."""
        self._thread.join(seconds)

    def _run(self) -> None:
        reason = "the stream ended"
        self._began = time.monotonic()
        try:
            with self._open() as container:
                self._began = None
                tracks = find_tracks(container, self.counters)
                if tracks.codecs:
                    finite = bool(container.duration)
                    self._call(lambda: self._events.opened(tracks, finite))
                    paced = finite or self._address.protocol is Protocol.HLS
                    self._read(container, tracks, paced)
                else:
                    reason = _nothing(tracks)
        except (av.error.FFmpegError, OSError, RoomError) as error:
            reason = self._words(error)
        except Exception as error:
            logger.exception("a stream's reader failed")
            reason = f"it cannot be read ({type(error).__name__})"
        finally:
            if self._resources is not None:
                self._resources.close()
        self._call(lambda: self._end(reason))

    def _open(self) -> av.container.InputContainer:
        address, settings = self._address, self._settings
        options = {
            "analyzeduration": ANALYZE,
            "protocol_whitelist": _WHITELISTS[address.protocol],
            "tls_verify": "1",
            **_OPTIONS[address.protocol],
        }
        if authorities := ssl.get_default_verify_paths().cafile:
            options["ca_file"] = authorities
        timeout = (settings.connect_timeout, settings.silence)
        name, resources = address.protocol.value, self._resources
        if resources is None:
            chosen = None if address.protocol is Protocol.RTSP else name
            return av.open(address.url, "r", format=chosen, options=options, timeout=timeout)
        if address.protocol is Protocol.FLV:
            file = resources.open(address.url)
            return av.open(file, "r", format="flv", options={"analyzeduration": ANALYZE})
        return av.open(
            address.url, "r", format=name, options=options, timeout=timeout, io_open=resources.open
        )

    def _read(self, container: av.container.InputContainer, tracks: Tracks, paced: bool) -> None:
        wanted = [container.streams[index] for index in tracks.by_index]
        for packet in container.demux(wanted):
            if self._stopped.is_set():
                return
            if packet.dts is None and packet.pts is None:
                continue  # the end of a stream, with nothing in it
            if self._resources is not None:
                self._resources.refusal = ""
            if paced:
                self._pace(packet)
            self._put(list(tracks.by_index[packet.stream_index].frames(packet)))

    def _pace(self, packet: AnyPacket) -> None:
        """Wait until this packet's time has come."""
        ticks = packet.dts if packet.dts is not None else packet.pts
        if ticks is None or packet.time_base is None:
            return
        at, now = float(ticks * packet.time_base), time.monotonic()
        if self._zero is None or abs(at - self._last) > LEAP:
            self._zero = now - at
        self._last = at
        early = self._zero + at - now
        if early > 0:
            self._stopped.wait(early)

    def _put(self, frames: list[EncodedFrame]) -> None:
        """Queue frames; wait while the queue is full."""
        if not frames:
            return
        with self._taken:
            if self._queued > MAX_QUEUED:
                self.counters["stream_held_up"] += 1
            while self._queued > MAX_QUEUED and not self._stopped.is_set():
                self._taken.wait()
            first = not self._queue
            self._queue += frames
            self._queued += sum(len(frame.data) for frame in frames)
        if first:
            self._call(self._take)

    def _take(self) -> None:
        with self._taken:
            frames, self._queue, self._queued = self._queue, [], 0
            self._taken.notify()
        if frames:
            self._events.frames(frames)

    def _end(self, reason: str) -> None:
        self._take()
        if not self._stopped.is_set():
            self._events.ended(reason)

    def _call(self, callback: Callable[[], None]) -> None:
        """Have the loop call back, unless we were stopped by then."""

        def call() -> None:
            if not self._stopped.is_set():
                callback()

        with suppress(RuntimeError):  # the loop is closed: nobody listens
            self._loop.call_soon_threadsafe(call)

    def _words(self, error: Exception) -> str:
        """What went wrong, without the URL, which may have secrets."""
        if self.refusal:
            return self.refusal
        since = None if self._began is None else time.monotonic() - self._began
        # Of RTSP that is interrupted FFmpeg says that its data are invalid.
        late = since is not None and since >= self._settings.connect_timeout
        if late or isinstance(error, av.error.ExitError):
            return "nothing came in time"
        if isinstance(error, av.error.FFmpegError):
            return f"FFmpeg: {error.strerror}"
        return str(error)


def _nothing(tracks: Tracks) -> str:
    """Why a stream that was opened is of no use."""
    reasons = "; ".join(f"{kind}: {why}" for kind, why in tracks.refused)
    return f"nothing in the stream can be taken ({reasons or 'it has neither audio nor video'})"


@atexit.register
def _end_all() -> None:
    """Stop all readers and wait for them: a thread that comes out of FFmpeg into an interpreter
    that is gone crashes the process."""
    readers, until = tuple(_readers), time.monotonic() + ENDING
    for reader in readers:
        reader.stop()
    for reader in readers:
        reader.join(max(0.0, until - time.monotonic()))
