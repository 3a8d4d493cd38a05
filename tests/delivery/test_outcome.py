"""What tasks hear of a store that fails and works again."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from slicer.delivery.encoding import EncodingPool
from slicer.delivery.outbox import Outbox
from slicer.media.slice import File
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey
from slicer.storage.local import LocalStorage
from tests.harness.clock import ManualClock, settle
from tests.harness.delivery import spooling
from tests.harness.delivery.outbox import MemoryOutbox, delivery, file_of, refused, unavailable
from tests.harness.delivery.recorder import Recorder


async def test_each_task_that_heard_of_a_failure_hears_of_the_recovery() -> None:
    bench = MemoryOutbox()
    bench.store.fails = refused
    bench.offer("a")
    assert bench.outbox.offer(delivery("x", of=TrackKey("another", "x", Kind.AUDIO)))
    await settle()
    assert bench.heard.recovered == []
    bench.store.fails = None
    bench.offer("b")
    await bench.advance(60)
    assert bench.heard.recovered == [("another", "memory:"), ("task", "memory:")]
    bench.offer("c")
    await bench.advance(1)
    assert len(bench.heard.recovered) == 2, "once"


async def test_what_a_check_found_is_known_until_the_store_takes_something() -> None:
    bench = MemoryOutbox()
    bench.store.faults["a"] = [unavailable("a")]
    error = unavailable("")
    bench.outbox.note_trouble("task", error)
    assert bench.outbox.trouble is error
    bench.offer("a")
    await settle()
    assert bench.heard.failed == [], "the task has heard of it"
    await bench.advance(10)
    assert bench.heard.stored == ["a"]
    assert bench.heard.recovered == [("task", "memory:")]
    assert bench.outbox.trouble is None


@pytest.mark.parametrize("where", ["out", "out/ada"])
async def test_a_file_in_the_way_of_a_folder_is_tried_again_each_minute(
    tmp_path: Path, where: str
) -> None:
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).write_text("in the way")
    clock, heard, storage = ManualClock(), Recorder(), LocalStorage(tmp_path / "out")
    encoding = EncodingPool.open()
    outbox = Outbox(storage, encoding, clock, heard, chance=lambda: 0.0)

    async def until(fits: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not fits():
                await asyncio.sleep(0.001)

    assert outbox.offer(spooling.delivery_of("ada/1"))
    await until(lambda: bool(heard.failed) and not outbox.busy)
    assert "a file stands where a folder is needed" in str(heard.trouble[0][1])
    (tmp_path / where).unlink()
    clock.advance(59.9)
    await asyncio.sleep(0)
    assert not outbox.busy
    clock.advance(0.2)
    await until(lambda: bool(heard.recovered))
    assert (tmp_path / "out/ada/1").read_bytes() == spooling.bytes_of("ada/1", 1000)
    await outbox.close()
    await storage.close()
    encoding.threads.shut_down(finish=True)
    await asyncio.to_thread(encoding.threads.join)


async def test_what_was_done_about_lost_packets_is_counted_once() -> None:
    bench = MemoryOutbox()
    bench.store.faults["a"] = [unavailable("a")]  # so its file is made twice

    def make() -> File:
        return replace(file_of("a"), recovered=3, concealed=2)

    assert bench.outbox.offer(delivery("a", make))
    await settle()
    await bench.advance(60)
    assert bench.heard.stored == ["a"]
    counters = bench.outbox.counters
    assert (counters.recovered_packets, counters.concealed_holes) == (3, 2)
