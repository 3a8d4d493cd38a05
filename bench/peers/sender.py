"""The senders' loop in C: compiled when first needed, bound by ctypes; runs without the GIL."""

import ctypes
import hashlib
import os
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers.capture import CACHE, ROOT, Capture, Track

VIDEO, AUDIO = 0, 1
PAYLOAD_TYPES = {"h264": 102, "vp8": 96, "opus": 111}
HERE = Path(__file__).parent


class _Track(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("packets", ctypes.c_void_p),
        ("frames", ctypes.c_void_p),
        ("frame_count", ctypes.c_uint32),
    )


class _Stream(ctypes.Structure):
    _fields_ = (
        ("ssrc", ctypes.c_uint32),
        ("timestamp", ctypes.c_uint32),
        ("octets", ctypes.c_uint32),
        ("packets", ctypes.c_uint32),
        ("frame", ctypes.c_uint64),
        ("packet", ctypes.c_uint32),
        ("sequence", ctypes.c_uint16),
        ("payload_type", ctypes.c_uint8),
        ("mid", ctypes.c_uint8),
    )


COUNTERS = (
    "sent",
    "failed",
    "requests",
    "keyframes",
    "nacked",
    "lost",
    "reports",
    "malformed",
)


class _Lane(ctypes.Structure):
    _fields_ = (
        ("begin", ctypes.c_double),
        ("send", ctypes.c_void_p),
        ("receive", ctypes.c_void_p),
        ("streams", _Stream * 2),
        ("sockets", ctypes.c_int32 * 2),
        ("report_sockets", ctypes.c_int32 * 2),
        ("mid_id", ctypes.c_uint8),
        ("transport_id", ctypes.c_uint8),
        ("time_id", ctypes.c_uint8),
        ("keyframe_wanted", ctypes.c_uint8),
        ("from_keyframes", ctypes.c_uint8),
        ("transport_sequence", ctypes.c_uint16),
        ("picture", ctypes.c_uint16),
        ("report_at", ctypes.c_double),
        *((name, ctypes.c_uint64) for name in COUNTERS),
    )


class _Sender(ctypes.Structure):
    _fields_ = (
        ("video", _Track),
        ("keyframes", _Track),
        ("audio", _Track),
        ("lanes", ctypes.c_void_p),
        ("lane_count", ctypes.c_uint32),
        ("hand_out", ctypes.c_int32),
        ("has_picture_ids", ctypes.c_uint8),
        ("stop", ctypes.c_uint8),
        ("epoll", ctypes.c_int32),
        ("late", ctypes.c_double),
    )


@dataclass(frozen=True)
class Keys:
    """One direction's SRTP: the profile's number (RFC 5764, 7714), master key and salt."""

    profile: int
    key: bytes


@dataclass(frozen=True)
class Lane:
    """How one anchor is sent. *sockets* and *reports*: descriptors for video and sound.

    *extensions*: ids of mid, transport-wide number and absolute send time, 0 for none; *mids*: one
    character each.
    """

    sockets: tuple[int, int]
    reports: tuple[int, int]
    send: Keys | None = None
    receive: Keys | None = None
    extensions: tuple[int, int, int] = (0, 0, 0)
    mids: tuple[str, str] = ("", "")
    payload_types: tuple[int, int] | None = None


