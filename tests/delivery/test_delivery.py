"""The phases of a slice: the table and nothing else, whatever happens; and what a cut holds."""

import asyncio
import errno
import gc
import tempfile
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.delivery.delivery import (
    OBJECT_BYTES,
    TRANSITIONS,
    Delivery,
    Phase,
    Unless,
    memory_of,
)
from slicer.delivery.encoding import EncodingPool
from slicer.delivery.outbox import Outbox
from slicer.delivery.retry import Backoff
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.spool.record import StoreUrls
from slicer.delivery.spool.spool import Spool
from slicer.errors import MediaError, StorageError, StorageUnavailable
from slicer.media.slice import File, ManifestInfo, SliceInfo
from slicer.rtp.parameters import OPUS, VP8, Kind
from slicer.slicing.outputs import AudioCut, AudioPacket, PictureCut, TrackKey
from tests.harness.clock import EPOCH, ManualClock, settle
from tests.harness.delivery.outbox import Inline
from tests.harness.delivery.recorder import Recorder
from tests.harness.delivery.spooling import delivery_of, file_of, info_of, spool_settings
from tests.harness.storage.memory import MemoryStore

ANNA = TrackKey("task", "anna", Kind.AUDIO)


def audio(packets: tuple[AudioPacket, ...]) -> AudioCut:
    return AudioCut(ANNA, OPUS, 0, 960, packets, 0.0)


def test_audio_counts_its_packets() -> None:
    packets = (AudioPacket(0, 960, b"abc"), AudioPacket(960, 960, b"defgh"))
    assert memory_of(audio(packets)) == 8 + 2 * OBJECT_BYTES


def test_a_picture_counts_its_frames() -> None:
    cut = PictureCut(ANNA, VP8, 0, 0, (b"key", b"frame"), 0.0)
    assert memory_of(cut) == 8 + 2 * OBJECT_BYTES


def test_the_size_is_about_what_python_takes() -> None:
    """A bound on memory is only as good as its measure."""
    tracemalloc.start()
    try:
        packets = tuple(AudioPacket(2**40 + i, 960 + i, bytes(120)) for i in range(5000))
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0.7 <= memory_of(audio(packets)) / taken <= 1.5


def delivery(phase: Phase = Phase.MAKING) -> Delivery:
    info = SliceInfo("task/ada/a.ogg", ANNA, EPOCH)
    return Delivery(info, 1, phase=phase)


@pytest.mark.parametrize("before", Phase)
@pytest.mark.parametrize("after", Phase)
def test_no_step_but_the_tables(before: Phase, after: Phase) -> None:
    one = delivery(before)
    if after in TRANSITIONS[before]:
        one.enter(after)
        assert one.phase is after
    else:
        with pytest.raises(ValueError, match=rf"a\.ogg: .* {before.name} to {after.name}"):
            one.enter(after)
        assert one.phase is before


def test_every_phase_is_reached_and_all_but_one_are_left() -> None:
    assert TRANSITIONS.keys() == set(Phase)
    assert {after for step in TRANSITIONS.values() for after in step} == set(Phase)
    assert [phase for phase in Phase if not TRANSITIONS[phase]] == [Phase.GONE]
    assert all(Phase.GONE in TRANSITIONS[phase] for phase in Phase if phase is not Phase.GONE)


def test_a_step_calls_the_timer_off() -> None:
    clock, called = ManualClock(), list[bool]()
    one = delivery(Phase.BACKOFF)
    one.timer = clock.call_at(clock.now() + 1, lambda: called.append(True))
    one.enter(Phase.READY)
    clock.advance(2)
    assert one.timer is None
    assert called == []


def test_a_manifest_stands_in_a_queue_of_its_own_and_goes_with_the_audio() -> None:
    manifest = Delivery(ManifestInfo("task/manifest.json", "task", EPOCH), 1)
    assert (manifest.queue, manifest.kind) == (("task",), Kind.AUDIO)
    assert (delivery().queue, delivery().kind) == (ANNA, Kind.AUDIO)


