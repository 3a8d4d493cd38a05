"""The spool and what it promises: stories of stores, disks and processes that fail."""

import asyncio
import errno
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from slicer.delivery.copies import Copies
from slicer.delivery.delivery import Delivery, Phase
from slicer.delivery.sharing import Sharing
from slicer.delivery.spool import spool as module
from slicer.delivery.spool.folder import Folder, listing, read
from slicer.delivery.spool.record import StoreUrls, decode
from slicer.delivery.spool.settings import Fsync
from slicer.delivery.spool.spool import Spool, lock, locked
from slicer.errors import BadInput, MediaError, StorageError, StorageRefused
from slicer.media.slice import File
from slicer.rtp.parameters import Kind
from tests.harness.clock import ManualClock
from tests.harness.delivery.permits import Permits
from tests.harness.delivery.scripted_place import ScriptedPlace
from tests.harness.delivery.spooling import (
    URL,
    Run,
    assert_whole,
    delivery_of,
    failing_disk,
    file_of,
    info_of,
    spool_settings,
    unavailable,
)
from tests.harness.storage.memory import MemoryStore

MAX_AGE = spool_settings(Path("/")).max_age


def refused(key: str) -> StorageError:
    return StorageRefused(key, "403 AccessDenied", "grant it")


async def test_from_the_cut_to_the_store_by_way_of_the_disk(tmp_path: Path) -> None:
    bucket = MemoryStore(gate=asyncio.Event())
    run = Run(tmp_path, bucket)
    run.offer("ada/0", "bo/0")
    await run.until(lambda: len(bucket.tries) == 2)
    assert sorted(run.heard.spooled) == ["ada/0", "bo/0"]
    assert [read(path, run.folder.urls).info.key for path in run.records()] == ["ada/0", "bo/0"]
    assert (run.outbox.memory, run.outbox.held) == (0, 2), "what is on the disk takes no memory"
    assert bucket.gate is not None
    bucket.gate.set()
    await run.until(lambda: run.outbox.held == 0)
    await run.quiet()
    assert run.records() == []
    assert run.spool.ledger.bytes == 0
    assert_whole(bucket, ["ada/0", "bo/0"])
    assert run.balanced()
    await run.close()


async def test_a_slice_counts_only_once_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, MemoryStore())
    there: list[str] = []

    def on_spooled(file: File) -> None:
        # Read at once: its upload has not begun, so nobody removes it meanwhile.
        [record] = run.records()
        there.append(read(record, run.folder.urls).info.key)

    monkeypatch.setattr(run.heard, "on_spooled", on_spooled)
    keys = [f"ada/{number}" for number in range(5)]
    for key in keys:
        run.offer(key)
        await run.outbox.emptied()
        await run.quiet()
    assert there == keys
    await run.close()


async def test_the_record_stays_until_the_stored_slice_is_told_and_safe(tmp_path: Path) -> None:
    run = Run(tmp_path, MemoryStore())
    run.heard.confirms = asyncio.get_running_loop().create_future()
    run.offer("ada/0")
    await run.until(lambda: bool(run.heard.stored))
    await asyncio.sleep(0.01)
    assert len(run.records()) == 1
    run.heard.confirms.set_result(None)
    await run.quiet()
    assert run.records() == []
    await run.close()


async def test_where_telling_fails_it_is_sent_again_at_the_next_start(tmp_path: Path) -> None:
    bucket = MemoryStore()
    run = Run(tmp_path, bucket)
    run.heard.confirms = asyncio.get_running_loop().create_future()
    run.heard.confirms.set_exception(OSError("the queue's disk is full"))
    run.offer("ada/0")
    await run.until(lambda: bool(run.heard.stored))
    await run.close()
    again = Run(tmp_path, bucket)
    assert await again.recover() == 1
    await again.until(lambda: again.outbox.held == 0)
    assert again.heard.stored == ["ada/0"]
    await again.close()


