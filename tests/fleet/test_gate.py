"""Slices that wait for a barrier, on a real NATS server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio
from nats.aio.client import Client

from slicer.errors import BusUnavailable
from slicer.fleet.bus import Bus
from slicer.fleet.gate import Gate
from slicer.fleet.ownership import Ownership
from slicer.fleet.record import TaskRecord
from slicer.fleet.table import Table
from tests.fleet.conftest import Deliveries


@dataclass
class Here:
    """A worker that has one task, and another process that may take it away."""

    table: Table
    other: Table
    gate: Gate
    record: TaskRecord
    deliveries: Deliveries
    """What this worker reads."""


@pytest_asyncio.fixture
async def here(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Here]:
    table, other, owns = Table(bus), Table(bus), Ownership("w")
    await other.open(1)
    deliveries = Deliveries(bus, monkeypatch)
    await table.open(1)

    def learn(record: TaskRecord) -> None:
        owns.receive(record)

    table.on_record.append(learn)
    record = await table.write(TaskRecord("t", epoch=1, worker="w"))
    assert record is not None
    gate = Gate(table, owns, "w")
    yield Here(table, other, gate, record, deliveries)
    await gate.close()
    await table.close()
    await other.close()


async def test_a_slice_of_an_own_task_may_be_delivered(here: Here) -> None:
    answers = [here.gate.ask("t").granted for _ in range(20)]
    await here.gate.passed("t")
    assert [await answer for answer in answers] == [True] * 20
    assert (len(here.gate), here.gate.refused) == (0, 0)


async def test_a_slice_of_a_task_that_was_taken_away_may_not(here: Here) -> None:
    """The other process's write comes before the barrier, though nothing has been read of it."""
    async with asyncio.timeout(10):
        while here.other.records.get("t") != here.record:
            await asyncio.sleep(0.01)
    here.deliveries.flowing.clear()
    assert await here.other.write(replace(here.record, epoch=2, worker="other"))
    answer = here.gate.ask("t").granted
    await here.other.barrier("x")
    assert not answer.done()
    here.deliveries.flowing.set()
    assert not await answer
    assert here.gate.refused == 1
    assert not await here.gate.ask("t").granted, "it is known now"


async def test_a_task_that_is_being_left_delivers_no_more(here: Here) -> None:
    here.gate.shut("t")
    assert not await here.gate.ask("t").granted
    here.gate.reopen("t")
    assert await here.gate.ask("t").granted


async def test_while_a_record_cannot_be_verified_slices_of_its_task_wait(
    here: Here, bus: Bus, stranger: Client
) -> None:
    ack = await stranger.jetstream().publish(f"$KV.{bus.bucket}_tasks.t", b"forged")
    async with asyncio.timeout(10):
        while here.table.read < ack.seq:
            await asyncio.sleep(0.01)
    answer = here.gate.ask("t").granted
    barrier = await here.other.barrier("x")
    async with asyncio.timeout(10):
        while here.table.read < barrier + 1:  # its own has come, too
            await asyncio.sleep(0.01)
    assert not answer.done()
    assert len(here.gate) == 1
    await here.other.restore()
    assert await asyncio.wait_for(answer, 10)


async def test_while_the_bus_is_away_slices_wait(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = asyncio.Queue[str]()

    async def away(name: str) -> int:
        tries.put_nowait(name)
        raise BusUnavailable("away")

    monkeypatch.setattr(here.table, "barrier", away)
    first, cancelled = here.gate.ask("t").granted, here.gate.ask("t").granted
    assert [await tries.get() for _ in range(2)] == ["w", "w"]
    assert len(here.gate) == 2
    assert not first.done()
    cancelled.cancel()
    monkeypatch.undo()
    assert await first


async def test_what_an_earlier_process_cut_may_be_delivered_while_nobody_had_the_task_since(
    here: Here,
) -> None:
    assert here.gate.can_say("t")
    assert here.gate.held("t", 1)
    assert not here.gate.held("unknown", 1)
    taken = await here.other.write(replace(here.record, epoch=2, worker="other"))
    assert taken is not None
    async with asyncio.timeout(10):
        while here.table.records["t"].epoch == 1:
            await asyncio.sleep(0.01)
    assert not here.gate.held("t", 1)
    assert here.gate.refused == 2
