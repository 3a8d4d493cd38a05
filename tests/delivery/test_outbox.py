"""The outbox: bounds, tries, isolation, drain and close, with a clock that a test moves."""

import asyncio
import errno
import os
from functools import partial
from math import inf
from pathlib import Path

import pytest

from slicer.delivery import confirmations
from slicer.delivery.delivery import Delivery
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.spool.folder import Folder, read
from slicer.delivery.spool.spool import DISK_PATIENCE
from slicer.errors import (
    MediaError,
    StorageRefused,
    StorageUnavailable,
)
from slicer.media.slice import File
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey
from tests.harness.clock import settle
from tests.harness.delivery.outbox import (
    MemoryOutbox,
    delivery,
    file_of,
    refused,
    unavailable,
)
from tests.harness.delivery.recorder import Recorder
from tests.harness.delivery.spooling import Run, info_of, spool_settings
from tests.harness.delivery.spooling import file_of as spooled_file_of
from tests.harness.storage.memory import MemoryStore


async def test_what_is_offered_is_made_stored_and_told() -> None:
    bench = MemoryOutbox()
    assert bench.offer("a", "b") == [True, True]
    assert (bench.outbox.held, bench.heard.stored) == (2, [])
    await settle()
    assert bench.store.there == {"a": b"a", "b": b"b"}
    assert bench.heard == Recorder(made=[*"ab"], stored=[*"ab"], destinations=["memory:"] * 2)
    assert bench.outbox.counters.stored_bytes == 2
    assert bench.store.metadata["a"]["anchor"] == "a"
    assert bench.balanced()
    assert bench.clock.timers == []


async def test_no_more_side_by_side_than_set() -> None:
    bench = MemoryOutbox(OutboxSettings(uploads=3))
    bench.store.gates = {str(i): asyncio.Event() for i in range(7)}
    bench.offer(*bench.store.gates)
    await settle()
    assert bench.store.tries == ["0", "1", "2"]
    bench.store.gates["1"].set()
    await settle()
    assert bench.store.tries == ["0", "1", "2", "3"]
    for gate in bench.store.gates.values():
        gate.set()
    await settle()
    assert bench.store.busiest == 3
    assert len(bench.heard.stored) == 7


async def test_a_failure_is_tried_again_with_growing_waits() -> None:
    bench = MemoryOutbox()
    bench.store.faults["a"] = [unavailable("a") for _ in range(6)]
    bench.offer("a")
    await settle()
    for wait in (1, 2, 4, 8, 8, 8):  # half of 2, 4, 8, 16, 16, 16: chance is 0
        tries = len(bench.store.tries)
        await bench.advance(wait - 0.01)
        assert len(bench.store.tries) == tries
        await bench.advance(0.01)
        assert len(bench.store.tries) == tries + 1
    assert bench.heard.stored == ["a"]
    assert bench.outbox.counters.failures == 6
    assert bench.balanced()


async def test_a_waiting_job_takes_no_upload_from_others() -> None:
    bench = MemoryOutbox(OutboxSettings(uploads=1))
    bench.store.faults["bad"] = [unavailable("bad")]
    bench.offer("bad", "good", "better")
    await settle()
    assert bench.heard.stored == ["good", "better"]
    await bench.advance(1.0)
    assert bench.heard.stored == ["good", "better", "bad"]


async def test_a_refusal_is_tried_again_slowly() -> None:
    bench = MemoryOutbox()
    bench.store.faults["a"] = [refused("a"), refused("a")]
    bench.offer("a")
    await settle()
    await bench.advance(59.9)
    assert bench.store.tries == ["a"]
    await bench.advance(0.1)
    assert bench.store.tries == ["a", "a"]
    await bench.advance(60)
    assert bench.heard.stored == ["a"]


async def test_a_refusing_store_is_told_once_until_it_takes_something() -> None:
    bench = MemoryOutbox()
    bench.store.fails = refused
    bench.offer("a", "b", "c")
    await settle()
    await bench.advance(180)
    assert [(key, final) for key, _, final in bench.heard.failed] == [("a", False)]
    bench.store.fails = None
    await bench.advance(60)
    assert sorted(bench.heard.stored) == ["a", "b", "c"]
    bench.store.fails = refused
    bench.offer("d")
    await settle()
    assert [key for key, _, _ in bench.heard.failed] == ["a", "d"]


async def test_a_refusal_is_told_although_an_outage_was() -> None:
    bench = MemoryOutbox()
    bench.store.faults["a"] = [unavailable("a"), unavailable("a"), refused("a")]
    bench.offer("a")
    await settle()
    await bench.advance(10)
    assert [type(error) for _, error, _ in bench.heard.failed] == [
        StorageUnavailable,
        StorageRefused,
    ]