@pytest.mark.parametrize("fault", [unavailable, refused])
async def test_a_store_dead_at_the_start(
    tmp_path: Path, fault: Callable[[str], StorageError]
) -> None:
    bucket = MemoryStore(fails=fault)
    run = Run(tmp_path, bucket)
    keys = [f"{anchor}/{number}" for anchor in ("ada", "bo") for number in range(20)]
    run.offer(*keys)
    await run.quiet()
    assert len(run.records()) == 40
    assert bucket.order == []
    bucket.fails = None
    await run.pass_until(lambda: run.outbox.held == 0, most=100)
    assert_whole(bucket, keys)
    for anchor in ("ada", "bo"):
        mine = [key for key in bucket.order if key.startswith(anchor)]
        assert mine == [f"{anchor}/{number}" for number in range(20)], "in order"
    assert run.balanced()
    await run.close()


async def test_killed_and_started_again_it_sends_what_is_there(tmp_path: Path) -> None:
    first = Run(tmp_path, MemoryStore(gate=asyncio.Event()))
    keys = [f"ada/{number}" for number in range(10)]
    first.offer(*keys)
    await first.until(lambda: len(first.heard.spooled) == 10)
    await first.die()
    (first.folder.path / f"{99:016d}.part").write_bytes(b"torn")
    bucket = MemoryStore()
    second = Run(tmp_path, bucket)
    assert await second.recover() == 10
    second.offer("ada/new")
    await second.until(lambda: second.outbox.held == 0)
    await second.quiet()
    assert bucket.order == [*keys, "ada/new"], "what is new comes after what is old"
    assert second.heard.stored == bucket.order
    assert list(second.folder.path.iterdir()) == []
    assert second.balanced()
    await second.close()


async def test_closing_keeps_what_is_on_the_disk(tmp_path: Path) -> None:
    run = Run(tmp_path, MemoryStore(gate=asyncio.Event()))
    run.offer("ada/0", "bo/0", "ada/1")
    await run.until(lambda: len(run.heard.spooled) == 3)
    await run.close()
    assert sorted(run.heard.kept) == ["ada/0", "ada/1", "bo/0"]
    assert run.heard.lost == []
    assert run.outbox.counters.kept == 3
    assert run.balanced()
    assert len(run.records()) == 3


async def test_a_damaged_record_is_told_and_kept_for_a_human(tmp_path: Path) -> None:
    run = Run(tmp_path, MemoryStore(fails=unavailable))
    run.offer("ada/0", "ada/1", "ada/2")
    await run.quiet()
    await run.close()
    cut, changed, _ = run.records()
    os.truncate(cut, 30)
    file = bytearray(changed.read_bytes())
    file[-1] ^= 1
    changed.write_bytes(file)
    bucket = MemoryStore()
    again = Run(tmp_path, bucket)
    await again.recover()
    await again.until(lambda: again.outbox.held == 0)
    await again.quiet()
    assert bucket.order == ["ada/2"]
    assert [key for key, _ in again.heard.lost] == ["ada/1"]
    assert {path.suffix for path in again.folder.path.iterdir()} == {".damaged"}
    assert again.spool.damaged == 2
    await again.close()


