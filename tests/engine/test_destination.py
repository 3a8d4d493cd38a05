"""Stores are opened once for all who use them, checked first, and closed after the last."""

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from slicer import AudioSpec, Engine, Settings, SliceParams, TaskSpec
from slicer.clock import Clock, LoopClock
from slicer.delivery.delivery import Delivery
from slicer.delivery.encoding import EncodingPool
from slicer.delivery.outbox import Outbox
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.spool.folder import Folder
from slicer.delivery.spool.record import Header, StoreUrls, decode, describe, encode
from slicer.delivery.spool.spool import Spool
from slicer.engine.destination import TAKEN_AT_ONCE, Destinations, OutcomeRouter
from slicer.engine.destination_key import DestinationKey
from slicer.engine.events import SliceLost, SliceStored, TaskEvent, TaskTrouble
from slicer.engine.reports import TaskReports
from slicer.engine.running import RunningTask
from slicer.errors import StorageRefused, StorageUnavailable
from slicer.media.slice import File, ManifestInfo
from slicer.rtp.parameters import Kind
from slicer.storage import Credentials, Receipt
from slicer.storage.local import LocalStorage
from tests.harness.clock import EPOCH, ManualClock, settle
from tests.harness.delivery.spooling import file_of, info_of, spool_settings, with_fields
from tests.harness.fleet.in_process import until
from tests.harness.rooms.replay import talk


@pytest.fixture
def encoding() -> Iterator[EncodingPool]:
    pool = EncodingPool.open()
    yield pool
    pool.threads.join()


@pytest.fixture
def destinations(encoding: EncodingPool) -> Destinations:
    return make(encoding, ManualClock())


def make(encoding: EncodingPool, clock: Clock, spool: Spool | None = None) -> Destinations:
    nobody: dict[str, RunningTask] = {}
    told: list[TaskEvent] = []
    reports = OutcomeRouter(nobody.get, TaskReports(clock, told.append), clock)
    return Destinations(encoding, clock, OutboxSettings(), reports, spool)


async def test_one_for_all_who_name_the_same(destinations: Destinations, tmp_path: Path) -> None:
    key = DestinationKey(tmp_path.as_uri())
    first = await destinations.take(key)
    second = await destinations.take(key)
    assert first is second
    await destinations.give_back(first)
    assert destinations.all() == [second]
    await destinations.give_back(second)
    assert destinations.all() == []


async def test_other_credentials_are_another_store(
    destinations: Destinations, tmp_path: Path
) -> None:
    first = await destinations.take(DestinationKey(tmp_path.as_uri()))
    second = await destinations.take(DestinationKey(tmp_path.as_uri(), Credentials("a", "b")))
    assert first is not second
    for one in (first, second):
        await destinations.give_back(one)


async def test_a_store_that_fails_its_check_is_not_kept(
    destinations: Destinations, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageRefused):
        await destinations.take(DestinationKey((tmp_path / "file").as_uri()))
    assert destinations.all() == []


async def test_who_writes_where_is_told_apart_without_telling_who(tmp_path: Path) -> None:
    spool = Spool.open(spool_settings(tmp_path), ManualClock())
    folders = {
        spool.folder(StoreUrls("s3://a"), "KEYID").path,
        spool.folder(StoreUrls("s3://a"), "OTHER").path,
        spool.folder(StoreUrls("s3://a"), "", "KEYID").path,
        spool.folder(StoreUrls("s3://b"), "KEYID").path,
    }
    assert len(folders) == 4
    assert not [path for path in folders if "KEYID" in str(path)]
    await spool.close()


