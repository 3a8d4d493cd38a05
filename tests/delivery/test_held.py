"""What an outbox holds, and what that takes of memory."""

import asyncio
from pathlib import Path

from slicer.delivery.delivery import Delivery
from slicer.delivery.held import FULL, Held
from slicer.delivery.settings import OutboxSettings
from tests.harness.clock import ManualClock, settle
from tests.harness.delivery.outbox import MemoryOutbox, delivery, unavailable


def slices(*sizes: int) -> list[Delivery]:
    made = [delivery(f"ada/{number}", size=size) for number, size in enumerate(sizes)]
    for number, one in enumerate(made):
        one.number = number
    return made


def test_memory_is_that_of_what_is_not_in_the_spool() -> None:
    held = Held(OutboxSettings())
    first, second, third = slices(100, 20, 3)
    third.path = Path("/spool/3.slice")
    for one in (first, second, third):
        held.add(one)
    assert (len(held), held.memory, held.in_memory) == (3, 120, 2)
    held.resize(second, 50)
    assert (second.size, held.memory) == (50, 150)
    second.path = Path("/spool/2.slice")
    held.spooled(second, 50)
    assert (held.memory, held.in_memory) == (100, 1)
    assert list(held) == [first, second, third]
    for one in held:
        held.remove(one)
    assert (len(held), held.memory, held.in_memory) == (0, 0, 0)
    assert held.empty.is_set()


def test_the_bounds() -> None:
    held = Held(OutboxSettings(count=4, memory=1000))
    assert not held.full(1000)
    assert held.full(1001)
    first, *rest = slices(501, 1, 1, 1)
    held.add(first)
    assert held.crowded
    for one in rest:
        held.add(one)
    assert held.full(0)


def test_one_anchor_leaves_room_for_others() -> None:
    held = Held(OutboxSettings(count=20, memory=1000))
    mine = slices(*[1] * 18)
    for one in mine:
        assert not held.over_share(one.holder)
        held.add(one)
    assert not held.full(1)
    assert held.over_share(mine[0].holder)
    assert not held.over_share(("task", "bob"))
    held.remove(mine[0])
    assert not held.over_share(mine[0].holder)
    held.resize(mine[1], 900)
    assert held.over_share(mine[0].holder), "nor of the memory"
    assert not held.over_share(("task", "bob"))


async def test_waiting_for_the_last_one_or_for_long_enough() -> None:
    held, clock = Held(OutboxSettings()), ManualClock()
    (one,) = slices(1)
    held.add(one)
    waiting = asyncio.ensure_future(held.emptied(clock, 5.0))
    await settle()
    assert not waiting.done()
    clock.advance(5.0)
    await waiting
    waiting = asyncio.ensure_future(held.emptied(clock, 5.0))
    await settle()
    held.remove(one)
    await waiting
    assert clock.timers == []


async def test_whether_there_is_room_can_be_asked_before_a_file_is_made() -> None:
    bench = MemoryOutbox(OutboxSettings(count=1))
    bench.store.fails = unavailable
    probe = delivery("probe")
    assert bench.outbox.takes(probe)
    assert bench.outbox.counters.offered == 0, "it was only asked"
    assert bench.offer("a") == [True]
    assert not bench.outbox.takes(probe)
    assert probe.refused == FULL
    assert (bench.outbox.counters.overflowed, bench.heard.overflow) == (1, [1])
    assert bench.balanced()