async def test_at_the_bound_the_oldest_pictures_go_and_it_is_told(tmp_path: Path) -> None:
    bucket = MemoryStore(fails=unavailable)
    spooling = spool_settings(tmp_path, max_bytes=1024 * 1024)
    run = Run(tmp_path, bucket, spooling=spooling)
    for number in range(10):
        run.offer(f"ada/{number}.ogg", size=50_000)
        run.offer(f"ada/{number}.png", size=50_000, kind=Kind.VIDEO)
        await run.quiet()
    assert run.heard.lost == []
    run.offer("ada/10.ogg", "ada/11.ogg", "ada/12.ogg", size=50_000)
    await run.quiet()
    lost = [key for key, _ in run.heard.lost]
    assert lost == ["ada/0.png", "ada/1.png", "ada/2.png"]
    assert all("spool.max_bytes" in str(error) for _, error in run.heard.lost)
    assert len(run.records()) == 20
    assert run.spool.ledger.bytes <= 1024 * 1024
    run.offer(*(f"ada/{number}.ogg" for number in range(20, 32)), size=50_000)
    await run.quiet()
    lost = [key for key, _ in run.heard.lost][3:]
    assert lost[:7] == [f"ada/{number}.png" for number in range(3, 10)]
    assert lost[7:] == [f"ada/{number}.ogg" for number in range(5)]
    bucket.fails = None
    await run.pass_until(lambda: run.outbox.held == 0, most=60)
    assert run.balanced()
    await run.close()


async def test_too_old_a_slice_is_given_up_and_told(tmp_path: Path) -> None:
    spooling = spool_settings(tmp_path, max_age=600.0)
    run = Run(tmp_path, MemoryStore(fails=unavailable), spooling=spooling)
    run.offer("ada/old")
    await run.quiet()
    await run.advance(300)
    run.offer("ada/new")
    await run.quiet()
    await run.advance(361)
    assert [key for key, _ in run.heard.lost] == ["ada/old"]
    assert "spool.max_age" in str(run.heard.lost[0][1])
    assert [read(path, run.folder.urls).info.key for path in run.records()] == ["ada/new"]
    await run.close()


async def test_age_goes_on_while_no_process_runs(tmp_path: Path) -> None:
    spooling = spool_settings(tmp_path, max_age=600.0)
    run = Run(tmp_path, MemoryStore(fails=unavailable), spooling=spooling)
    run.offer("ada/0")
    await run.quiet()
    await run.close()
    written = run.clock.wall(run.clock.now()).timestamp() - 590
    os.utime(run.records()[0], (written, written))
    again = Run(tmp_path, MemoryStore(fails=unavailable), spooling=spooling)
    await again.recover()
    await again.advance(61)
    assert [key for key, _ in again.heard.lost] == ["ada/0"]
    await again.close()


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[tuple[Spool, Folder, ManualClock]]:
    """A spool without an outbox."""
    clock = ManualClock()
    spool = Spool.open(spool_settings(tmp_path), clock)
    yield spool, spool.folder(StoreUrls(URL)), clock
    await spool.close()


async def written(spool: Spool, folder: Folder, key: str) -> tuple[Delivery, Path]:
    delivery = delivery_of(key, 7)
    delivery.number = spool.next_number()
    await spool.write(folder, delivery, file_of(key), never)
    assert delivery.path is not None
    return delivery, delivery.path


def never(delivery: Delivery, reason: str) -> None:
    raise AssertionError(f"{delivery.info.key} has to go: {reason}")


async def test_written_read_and_removed(alone: tuple[Spool, Folder, ManualClock]) -> None:
    spool, folder, clock = alone
    delivery, path = await written(spool, folder, "ada/1")
    assert (delivery.size, delivery.deadline) == (
        1000,
        clock.now() + spool_settings(folder.path).max_age,
    )
    assert delivery.make is None, "its cut takes no memory any more"
    assert await spool.read(delivery, folder.urls) == file_of("ada/1")
    spool.forget(delivery)
    spool.remove(path)
    await spool.close()
    assert not path.exists()
    assert spool.ledger.bytes == 0


async def test_what_is_gone_or_damaged_costs_its_slice(
    alone: tuple[Spool, Folder, ManualClock],
) -> None:
    spool, folder, _ = alone
    gone, damaged = [await written(spool, folder, key) for key in ("ada/1", "ada/2")]
    gone[1].unlink()
    damaged[1].write_bytes(b"SLICE1")
    for delivery, _ in (gone, damaged):
        with pytest.raises(MediaError, match="spool"):
            await spool.read(delivery, folder.urls)