class Life:
    """Destinations over a spool, as one process has them."""

    def __init__(self, folder: Path, encoding: EncodingPool) -> None:
        self.told: list[TaskEvent] = []
        self.clock = LoopClock()
        self.spool = Spool.open(spool_settings(folder), self.clock)
        nobody: dict[str, RunningTask] = {}
        reports = OutcomeRouter(nobody.get, TaskReports(self.clock, self.told.append), self.clock)
        self.destinations = Destinations(
            encoding, self.clock, OutboxSettings(), reports, self.spool
        )

    def folder(self, key: DestinationKey) -> Folder:
        return self.spool.folder(key.urls, *key.key_ids)

    async def until(self, fits: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not fits():
                await asyncio.sleep(0.001)

    def stored(self) -> list[str]:
        return [event.slice.key for event in self.told if isinstance(event, SliceStored)]

    async def end(self) -> None:
        await self.destinations.close()
        await self.spool.close()


OLD, NEW = Credentials("old", "secret"), Credentials("new", "secret")


async def leave_behind(folder: Path, encoding: EncodingPool, key: DestinationKey) -> None:
    """A process that ends with a slice in its spool."""
    life = Life(folder, encoding)
    life.folder(key).write(1, file_of("ada/1"))
    await life.end()


@pytest.mark.parametrize("keys", [OLD, NEW])
async def test_what_an_earlier_process_left_is_sent_also_with_other_keys(
    tmp_path: Path, encoding: EncodingPool, keys: Credentials
) -> None:
    key = DestinationKey((tmp_path / "out").as_uri(), OLD)
    await leave_behind(tmp_path / "spool", encoding, key)
    life = Life(tmp_path / "spool", encoding)
    await life.destinations.recover(lambda _url, _task: keys)
    assert len(life.destinations.all()) == 1
    await life.until(lambda: life.destinations.all() == [])
    assert life.stored() == ["ada/1"], "and what nobody uses any more is closed"
    await life.end()


async def test_a_task_that_comes_with_the_keys_sends_what_was_stuck(
    tmp_path: Path, encoding: EncodingPool
) -> None:
    key = DestinationKey((tmp_path / "out").as_uri(), OLD)
    await leave_behind(tmp_path / "spool", encoding, key)
    life = Life(tmp_path / "spool", encoding)
    await life.destinations.recover(lambda _url, _task: None)
    assert [type(event) for event in life.told] == [TaskTrouble]
    assert life.destinations.all() == []
    destination = await life.destinations.take(key)
    await life.until(lambda: life.stored() == ["ada/1"])
    await life.destinations.give_back(destination)
    await life.end()


async def test_resend_once_the_keys_are_known(tmp_path: Path, encoding: EncodingPool) -> None:
    key = DestinationKey((tmp_path / "out").as_uri(), OLD)
    await leave_behind(tmp_path / "spool", encoding, key)
    life = Life(tmp_path / "spool", encoding)
    await life.destinations.recover(lambda _url, _task: None)
    life.destinations.resend(lambda _url, _task: OLD)
    life.destinations.resend(lambda _url, _task: OLD)
    await life.until(lambda: life.stored() == ["ada/1"])
    await life.end()
    assert life.stored() == ["ada/1"]


async def test_the_keys_of_any_task_send_what_was_stuck(
    tmp_path: Path, encoding: EncodingPool
) -> None:
    """The newest record's task may be forgotten, or be none, or it may have come without keys."""
    key = DestinationKey((tmp_path / "out").as_uri(), OLD)
    life = Life(tmp_path / "spool", encoding)
    folder = life.folder(key)
    folder.write(1, file_of("ada/1"))
    folder.write(2, file_of("ada/2"))
    path = folder.write(3, file_of("ada/3"))
    path.write_bytes(with_fields(path.read_bytes(), {"task": "gone", "keys": False}))
    await life.end()
    life = Life(tmp_path / "spool", encoding)
    await life.destinations.recover(lambda _url, task: OLD if task == "task" else None)
    assert [one.key for one in life.destinations.all()] == [key]
    await life.until(lambda: sorted(life.stored()) == ["ada/1", "ada/2", "ada/3"])
    await life.end()


async def test_a_record_for_another_store_is_told_as_lost_and_takes_none_with_it(
    tmp_path: Path, encoding: EncodingPool
) -> None:
    key = DestinationKey((tmp_path / "out").as_uri(), OLD)
    life = Life(tmp_path / "spool", encoding)
    folder = life.folder(key)
    path = folder.write(1, file_of("ada/1"))
    folder.write(2, file_of("ada/2"))
    path.write_bytes(with_fields(path.read_bytes(), {"to": (tmp_path / "odd").as_uri()}))
    await life.end()
    life = Life(tmp_path / "spool", encoding)
    await life.destinations.recover(lambda _url, _task: OLD)
    await life.until(lambda: life.destinations.all() == [])
    [lost] = [event for event in life.told if isinstance(event, SliceLost)]
    assert (lost.slice.key, life.stored()) == ("ada/1", ["ada/2"])
    assert "other stores" in lost.reason
    assert not (tmp_path / "odd").exists()
    await life.end()
    assert [path.suffix for path in folder.path.iterdir()] == [".damaged"]


async def test_with_a_spool_a_store_may_be_away_at_the_start(
    tmp_path: Path, encoding: EncodingPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_storage: LocalStorage) -> None:
        raise StorageUnavailable("", "no connection", "it is tried again")

    monkeypatch.setattr(LocalStorage, "check", away)
    key = DestinationKey(tmp_path.as_uri())
    with pytest.raises(StorageUnavailable):
        await make(encoding, ManualClock()).take(key)
    life = Life(tmp_path / "spool", encoding)
    destination = await life.destinations.take(key)
    assert str(destination.outbox.trouble) == "store: no connection; it is tried again"
    await life.destinations.give_back(destination)
    await life.end()


async def test_a_backup_is_checked_as_well(destinations: Destinations, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    backup = (tmp_path / "file").as_uri()
    with pytest.raises(StorageRefused):
        await destinations.take(DestinationKey(tmp_path.as_uri(), backup=backup))
    assert destinations.all() == []


def test_late_pictures_are_counted_for_the_task_and_logged_once_a_second(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Task:
        late = 0

        def on_late(self) -> None:
            self.late += 1

    clock, task = ManualClock(), Task()
    tasks = {"task": task}
    reports = OutcomeRouter(tasks.get, TaskReports(clock, print), clock)  # type: ignore[arg-type]
    for number in range(5):
        reports.on_late(info_of(f"ada/{number}.png", kind=Kind.VIDEO))
    reports.on_late(info_of("ada/5.png", kind=Kind.VIDEO, task="an earlier one"))
    assert task.late == 5
    assert [record.args[0] for record in caplog.records if record.args] == ["1 picture"]  # type: ignore[index]
    clock.advance(1.0)
    reports.on_late(info_of("ada/6.png", kind=Kind.VIDEO))
    reports.close()
    said = [record.getMessage() for record in caplog.records]
    assert [message.split()[1] for message in said] == ["1", "5", "1"]
    assert said[0] == "! 1 picture late: ready more than 2 s after being taken"
    assert said[1].startswith("! 5 pictures late")


def test_adopted_slices_wait_for_their_task_until_they_are_settled() -> None:
    nobody: dict[str, RunningTask] = {}
    clock = ManualClock()
    reports = OutcomeRouter(nobody.get, TaskReports(clock, lambda _event: None), clock)
    stored, lost, kept, left = (info_of(f"ada/{number}.ogg") for number in range(4))
    for info in (stored, lost, kept, left):
        reports.on_adopted(info)
    reports.on_stored(file_of(stored.key), Receipt(stored.key, 1, "tag"), "s3://b")
    failure = StorageUnavailable(lost.key, "503", "it is tried again")
    reports.on_failed(left, failure, False)
    reports.on_failed(lost, failure, True)
    reports.on_kept(kept)
    assert reports.take_adopted("task") == {left.key}
    assert reports.take_adopted("task") == set()
    reports.put_back("task", {left.key})
    assert reports.take_adopted("task") == {left.key}


async def test_who_waits_for_adopted_slices_hears_when_the_last_is_confirmed() -> None:
    nobody: dict[str, RunningTask] = {}
    clock, confirm = ManualClock(), asyncio.Event()

    async def confirmed(_event: SliceStored) -> None:
        await confirm.wait()

    reports = OutcomeRouter(nobody.get, TaskReports(clock, lambda _event: None, confirmed), clock)
    assert await reports.settled("task"), "nothing was left of it"
    stored, lost = (info_of(f"ada/{number}.ogg") for number in range(2))
    for info in (stored, lost):
        reports.on_adopted(info)
    waits = [asyncio.ensure_future(reports.settled("task")) for _ in range(2)]
    reports.on_failed(lost, StorageUnavailable(lost.key, "503", "it is lost"), True)
    confirmation = reports.on_stored(file_of(stored.key), Receipt(stored.key, 1, "tag"), "s3://b")
    assert confirmation is not None
    acknowledging = asyncio.ensure_future(confirmation)
    await settle()
    assert not any(wait.done() for wait in waits)
    confirm.set()
    await acknowledging
    assert await asyncio.gather(*waits) == [True, True]


@pytest.mark.parametrize("kept", [True, False])
async def test_who_waits_for_adopted_slices_hears_that_the_engine_closes(kept: bool) -> None:
    nobody: dict[str, RunningTask] = {}
    clock = ManualClock()
    reports = OutcomeRouter(nobody.get, TaskReports(clock, lambda _event: None), clock)
    info = info_of("ada/0.ogg")
    reports.on_adopted(info)
    wait = asyncio.ensure_future(reports.settled("task"))
    await settle()
    if kept:
        reports.on_kept(info)
    reports.close()
    assert not await wait


class ManifestTask:
    """Notes what a running task is told of its manifest, and would fail for a slice."""

    def __init__(self) -> None:
        self.settled, self.lost = 0, list[str]()

    def on_manifest_settled(self, _key: str) -> None:
        self.settled += 1

    def on_manifest_lost(self, _key: str, reason: str) -> None:
        self.lost.append(reason)


def test_a_manifest_is_told_to_its_task_alone_and_as_no_slice() -> None:
    told, task, clock = list[TaskEvent](), ManifestTask(), ManualClock()
    tasks = {"task": task}
    reports = OutcomeRouter(tasks.get, TaskReports(clock, told.append), clock)  # type: ignore[arg-type]
    failed = StorageUnavailable("manifest.json", "503", "it is lost")
    for owner in ("task", "of an earlier process"):
        info = ManifestInfo("manifest.json", owner, EPOCH, 2)
        file = File(info, b"{}", "application/json")
        reports.on_spooled(file)
        assert reports.on_stored(file, Receipt("manifest.json", 2, "tag"), "s3://b") is None
        reports.on_kept(info)
        reports.on_failed(info, failed, True)
    assert (task.settled, task.lost) == (2, [str(failed)])
    assert told == []


def test_of_a_task_that_has_gone_what_fails_for_good_is_told_all_the_same() -> None:
    told: list[TaskEvent] = []
    clock, nobody = ManualClock(), dict[str, RunningTask]()
    reports = OutcomeRouter(nobody.get, TaskReports(clock, told.append), clock)
    info = info_of("ada/1.ogg")
    reports.on_made(info)
    reports.on_late(info)
    reports.on_kept(info)
    reports.on_failed(info, StorageUnavailable("ada/1.ogg", "503", "again"), final=False)
    reports.on_failed(info, StorageRefused("ada/1.ogg", "403", "no"), final=True)
    reports.on_failed(ManifestInfo("m.json", "t", EPOCH), StorageRefused("m", "403", "no"), True)
    reports.on_recovered(info.task, "s3://b")
    reports.close()
    names = [type(event).__name__ for event in told]
    assert names == ["TaskTrouble", "SliceLost", "StoreRecovered"]


async def each(records: list[tuple[str, bytes]]) -> AsyncIterator[tuple[str, bytes]]:
    for record in records:
        yield record


def records_of(to: str, count: int) -> list[tuple[str, bytes]]:
    """What another process has cut for a store."""
    files = [file_of(f"ada/{number}.ogg") for number in range(count)]
    return [
        (
            f"task/00000001/x-{file.info.key}.slice",
            encode(describe(file, StoreUrls(to))) + file.data,
        )
        for file in files
    ]


def no_keys(_url: str, _task: str) -> Credentials | None:
    return None


@pytest.fixture
async def spooled(encoding: EncodingPool, tmp_path: Path) -> AsyncIterator[Destinations]:
    spool = Spool.open(spool_settings(tmp_path / "spool"), ManualClock())
    made = make(encoding, ManualClock(), spool)
    yield made
    await made.close()
    await spool.close()


async def test_what_was_taken_before_the_disk_failed_is_delivered_and_not_taken_again(
    spooled: Destinations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records, taken, take = records_of((tmp_path / "out").as_uri(), 3), list[int](), Folder.take

    def full_once(folder: Folder, number: int, suffix: str, record: bytes) -> Path:
        taken.append(number)
        if len(taken) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return take(folder, number, suffix, record)

    monkeypatch.setattr(Folder, "take", full_once)
    with pytest.raises(OSError, match="No space left"):
        await spooled.take_over(each(records), no_keys)
    (destination,) = spooled.all()
    assert destination.outbox.counters.adopted == 1
    assert await spooled.take_over(each(records), no_keys) == 2
    await until(lambda: len(list((tmp_path / "out").rglob("*.ogg"))) == 3)
    assert len(taken) == 4


async def test_what_waits_for_its_store_to_open_is_taken_once(spooled: Destinations) -> None:
    records = records_of("slices:reader", 3)
    assert await spooled.take_over(each(records), no_keys) == 3
    assert spooled.all() == []
    assert await spooled.take_over(each(records), no_keys) == 0


async def test_taking_over_leaves_the_loop_to_others(
    spooled: Destinations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No record is decoded on the loop, and what is here already is looked through once."""
    records = records_of((tmp_path / "out").as_uri(), 2 * TAKEN_AT_ONCE + 1)
    threads, looked, waiting = set[str](), list[Outbox](), Outbox.waiting

    def noted(record: bytes) -> tuple[Header, File]:
        threads.add(threading.current_thread().name)
        return decode(record)

    def counted(outbox: Outbox) -> Iterator[Delivery]:
        looked.append(outbox)
        return waiting(outbox)

    monkeypatch.setattr("slicer.engine.destination.decode", noted)
    monkeypatch.setattr(Outbox, "waiting", counted)
    handed = list[int]()

    async def watched() -> AsyncIterator[tuple[str, bytes]]:
        for record in records:
            handed.append(sum(one.outbox.counters.adopted for one in spooled.all()))
            yield record

    assert await spooled.take_over(watched(), no_keys) == len(records)
    assert sorted(set(handed)) == [0, TAKEN_AT_ONCE, 2 * TAKEN_AT_ONCE]
    assert threading.current_thread().name not in threads
    assert looked == [], "no outbox was open as it began"
    await spooled.take_over(each(records), no_keys)
    assert len(looked) == len(spooled.all())


async def test_what_another_engine_had_cut_is_delivered_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    out.write_text("no folder")
    mine, other = (
        Settings(spool=spool_settings(tmp_path / name), outbox=OutboxSettings(drain=0.0))
        for name in ("mine", "other")
    )
    room, params = talk(tmp_path / "ada.rtpdump", 5.0), SliceParams(AudioSpec(2), None)
    spec = TaskSpec(room, out.as_uri(), params, task="t", check_store=False)
    async with Engine(other) as engine:
        await engine.create(spec)
        await until(lambda: len(engine.operation.waiting()) == 3)
    paths = sorted((tmp_path / "other").rglob("*.slice"))
    records = [(f"t/00000001/x-{path.name}", path.read_bytes()) for path in paths]
    assert len(records) == 3
    wrong = [("u/00000001/x.slice", records[0][1]), ("t/00000001/y.slice", b"damaged")]
    async with Engine(mine) as engine:
        assert await engine.operation.take_over(each([*records, *wrong])) == 3
        assert await engine.operation.take_over(each(records)) == 0, "they are on their way"
        assert caplog.text.count("is left there") == 2
        assert 0 < await engine.operation.spool_load() < 0.01
        out.unlink()
        engine.operation.try_again()
        await until(lambda: not engine.operation.waiting())
    assert len(list(out.rglob("*.ogg"))) == 3
    async with Engine() as engine:  # without a spool nothing is taken over
        assert await engine.operation.take_over(each(records)) == 0
        assert await engine.operation.spool_load() == 0.0