class Story:
    """An outbox over stores, a clock and perhaps a disk, which a random story moves."""

    def __init__(self, spool: Path | None) -> None:
        self.store_works = self.disk_works = True
        self.clock, self.heard = ManualClock(), Recorder()
        self.offered: list[Delivery] = []
        self.spool = Spool.open(spool_settings(spool), self.clock) if spool else None
        folder = self.spool.folder(StoreUrls("memory:")) if self.spool else None
        self.store = MemoryStore(fails=self._answer)
        self.outbox = Outbox(
            self.store,
            EncodingPool(Inline()),
            self.clock,
            self.heard,
            settings=OutboxSettings(count=4, uploads=2, backup_after=60.0),
            backoff=Backoff(give_up=300.0),
            chance=lambda: 0.0,
            spool=(self.spool, folder) if self.spool and folder else None,
            backup=MemoryStore(fails=self._answer, label="memory:backup"),
        )
        if folder is not None:
            write = folder.write
            folder.write = lambda number, file, judging=False: self._write(  # type: ignore[method-assign, assignment, misc]
                write, number, file
            )

    def _answer(self, key: str) -> StorageError | None:
        return None if self.store_works else StorageUnavailable(key, "503", "again")

    def _write(self, write: Callable[[int, File], Path], number: int, file: File) -> Path:
        if not self.disk_works:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(number, file)

    async def do(self, action: str, number: int) -> None:
        match action:
            case "offer" | "offer what cannot be made":
                key = f"{number % 3}/{len(self.offered)}"
                kind = Kind.VIDEO if number % 2 else Kind.AUDIO
                make = partial(file_of, key, 100, kind) if action == "offer" else broken
                cut = Delivery(info_of(key, 0, kind), 100, make)
                if self.outbox.offer(cut):
                    self.offered.append(cut)
            case "store":
                self.store_works = not self.store_works
            case "disk":
                self.disk_works = not self.disk_works
            case "hurry":
                self.outbox.hurry()
            case "wait":
                self.clock.advance(number)
        await self.quiet()

    async def quiet(self) -> None:
        """Until nothing moves without the clock."""
        while True:
            await settle(20)
            if not self.outbox.busy:
                return

    def check(self) -> None:
        count, held = self.outbox.counters, self.outbox.held
        done = count.overflowed + count.stored + count.dropped + count.abandoned + count.kept
        assert count.offered + count.adopted == done + held
        there = [one for one in self.offered if one.phase is not Phase.GONE]
        assert len(there) == held
        in_memory = [one for one in there if one.path is None]
        assert self.outbox.memory == sum(one.size for one in in_memory)
        if self.spool is not None:
            assert self.spool.ledger.bytes == sum(one.size for one in there if one.path)
        for one in there:
            assert (one.timer is not None) == (one.phase is Phase.BACKOFF)
            assert one.phase is not Phase.JUDGING, "no supplier, no judgement"

    async def end(self) -> None:
        await self.outbox.close()
        self.check()
        assert self.outbox.held == 0
        if self.spool is not None:
            await self.spool.close()


def broken() -> File:
    raise MediaError("no keyframe")


ACTIONS = ["offer", "offer", "offer what cannot be made", "store", "disk", "hurry", "wait"]


@pytest.mark.parametrize("spooled", [False, True])
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 90)), max_size=25))
def test_whatever_happens_the_table_holds_and_every_slice_is_counted(
    spooled: bool, story: list[tuple[str, int]]
) -> None:
    """`Delivery.enter` raises where a step is not in the table, and that would end an upload
    without its being counted."""

    async def run(folder: str) -> None:
        faults: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: faults.append(fault))
        told = Story(Path(folder) if spooled else None)
        for action, number in story:
            await told.do(action, number)
            told.check()
        await told.end()
        gc.collect()
        assert faults == [], "no task ended by an error"

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(folder))


@pytest.mark.parametrize("unless", [None, lambda _small: False])
def test_its_cut_is_let_go_once_it_is_made(unless: Unless | None) -> None:
    delivery = delivery_of("ada/0", kind=Kind.VIDEO)
    delivery.make_unless = lambda _unless: b""
    delivery.maker(unless)
    assert delivery.make_unless is None
