"""Slices of tasks that others may have next: what waits for its permission, on the disk and after a
crash, and the copies of what has it.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from slicer.delivery.copies import Copies
from slicer.delivery.delivery import NOT_PERMITTED
from slicer.delivery.sharing import Sharing
from slicer.delivery.spool.record import StoreUrls, decode
from slicer.delivery.spool.spool import Spool
from slicer.errors import MediaError, StorageUnavailable
from tests.harness.clock import ManualClock
from tests.harness.delivery.permits import EPOCH, Permits
from tests.harness.delivery.scripted_place import ScriptedPlace
from tests.harness.delivery.spooling import (
    URL,
    Run,
    assert_whole,
    delivery_of,
    file_of,
    spool_settings,
    unavailable,
    with_fields,
)
from tests.harness.storage.memory import MemoryStore

BOTH = ("ada/0", "bo/0")


@dataclass
class Life:
    """One life of a process that shares its tasks."""

    run: Run
    permits: Permits

    def offer(self, *keys: str) -> None:
        for key in keys:
            delivery = delivery_of(key)
            delivery.permission = self.permits.ask(key)
            assert self.run.outbox.offer(delivery)

    def names(self) -> list[str]:
        return sorted(path.name.partition(".")[2] for path in self.run.folder.path.glob("*.*"))


def life(folder: Path, bucket: MemoryStore, place: ScriptedPlace | None = None) -> Life:
    permits, clock = Permits(), ManualClock()
    copies = None if place is None else Copies(place, clock)
    return Life(Run(folder, bucket, clock, sharing=Sharing(permits, copies)), permits)


async def crashed(folder: Path, bucket: MemoryStore) -> Life:
    """One that was killed while both of its slices waited for their permission."""
    before = life(folder, bucket)
    before.offer(*BOTH)
    await before.run.until(lambda: before.names() == ["slice.waiting"] * 2)
    await before.run.die()
    return before


async def copied(folder: Path, bucket: MemoryStore, place: ScriptedPlace) -> Life:
    """One that was killed while a permitted slice waited for its store; the copy is there."""
    before = life(folder, bucket, place)
    before.offer("ada/0")
    before.permits.asked["ada/0"].set_result(True)
    await before.run.until(lambda: len(place.there) == 1)
    await before.run.die()
    return before


def open_place() -> ScriptedPlace:
    place = ScriptedPlace()
    place.gate.set()
    return place


async def test_a_slice_waits_on_the_disk_and_goes_once_it_may(tmp_path: Path) -> None:
    bucket = MemoryStore(gate=asyncio.Event())
    here = life(tmp_path, bucket)
    here.offer(*BOTH)
    await here.run.until(lambda: len(here.run.heard.spooled) == 2)
    assert here.names() == ["slice.waiting"] * 2
    assert bucket.tries == []
    here.permits.asked["ada/0"].set_result(True)
    here.permits.asked["bo/0"].set_result(False)
    await here.run.until(lambda: bucket.tries == ["ada/0"] and here.names() == ["slice"])
    assert [(key, NOT_PERMITTED in str(error)) for key, error in here.run.heard.lost] == [
        ("bo/0", True)
    ]
    assert bucket.gate is not None
    bucket.gate.set()
    await here.run.until(lambda: here.run.outbox.held == 0)
    await here.run.quiet()
    assert here.names() == []
    assert here.run.balanced()
    await here.run.close()


async def assert_delivered(tmp_path: Path, bucket: MemoryStore) -> None:
    """The next life has the epoch still, and delivers both."""
    after = life(tmp_path, bucket)
    after.permits.answers["task", EPOCH] = True
    assert await after.run.recover() == 2
    await after.run.until(lambda: after.run.outbox.held == 0)
    assert_whole(bucket, list(BOTH))
    await after.run.close()


async def test_after_a_crash_the_epoch_decides(tmp_path: Path) -> None:
    bucket = MemoryStore()
    await crashed(tmp_path, bucket)
    await assert_delivered(tmp_path, bucket)


async def test_what_another_one_may_have_cut_since_is_refused_and_told(tmp_path: Path) -> None:
    bucket = MemoryStore()
    await crashed(tmp_path, bucket)
    after = life(tmp_path, bucket)
    after.permits.answers["task", EPOCH] = False
    assert await after.run.recover() == 2
    await after.run.until(lambda: after.run.outbox.held == 0)
    await after.run.quiet()
    assert (bucket.tries, after.names()) == ([], [])
    assert sorted(key for key, _ in after.run.heard.lost) == sorted(BOTH)
    assert after.run.balanced()
    await after.run.close()


async def test_while_nobody_can_say_who_has_its_task_a_slice_stays_on_the_disk(
    tmp_path: Path,
) -> None:
    bucket = MemoryStore()
    await crashed(tmp_path, bucket)
    after = life(tmp_path, bucket)
    after.permits.uncertain.add("task")
    assert await after.run.recover() == 2
    await after.run.quiet()
    assert after.run.outbox.held == 0
    assert (bucket.tries, after.run.heard.lost) == ([], [])
    assert after.names() == ["slice.waiting"] * 2
    await after.run.die()
    await assert_delivered(tmp_path, bucket)


async def test_a_copy_is_the_record_and_goes_with_it(tmp_path: Path) -> None:
    bucket, place = MemoryStore(gate=asyncio.Event()), open_place()
    here = life(tmp_path, bucket, place)
    here.offer(*BOTH)
    await here.run.until(lambda: len(here.run.heard.spooled) == 2)
    assert place.there == {}, "nobody may deliver them yet"
    here.permits.asked["ada/0"].set_result(True)
    here.permits.asked["bo/0"].set_result(False)
    await here.run.until(lambda: len(place.there) == 1)
    (key,) = place.there
    assert key.startswith(f"task/{EPOCH:08d}/")
    assert key.endswith(".slice")
    (record,) = here.run.records()
    assert place.there[key] == record.read_bytes()
    assert bucket.gate is not None
    bucket.gate.set()
    await here.run.until(lambda: not place.there)
    await here.run.close()


async def test_who_is_started_again_deletes_the_copies_of_what_it_finds(tmp_path: Path) -> None:
    bucket, place = MemoryStore(fails=unavailable), open_place()
    await copied(tmp_path, bucket, place)
    bucket.fails = None
    after = life(tmp_path, bucket, place)
    assert await after.run.recover() == 1
    await after.run.until(lambda: bucket.order == ["ada/0"] and not place.there)
    await after.run.close()


async def test_the_copy_of_a_record_that_names_other_stores_is_sent_in_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bucket, place = MemoryStore(fails=unavailable), open_place()
    before = await copied(tmp_path, bucket, place)
    (record,) = before.run.records()
    record.write_bytes(with_fields(record.read_bytes(), {"to": "s3://another"}))
    bucket.fails = None
    after = life(tmp_path, bucket, place)
    assert await after.run.recover() == 1
    await after.run.until(lambda: bucket.order == ["ada/0"] and not place.there)
    assert "other stores than its folder is for; its copy is whole" in caplog.text
    assert after.run.heard.lost == []
    await after.run.close()


@pytest.mark.parametrize("granted", [True, False])
async def test_one_that_is_known_at_once_is_written_once(tmp_path: Path, granted: bool) -> None:
    bucket, place = MemoryStore(gate=asyncio.Event()), open_place()
    here = life(tmp_path, bucket, place)
    delivery = delivery_of("ada/0")
    delivery.permission = here.permits.ask("ada/0")
    delivery.permission.granted.set_result(granted)
    assert here.run.outbox.offer(delivery)
    wanted = ["slice"] if granted else []
    await here.run.until(lambda: here.names() == wanted and len(place.there) == len(wanted))
    await here.run.until(lambda: len(here.run.heard.lost) == (not granted))
    assert bucket.gate is not None
    bucket.gate.set()
    await here.run.until(lambda: here.run.outbox.held == 0)
    await here.run.close()


async def test_where_nobody_can_say_they_stay(tmp_path: Path) -> None:
    """As when a spool is sent by hand, without its worker."""
    bucket = MemoryStore()
    before = await crashed(tmp_path, bucket)
    alone = Run(tmp_path, bucket)
    assert await alone.recover() == 2
    await alone.quiet()
    assert (alone.outbox.held, bucket.tries, alone.heard.lost) == (0, [], [])
    assert before.names() == ["slice.waiting"] * 2
    await alone.close()


async def test_one_that_is_refused_already_is_not_written_as_one_to_be_delivered(
    tmp_path: Path,
) -> None:
    here = life(tmp_path, MemoryStore(), open_place())
    delivery = delivery_of("ada/0")
    delivery.permission = here.permits.ask("ada/0")
    delivery.permission.granted.set_result(False)
    await here.run.spool.write(here.run.folder, delivery, file_of("ada/0"), lambda *_: None)
    assert here.names() == ["slice.waiting"], "a crash now must not deliver it"
    await here.run.close()


async def test_after_a_restart_what_the_spool_has_is_not_taken_from_its_copy(
    tmp_path: Path,
) -> None:
    bucket, place = MemoryStore(fails=unavailable), open_place()
    before = life(tmp_path, bucket, place)
    before.offer(*BOTH)
    for key in BOTH:
        before.permits.asked[key].set_result(True)
    await before.run.until(lambda: len(place.there) == 2)
    await before.run.die()
    before.run.records()[0].unlink()  # of this one the copy alone is left
    after = life(tmp_path, bucket, place)
    assert await after.run.recover() == 1
    assert after.run.spool.copies is not None
    found = [one async for one in after.run.spool.copies.of_others("task", EPOCH)]
    assert [decode(record)[0].info.key for _, record in found] == ["ada/0"]
    await after.run.close()


async def test_the_copy_of_a_damaged_record_is_sent_in_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place, clock, permits = open_place(), ManualClock(), Permits()
    spool = Spool.open(spool_settings(tmp_path), clock, Sharing(permits, Copies(place, clock)))
    folder = spool.folder(StoreUrls(URL))
    deliveries = [delivery_of(f"ada/{number}") for number in range(3)]
    for delivery in deliveries:
        delivery.number = spool.next_number()
        delivery.permission = permits.ask(delivery.info.key)
        await spool.write(folder, delivery, file_of(delivery.info.key), lambda *_: None)
        await spool.mark_permitted(delivery)
        assert delivery.path is not None
    async with asyncio.timeout(20):
        while len(place.there) < 3:
            await asyncio.sleep(0.001)
    for delivery in deliveries:
        assert delivery.path is not None
        delivery.path.write_bytes(b"SLICE1")
    whole, torn, foreign = deliveries
    keys = {decode(data)[0].info.key: key for key, data in place.there.items()}
    place.failing = True
    with pytest.raises(StorageUnavailable, match="its copy"):
        await spool.read(whole, folder.urls)
    place.failing = False
    assert await spool.read(whole, folder.urls) == file_of("ada/0")
    assert "its copy is whole, and is sent" in caplog.text
    place.there[keys["ada/1"]] = b"SLICE1"
    place.there[keys["ada/2"]] = place.there[keys["ada/0"]]
    for delivery in (torn, foreign):
        with pytest.raises(MediaError, match="spool"):
            await spool.read(delivery, folder.urls)
    assert spool.damaged == 3
    await spool.close()
