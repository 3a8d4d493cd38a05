"""Slices with known bytes; an outbox over a spool on disk."""

import asyncio
import json
import os
import random
import threading
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest

from slicer.delivery.delivery import Delivery
from slicer.delivery.encoding import MAX_WAITING, PRIORITIES, EncodingPool
from slicer.delivery.outbox import Outbox
from slicer.delivery.retry import Backoff
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.sharing import Sharing
from slicer.delivery.spool.folder import Folder
from slicer.delivery.spool.record import PREAMBLE_BYTES, StoreUrls, header_bytes
from slicer.delivery.spool.settings import SpoolSettings
from slicer.delivery.spool.spool import THREADS, Spool
from slicer.errors import StorageUnavailable
from slicer.media.slice import File, SliceInfo
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey
from slicer.threads import ThreadPool
from tests.harness.clock import EPOCH, ManualClock
from tests.harness.delivery.recorder import Recorder
from tests.harness.storage.memory import MemoryStore

URL = "s3://bucket/prefix?region=here"
TYPES = {Kind.AUDIO: "audio/ogg", Kind.VIDEO: "image/png"}


def bytes_of(key: str, size: int) -> bytes:
    """The bytes a key has in every run."""
    return random.Random(key).randbytes(size)


def info_of(key: str, size: int = 1000, kind: Kind = Kind.AUDIO, task: str = "task") -> SliceInfo:
    """A slice whose anchor is the key's first part."""
    return SliceInfo(key, TrackKey(task, key.partition("/")[0], kind), EPOCH, 15.0, size)


def file_of(key: str, size: int = 1000, kind: Kind = Kind.AUDIO) -> File:
    """Its file."""
    return File(info_of(key, size, kind), bytes_of(key, size), TYPES[kind])


def delivery_of(key: str, size: int = 1000, kind: Kind = Kind.AUDIO) -> Delivery:
    """Its cut, on its way."""
    return Delivery(info_of(key, 0, kind), size, partial(file_of, key, size, kind))


class Run:
    """One life of a process: its spool (opened anew, what is there is adopted) and its outbox."""

    def __init__(
        self,
        folder: Path,
        bucket: MemoryStore,
        clock: ManualClock | None = None,
        spooling: SpoolSettings | None = None,
        settings: OutboxSettings | None = None,
        backup: MemoryStore | None = None,
        max_waiting: int = MAX_WAITING,
        sharing: Sharing | None = None,
    ) -> None:
        self.clock, self.bucket, self.heard = clock or ManualClock(), bucket, Recorder()
        self.workers = ThreadPool("encoding", 2, PRIORITIES)
        self.encoding = EncodingPool(self.workers, max_waiting)
        self.spool = Spool.open(spooling or spool_settings(folder), self.clock, sharing)
        self.folder = self.spool.folder(StoreUrls(URL))
        self.outbox = Outbox(
            bucket,
            self.encoding,
            self.clock,
            self.heard,
            settings=settings,
            backoff=Backoff(),
            chance=lambda: 0.0,
            spool=(self.spool, self.folder),
            backup=backup,
        )

    async def recover(self) -> int:
        found = [one for folder in (await self.spool.found()).values() for one in folder]
        self.outbox.adopt(found, lambda _task: None)
        return len(found)

    def offer(self, *keys: str, size: int = 1000, kind: Kind = Kind.AUDIO) -> None:
        for key in keys:
            assert self.outbox.offer(delivery_of(key, size, kind))

    async def until(self, fits: Callable[[], bool]) -> None:
        """Wait for threads; a story that goes wrong ends in seconds."""
        async with asyncio.timeout(20):
            while not fits():
                await asyncio.sleep(0.001)

    async def quiet(self) -> None:
        """Wait until nothing moves without the clock: no file in the making, no upload."""
        await self.until(lambda: not self.outbox.busy)
        everyone = threading.Barrier(THREADS)  # passed once no thread is busy with a disk
        await asyncio.gather(*(self.spool.threads.run(everyone.wait) for _ in range(THREADS)))

    async def advance(self, seconds: float) -> None:
        """Let time pass, with all that falls due on the way."""
        end = self.clock.now() + seconds
        while (due := [*self.clock.timers, end][0]) < end:
            self.clock.advance(max(due - self.clock.now(), 0.0))
            await self.quiet()
        self.clock.advance(end - self.clock.now())
        await self.quiet()

    async def advance_clock(self, seconds: float) -> None:
        """Let time pass although uploads are under way."""
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    async def pass_until(self, fits: Callable[[], bool], most: float = 7200.0) -> None:
        """Let time pass in steps until something holds."""
        end = self.clock.now() + most
        while not fits():
            assert self.clock.now() < end, "it never came to be"
            await self.advance(1.0)

    def records(self) -> list[Path]:
        """The slices on the disk."""
        return sorted(self.folder.path.glob("*.slice"))

    def balanced(self) -> bool:
        """Every slice is accounted for, and all memory is given back when none is held."""
        count = self.outbox.counters
        done = count.overflowed + count.stored + count.dropped + count.abandoned + count.kept
        whole = count.offered + count.adopted == done + self.outbox.held
        return whole and (self.outbox.held > 0 or self.outbox.memory == 0)

    async def close(self) -> None:
        await self.outbox.close()
        await self.spool.close()
        self.workers.join()

    async def die(self) -> None:
        """What kill -9 leaves on the disk: no lock, and every record that was there."""
        await self.outbox.close()
        self.spool.release()


def with_fields(record: bytes, changed: Mapping[str, object]) -> bytes:
    """A record whose header says something else, under the right sum."""
    end = PREAMBLE_BYTES + header_bytes(record)
    header = json.dumps(json.loads(record[PREAMBLE_BYTES:end]) | changed).encode()
    return b"SLICE1 %08d %08x\n" % (len(header), zlib.crc32(header)) + header + record[end:]


def spool_settings(folder: Path, **changed: object) -> SpoolSettings:
    """Settings of a spool that leaves the disk to others."""
    return SpoolSettings(str(folder), reserve_bytes=0, **changed)  # type: ignore[arg-type]


def assert_whole(bucket: MemoryStore, keys: list[str], size: int = 1000) -> None:
    """All keys are in the store once, each with its own bytes."""
    assert sorted(bucket.order) == sorted(keys), "each is put once"
    for key in keys:
        assert bucket.there[key] == bytes_of(key, size)


def failing_disk(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Have no record be written."""

    def fail(_folder: Folder, _number: int, _file: File, _judging: bool) -> Path:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Folder, "write", fail)


def unavailable(key: str) -> StorageUnavailable:
    """What a store says that is away."""
    return StorageUnavailable(key, "503 SlowDown", "it is tried again")