class Sender:
    """Plays a capture to lanes, on a thread of its own, from `start` to `stop`."""

    def __init__(self, capture: Capture, lanes: Sequence[Lane], hand_out: int = -1) -> None:
        self._library = library()
        self._keep: list[Any] = []
        self._lanes = (_Lane * len(lanes))()
        random = np.random.default_rng(len(lanes))
        for number, lane in enumerate(lanes):
            self._fill(self._lanes[number], lane, capture.codec, random)
        self._state = _Sender(
            self._track(capture.video),
            self._track(capture.keyframes),
            self._track(capture.audio),
            ctypes.addressof(self._lanes),
            len(lanes),
            hand_out,
            capture.codec == "vp8",
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._error = 0

    def start(self, begins: Sequence[float]) -> None:
        """*begins*: when each lane's first frame is due, by the monotonic clock."""
        for lane, begin in zip(self._lanes, begins, strict=True):
            lane.begin, lane.report_at = begin, begin + 0.2
        self._thread.start()

    def stop(self) -> None:
        """End. Raises OSError where the loop could not run."""
        self._state.stop = 1
        self._thread.join()
        if self._error:
            raise OSError(self._error, os.strerror(self._error))

    def totals(self) -> dict[str, int]:
        """The counters over all lanes."""
        return {name: sum(getattr(lane, name) for lane in self._lanes) for name in COUNTERS}

    @property
    def late(self) -> float:
        """Seconds by which the worst tick came too late."""
        return float(self._state.late)

    def _run(self) -> None:
        self._error = self._library.sender_run(ctypes.byref(self._state))

    def _fill(self, to: _Lane, lane: Lane, codec: str, random: np.random.Generator) -> None:
        types = lane.payload_types or (PAYLOAD_TYPES[codec], PAYLOAD_TYPES["opus"])
        to.send, to.receive = self._srtp(lane.send), self._srtp(lane.receive)
        to.mid_id, to.transport_id, to.time_id = lane.extensions
        for kind in (VIDEO, AUDIO):
            stream = to.streams[kind]
            stream.ssrc = int(random.integers(1, 2**32))
            stream.timestamp = int(random.integers(0, 2**32))
            stream.sequence = int(random.integers(0, 2**15))
            stream.payload_type = types[kind]
            stream.mid = ord(lane.mids[kind]) if lane.mids[kind] else 0
            to.sockets[kind], to.report_sockets[kind] = lane.sockets[kind], lane.reports[kind]

    def _srtp(self, keys: Keys | None) -> int | None:
        if keys is None:
            return None
        refused = self._library.srtp_load(None)
        if refused:
            raise RuntimeError(f"no SRTP: {refused.decode()}")
        made = self._library.srtp_new(keys.profile, keys.key)
        if not made:
            raise RuntimeError(f"no SRTP of profile {keys.profile}")
        return int(made)

    def _track(self, track: Track) -> _Track:
        arrays = [np.ascontiguousarray(part) for part in (track.data, track.packets, track.frames)]
        self._keep += arrays
        return _Track(*(array.ctypes.data for array in arrays), track.frame_count)


_library: ctypes.CDLL | None = None


def library() -> ctypes.CDLL:
    """Compile the sender where the cache has none of these sources, and load it."""
    global _library  # noqa: PLW0603 (one for each process)
    if _library is None:
        loaded = ctypes.CDLL(str(_compiled()))
        loaded.sender_run.argtypes = [ctypes.c_void_p]
        loaded.srtp_new.argtypes = [ctypes.c_int, ctypes.c_char_p]
        loaded.srtp_new.restype = ctypes.c_void_p
        loaded.srtp_load.argtypes = [ctypes.c_char_p]
        loaded.srtp_load.restype = ctypes.c_char_p
        for size, structure in (
            (loaded.sender_lane_size, _Lane),
            (loaded.sender_size, _Sender),
        ):
            size.restype = ctypes.c_size_t
            if size() != ctypes.sizeof(structure):
                raise RuntimeError(f"sender.c lays {structure.__name__} out otherwise")
        _library = loaded
    return _library


def _compiled() -> Path:
    native = ROOT / "native"
    sources = [HERE / "sender.c", native / "core.c", *sorted(native.glob("srtp*.c"))]
    told = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    made = CACHE / f"sender-{told}.so"
    if not made.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        staged = made.with_suffix(f".{os.getpid()}")
        compiler = os.environ.get("CC", "cc")
        subprocess.run(
            [
                *(compiler, "-std=c11", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra"),
                *(f"-I{native}", "-o", str(staged), *map(str, sources), "-ldl", "-lm"),
            ],
            check=True,
        )
        staged.replace(made)
    return made