async def test_adopted_with_the_age_it_has(alone: tuple[Spool, Folder, ManualClock]) -> None:
    spool, folder, clock = alone
    delivery, path = await written(spool, folder, "ada/1")
    spool.forget(delivery)
    age = clock.wall(clock.now()).timestamp() - 100
    os.utime(path, (age, age))
    adopted = spool.adopt(listing(folder.path)[0], never)
    assert adopted is not None
    assert (adopted.info, adopted.phase, adopted.number) == (info_of("ada/1"), Phase.MAKING, 1)
    assert adopted.deadline == pytest.approx(
        clock.now() + spool_settings(folder.path).max_age - 100
    )
    assert spool.ledger.bytes == 1000
    os.truncate(path, 10)
    assert spool.adopt(listing(folder.path)[0], never) is None


async def test_what_is_on_a_disk_that_went_read_only_is_sent_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, MemoryStore(fails=unavailable))
    run.offer("ada/0")
    await run.quiet()
    await run.close()

    def read_only(_path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    failing_disk(monkeypatch, errno.EROFS)
    monkeypatch.setattr(Path, "unlink", read_only)
    (run.folder.path / f"{9:016d}.part").write_bytes(b"torn")
    bucket = MemoryStore()
    again = Run(tmp_path, bucket)
    await again.recover()
    again.offer("ada/1")
    await again.until(lambda: again.outbox.held == 0)
    await again.quiet()
    assert bucket.order == ["ada/0", "ada/1"]
    assert len(again.records()) == 1, "it is sent again at the next start: the same bytes"
    await again.close()


async def test_a_record_that_cannot_be_read_just_now_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, MemoryStore(fails=unavailable))
    run.offer("ada/0")
    await run.quiet()
    await run.close()
    answers = [OSError(errno.EMFILE, "Too many open files"), None]

    def reluctant(path: Path, urls: StoreUrls) -> File:
        if error := answers.pop(0):
            raise error
        return read(path, urls)

    monkeypatch.setattr(module, "read", reluctant)
    bucket = MemoryStore()
    again = Run(tmp_path, bucket)
    await again.recover()
    await again.quiet()
    assert bucket.order == []
    await again.advance(6.0)
    assert bucket.order == ["ada/0"]
    assert again.heard.lost == []
    await again.close()


async def test_two_processes_do_not_send_one_spool(tmp_path: Path) -> None:
    run = Run(tmp_path, MemoryStore())
    with pytest.raises(BadInput, match="no other process uses"):
        Spool.open(spool_settings(tmp_path), ManualClock())
    await run.close()
    with locked(tmp_path), pytest.raises(BadInput):
        lock(tmp_path)
    os.close(lock(tmp_path))


async def test_the_folder_is_made_for_us_alone(tmp_path: Path) -> None:
    spool = Spool.open(spool_settings(tmp_path / "new" / "spool"), ManualClock())
    assert (tmp_path / "new" / "spool").stat().st_mode & 0o777 == 0o700
    await spool.close()
    await spool.close()


async def test_numbers_go_on_where_they_were(tmp_path: Path) -> None:
    spool = Spool.open(spool_settings(tmp_path), ManualClock())
    spool.folder(StoreUrls("s3://a")).write(41, file_of("ada/0"))
    await spool.close()
    assert Spool.open(spool_settings(tmp_path), ManualClock()).next_number() == 42


async def test_folders_that_are_empty_do_not_add_up(tmp_path: Path) -> None:
    run = Run(tmp_path, MemoryStore())
    run.offer("ada/0")
    await run.until(lambda: run.outbox.held == 0)
    await run.close()
    assert run.folder.path.is_dir()
    again = Run(tmp_path, MemoryStore())
    assert await again.recover() == 0
    assert list(tmp_path.iterdir()) == []
    again.offer("ada/1")
    await again.until(lambda: again.heard.spooled == ["ada/1"])
    await again.close()