async def test_what_cannot_be_made_is_dropped_and_told() -> None:
    def broken() -> File:
        raise MediaError("no keyframe")

    bench = MemoryOutbox()
    assert bench.outbox.offer(delivery("bad", broken))
    bench.offer("good")
    await settle()
    [(key, error, final)] = bench.heard.failed
    assert (key, str(error), final) == ("bad", "no keyframe", True)
    assert bench.heard.stored == ["good"]
    assert bench.store.tries == ["good"]
    assert bench.outbox.counters.dropped == 1
    assert bench.balanced()


async def test_a_fault_of_the_maker_costs_one_slice() -> None:
    bench = MemoryOutbox()
    bench.outbox.offer(delivery("bad", lambda: file_of(str(1 // 0))))
    await settle()
    [(_, error, final)] = bench.heard.failed
    assert isinstance(error, MediaError)
    assert "ZeroDivisionError" in str(error)
    assert final
    assert bench.balanced()


async def test_a_fault_of_a_vendors_module_loses_nothing() -> None:
    bench = MemoryOutbox()
    bench.store.faults["a"] = [KeyError("ETag")]
    bench.offer("a")
    await settle()
    [(_, error, final)] = bench.heard.failed
    assert "KeyError" in str(error)
    assert not final
    await bench.advance(1.0)
    assert bench.heard.stored == ["a"]


async def test_a_file_is_made_anew_for_each_try() -> None:
    bench, makes = MemoryOutbox(), list[str]()
    bench.store.faults["a"] = [unavailable("a")]

    def make() -> File:
        makes.append("a")
        return file_of("a")

    bench.outbox.offer(delivery("a", make))
    await settle()
    await bench.advance(1.0)
    assert makes == ["a", "a"]
    assert bench.heard.stored == ["a"]


async def test_patience_ends() -> None:
    bench = MemoryOutbox()
    bench.store.fails = unavailable
    bench.offer("a")
    await settle()
    await bench.advance(999)
    assert bench.outbox.held == 1
    await bench.advance(10)
    assert [final for _, _, final in bench.heard.failed] == [False, True]
    assert bench.outbox.counters.dropped == 1
    assert bench.balanced()
    assert bench.clock.timers == []


async def test_the_bound_on_count() -> None:
    bench = MemoryOutbox(OutboxSettings(count=2))
    bench.store.fails = unavailable
    assert bench.offer("a", "b", "c", "d") == [True, True, False, False]
    assert bench.outbox.counters.overflowed == 2
    assert bench.heard.overflow == [1]
    await settle()
    assert bench.offer("e") == [False], "what waits for its next try is still held"
    bench.store.fails = None
    await bench.advance(1.0)
    assert bench.heard.overflow == [1, 2]
    assert bench.offer("f") == [True]
    await settle()
    assert bench.heard.stored == ["a", "b", "f"]
    assert bench.balanced()


async def test_the_bound_on_memory() -> None:
    bench = MemoryOutbox(OutboxSettings(memory=1000))
    bench.store.fails = unavailable
    offers = [bench.outbox.offer(delivery(key, size=400)) for key in "abc"]
    assert offers == [True, True, False]
    assert bench.outbox.memory == 800
    assert bench.outbox.offer(delivery("d", size=200)), "a smaller one still fits"
    assert bench.outbox.memory == 1000
    bench.store.fails = None
    await settle()
    assert bench.outbox.memory == 0
    assert bench.balanced()


async def test_drain_of_nothing_returns_at_once() -> None:
    bench = MemoryOutbox()
    assert await bench.outbox.drain(10) == []
    assert bench.clock.timers == []


async def test_drain_waits_until_all_is_stored() -> None:
    bench = MemoryOutbox()
    bench.store.gates["a"] = asyncio.Event()
    bench.offer("a", "b")
    draining = asyncio.ensure_future(bench.outbox.drain(10))
    await settle()
    assert not draining.done()
    bench.store.gates["a"].set()
    assert await draining == []
    assert sorted(bench.heard.stored) == ["a", "b"]
    assert bench.clock.timers == []


async def test_drain_tries_at_once_what_waits() -> None:
    bench = MemoryOutbox()
    bench.store.faults = {"a": [refused("a")], "b": [unavailable("b")]}
    bench.offer("a", "b")
    await settle()
    assert bench.heard.stored == []
    assert await bench.outbox.drain(10) == []
    assert bench.heard.stored == ["a", "b"]
    assert bench.clock.timers == []


async def test_drain_ends_and_names_what_is_left() -> None:
    bench = MemoryOutbox()
    bench.store.faults["a"] = [refused("a"), refused("a")]
    bench.store.gates["b"] = asyncio.Event()
    bench.offer("a", "b", "c")
    draining = asyncio.ensure_future(bench.outbox.drain(5))
    await settle()
    await bench.advance(4.9)
    assert not draining.done()
    await bench.advance(0.1)
    assert await draining == ["a", "b"]
    assert bench.outbox.held == 2
    await bench.outbox.close()


async def test_close_tells_what_is_lost_and_leaves_nothing_running() -> None:
    bench = MemoryOutbox(OutboxSettings(uploads=2))
    bench.store.faults["waits"] = [refused("waits")]
    bench.store.gates = {key: asyncio.Event() for key in ("under way", "too")}
    bench.offer("waits")
    await settle()
    bench.offer("under way", "too", "not yet begun")
    await settle()
    bench.heard.failed.clear()
    await bench.outbox.close()
    await bench.outbox.close()
    lost = [key for key, _, final in bench.heard.failed if final]
    assert sorted(lost) == ["not yet begun", "too", "under way", "waits"]
    assert bench.outbox.counters.abandoned == 4
    assert bench.balanced()
    assert bench.clock.timers == []
    assert len(asyncio.all_tasks()) == 1


async def test_a_closed_outbox_takes_nothing_and_counts_it() -> None:
    bench = MemoryOutbox()
    await bench.outbox.close()
    assert bench.offer("a") == [False]
    assert bench.outbox.counters.overflowed == 1
    await settle()
    assert bench.store.tries == []
    assert bench.balanced()


async def test_two_outboxes_do_not_hold_each_other_up() -> None:
    dead, alive = MemoryOutbox(), MemoryOutbox()
    dead.store.fails = refused
    dead.offer(*(str(i) for i in range(50)))
    alive.offer("a")
    await settle()
    assert alive.heard.stored == ["a"]
    await dead.outbox.close()


async def test_each_task_hears_of_a_store_that_fails_once() -> None:
    bench = MemoryOutbox()
    bench.store.fails = refused
    bench.offer("a", "b", "c", "d")
    await settle()
    assert bench.outbox.offer(delivery("x", of=TrackKey("another", "x", Kind.AUDIO)))
    await settle()
    assert [key for key, _, _ in bench.heard.failed] == ["a", "x"]
    assert "x" not in bench.store.tries, "told although the circuit was open before it came"
    await bench.outbox.close()


async def test_an_outage_is_met_by_one_upload_at_a_time() -> None:
    bench = MemoryOutbox(OutboxSettings(uploads=4))
    bench.store.fails = unavailable
    bench.offer(*(str(number) for number in range(100)))
    await settle()
    first = len(bench.store.tries)
    assert first <= 3 + 4, "three failures, and what was under way"
    await bench.advance(60)
    assert len(bench.store.tries) - first <= 8
    bench.store.fails = None
    await bench.advance(16)
    assert len(bench.heard.stored) == 100


async def test_a_track_keeps_its_order_over_an_outage() -> None:
    bench = MemoryOutbox()
    bench.store.fails = unavailable
    keys = [f"{anchor}/{number}" for number in range(10) for anchor in ("ada", "bo", "cy", "di")]
    bench.offer(*keys)
    await settle()
    await bench.advance(100)
    bench.store.fails = None
    await bench.advance(17)
    for anchor in ("ada", "bo", "cy", "di"):
        mine = [key for key in bench.heard.stored if key.startswith(anchor)]
        assert mine == [f"{anchor}/{number}" for number in range(10)]


async def test_a_slice_that_fails_alone_holds_up_nobody() -> None:
    bench = MemoryOutbox()
    bench.store.faults["ada/0"] = [refused("ada/0")]
    bench.offer("ada/0", "ada/1", "bo/0")
    await settle()
    assert sorted(bench.heard.stored) == ["ada/1", "bo/0"]
    await bench.advance(60)
    assert bench.heard.stored[-1] == "ada/0"


async def test_a_store_that_asks_for_time_is_left_alone_at_once() -> None:
    bench = MemoryOutbox(OutboxSettings(uploads=1))
    busy = StorageUnavailable("a", "503 SlowDown", "it is tried again", retry_after=17.0)
    bench.store.faults["a"] = [busy]
    bench.offer("a", "b")
    await settle()
    await bench.advance(16.9)
    assert bench.store.tries == ["a"]
    await bench.advance(0.2)
    assert sorted(bench.heard.stored) == ["a", "b"]


async def test_small_slices_go_first() -> None:
    bench = MemoryOutbox(OutboxSettings(uploads=1))
    bench.store.gates["first"] = asyncio.Event()
    bench.offer("first")
    await settle()
    for key, size in (("large", 500_000), ("small", 60_000), ("middle", 100_000)):
        bench.outbox.offer(delivery(key, size=size))
    bench.store.gates["first"].set()
    await settle()
    assert bench.heard.stored == ["first", "small", "middle", "large"]


async def test_a_file_made_after_it_was_due_is_counted_and_delivered() -> None:
    bench = MemoryOutbox(OutboxSettings(uploads=1))
    bench.store.gates["first"] = asyncio.Event()
    due = bench.clock.now() + 2.0
    for key in ("first", "late", "whenever"):
        assert bench.outbox.offer(delivery(key, due=inf if key == "whenever" else due))
    await settle()
    await bench.advance(2.1)
    bench.store.gates["first"].set()
    await settle()
    assert bench.heard.stored == ["first", "late", "whenever"]
    assert bench.heard.late == ["late"], "it waited for its upload, and was made then"
    assert bench.outbox.counters.late == 1
    assert bench.balanced()


async def test_made_in_time_it_is_not_late_when_the_store_is() -> None:
    bench = MemoryOutbox()
    bench.store.faults["a"] = [unavailable("a")] * 3
    bench.offer("b")
    assert bench.outbox.offer(delivery("a", due=bench.clock.now() + 2.0))
    await settle()
    await bench.advance(60)
    assert sorted(bench.heard.stored) == ["a", "b"]
    assert (bench.heard.late, bench.outbox.counters.late) == ([], 0)


async def test_a_disk_that_fails_is_told_once_a_task_until_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_folder: Folder, _number: int, _file: File, _judging: bool) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def offer(task: str, key: str) -> None:
        run.clock.advance(DISK_PATIENCE)
        cut = Delivery(info_of(key, 0, task=task), 10, partial(spooled_file_of, key))
        assert run.outbox.offer(cut)
        await run.quiet()

    run = Run(tmp_path, MemoryStore())
    for broken in (True, False, True):
        with monkeypatch.context() as patched:
            if broken:
                patched.setattr(Folder, "write", full)
            for number, task in enumerate(("one", "one", "two")):
                await offer(task, f"ada/{broken}{number}")
    troubles = [error for _, error in run.heard.trouble]
    assert len(troubles) == 4, "once for each of two tasks, and again after it worked"
    assert all("No space left" in str(error) for error in troubles)
    assert run.spool.failures == 6
    assert run.outbox.counters.stored == 9
    assert run.balanced()
    await run.close()


async def test_what_is_not_confirmed_in_time_stays_in_the_spool(tmp_path: Path) -> None:
    run = Run(tmp_path, MemoryStore())
    answers = [asyncio.get_running_loop().create_future() for _ in range(3)]
    for number, answer in enumerate(answers):
        run.heard.confirms = answer
        run.offer(f"ada/{number}")
        await run.outbox.emptied()
    answers[0].set_result(None)
    answers[1].set_exception(OSError("the queue is full"))
    answers[2].cancel()
    await run.close()
    assert [read(path, run.folder.urls).info.key for path in run.records()] == ["ada/1", "ada/2"]


async def test_the_bound_on_what_is_not_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirmations, "MAX_UNCONFIRMED", 2)
    run = Run(tmp_path, MemoryStore(), settings=OutboxSettings(uploads=1))
    run.heard.confirms = asyncio.get_running_loop().create_future()
    keys = [f"ada/{number}" for number in range(4)]
    run.offer(*keys)
    await run.until(lambda: run.outbox.counters.spooled == 4 and run.outbox.unconfirmed == 2)
    assert run.bucket.tries == keys[:2]
    assert run.outbox.held == 2, "the rest waits where it is counted"
    run.heard.confirms.set_result(None)
    await run.outbox.emptied()
    await run.quiet()
    assert run.bucket.order == keys
    assert run.records() == []
    assert run.balanced()
    await run.close()


async def test_a_slice_that_fits_into_no_spool_keeps_no_other_from_it(tmp_path: Path) -> None:
    spooling = spool_settings(tmp_path, max_bytes=1024 * 1024)
    run = Run(tmp_path, MemoryStore(), spooling=spooling)
    for key, size in (("ada/large", 2_000_000), ("bo/small", 1000)):
        run.offer(key, size=size)
        await run.quiet()
    assert run.heard.spooled == ["bo/small"]
    assert run.bucket.order == ["ada/large", "bo/small"]
    assert "larger than what the spool may hold" in str(run.heard.trouble[0][1])
    await run.close()


async def test_what_waits_is_dropped_by_hand() -> None:
    bench = MemoryOutbox()
    bench.store.fails = unavailable
    bench.offer("a", "b")
    await settle()
    assert (bench.outbox.drop("a", "by mara"), bench.outbox.drop("a", "by mara")) == (True, False)
    assert [one.info.key for one in bench.outbox.waiting()] == ["b"]
