"""Files made for who watches, of slices that wait as their cuts."""

import asyncio

from slicer.delivery.previews import PATIENCE
from slicer.delivery.settings import OutboxSettings
from slicer.errors import MediaError
from slicer.media.slice import File
from tests.harness.clock import settle
from tests.harness.delivery.outbox import MemoryOutbox, delivery, unavailable


def watched(bench: MemoryOutbox, looked_at: bool = True) -> list[str]:
    """The keys of the files that were made, from now on."""
    seen: list[str] = []
    bench.encoding.watch = lambda file: seen.append(file.info.key)
    bench.encoding.looked_at = lambda: looked_at
    return seen


async def failing() -> MemoryOutbox:
    """An outbox whose store is left alone."""
    bench = MemoryOutbox()
    bench.store.faults = {key: [unavailable(key)] for key in "abc"}
    bench.offer(*"abc")
    await settle()
    assert not bench.outbox.upstreams[0].circuit.closed
    return bench


async def test_what_waits_for_a_store_that_fails_is_made_once_for_who_looks() -> None:
    bench = await failing()
    seen = watched(bench)
    bench.offer("d")
    await settle()
    assert seen == []
    bench.clock.advance(PATIENCE)
    await settle()
    assert seen == ["d"]
    assert bench.heard.made == [*"abc"], "for delivery it is not made"
    await bench.outbox.drain(0)
    await settle()
    assert bench.store.there["d"] == b"d"
    assert bench.heard.made == [*"abcd"]


async def test_nothing_is_made_where_nobody_looks() -> None:
    bench = await failing()
    seen = watched(bench, looked_at=False)
    bench.offer("d")
    bench.clock.advance(PATIENCE)
    await settle()
    assert seen == []


async def test_what_a_store_that_hangs_has_not_begun_with_is_made() -> None:
    bench = MemoryOutbox()
    seen = watched(bench)
    count = OutboxSettings().uploads
    keys = [f"k{number}" for number in range(count)]
    bench.store.gates = {key: asyncio.Event() for key in keys}
    bench.offer(*keys, "last")
    await settle()
    assert seen == keys
    bench.clock.advance(PATIENCE)
    await settle()
    assert seen == [*keys, "last"], "those under way are not made twice"


async def test_what_cannot_be_made_costs_nothing_here() -> None:
    bench = await failing()
    seen = watched(bench)

    def fail() -> File:
        raise MediaError("no picture")

    bad = delivery("bad")
    bad.make = fail
    assert bench.outbox.offer(bad)
    bench.clock.advance(PATIENCE)
    await settle()
    assert (seen, bench.heard.lost) == ([], [])


async def test_a_closed_outbox_makes_no_more() -> None:
    bench = await failing()
    seen = watched(bench)
    bench.offer("d")
    await bench.outbox.close()
    bench.clock.advance(PATIENCE)
    await settle()
    assert seen == []