async def test_every_second_what_is_still_there_is_forced_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[Path] = []
    monkeypatch.setattr(module, "sync", forced.append)
    bucket = MemoryStore()
    bucket.fails = lambda key: None if key == "ada/0" else unavailable(key)
    run = Run(tmp_path, bucket, spooling=spool_settings(tmp_path, fsync=Fsync.INTERVAL))
    run.offer("ada/0", "bo/0")
    await run.quiet()
    await run.advance(0.9)
    assert forced == []
    await run.advance(0.2)
    await run.until(lambda: len(forced) == 2)
    assert forced == [*run.records(), run.folder.path], "what the store has needs none"
    await run.close()


async def test_descriptors_do_not_add_up(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    run = Run(tmp_path, MemoryStore())
    run.offer(*(f"{number % 7}/{number}" for number in range(200)))
    await run.until(lambda: run.outbox.held == 0)
    await run.close()
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    descriptor = lock(tmp_path)
    assert fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC, "no child holds the lock"
    os.close(descriptor)


async def test_how_full_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = 2 * 1024**2
    bucket = MemoryStore(gate=asyncio.Event())
    run = Run(tmp_path, bucket, spooling=spool_settings(tmp_path, max_bytes=bound))
    assert await run.spool.load() == 0.0
    run.offer("ada/0", size=bound // 4)
    await run.until(lambda: len(run.records()) == 1)
    assert await run.spool.load() == 0.25
    for free in (module.LEAST_FREE, None):  # no room, and a disk that does not answer
        monkeypatch.setattr(module, "free_bytes", lambda _, free=free: free)
        assert await run.spool.load() == 1.0
    await run.close()


async def test_a_record_waits_until_it_may_be_delivered_and_then_has_a_copy(tmp_path: Path) -> None:
    place, clock, permits = ScriptedPlace(), ManualClock(), Permits()
    place.gate.set()
    sharing = Sharing(permits, Copies(place, clock))
    spool = Spool.open(spool_settings(tmp_path), clock, sharing)
    folder = spool.folder(StoreUrls(URL))
    delivery = delivery_of("ada/0")
    delivery.permission = permits.ask("ada/0")
    await spool.write(folder, delivery, file_of("ada/0"), lambda *_: None)
    assert delivery.path is not None
    assert delivery.path.name.endswith(".slice.waiting")
    assert place.asked == []
    await spool.mark_permitted(delivery)
    await spool.mark_permitted(delivery)  # it is known already
    assert delivery.path.suffix == ".slice"
    async with asyncio.timeout(20):
        while not place.there:
            await asyncio.sleep(0.001)
    ((key, record),) = place.there.items()
    header, _ = decode(record)
    taken = await spool.take(folder, ".judging", record, header)
    assert (taken.judging, header.copy, header.epoch) == (True, key, 7)
    found = [one for one in listing(folder.path) if one.judging]
    assert [(one.path, one.number, one.size, one.header) for one in found] == [
        (taken.path, taken.number, taken.size, taken.header)
    ]
    spool.remove(delivery.path)
    async with asyncio.timeout(20):
        while place.there:
            await asyncio.sleep(0.001)
    await spool.close()


@pytest.mark.parametrize("held", [True, False])
async def test_what_was_not_known_at_a_crash_is_asked_for_at_the_next_start(
    tmp_path: Path, held: bool
) -> None:
    clock, permits = ManualClock(), Permits()
    folder = Folder(tmp_path / "there", StoreUrls(URL), spool_settings(tmp_path))
    folder.write(1, file_of("ada/0"), waiting=True, epoch=7)
    permits.answers["task", 7] = held
    spool = Spool.open(spool_settings(tmp_path), clock, Sharing(permits))
    ((found,),) = (await spool.found()).values()
    assert found.waiting
    delivery = spool.adopt(found, lambda *_: None)
    assert delivery is not None
    assert delivery.permission is not None
    assert await delivery.permission.granted is held
    await spool.close()
