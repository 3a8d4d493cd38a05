"""The registry of a fleet, where several processes have it; its contract is in tests/contract."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.fernet import Fernet
from nats.js import JetStreamContext

from slicer.errors import BadInput, BusUnavailable, LimitReached
from slicer.fleet.bus import Bus
from slicer.fleet.record import TaskRecord, given
from slicer.fleet.settings import FleetSettings
from slicer.fleet.table import Table
from slicer.service.encryption import Encryption
from slicer.service.fleet_registry import FleetRegistry
from slicer.service.fleet_serving import signer_of
from slicer.service.leave_code import LeaveCode
from slicer.service.registry import Record
from slicer.slicing.subscription import Subscription
from tests.harness.fleet.nats_server import nats_servers
from tests.harness.service.orders import KEYS, slice_order

ENCRYPTION = Encryption([Fernet.generate_key().decode()])
RECORD = Record("task-1", 200806, slice_order(), 1000.0, 5000.0)


@pytest_asyncio.fixture
async def tables(tmp_path: Path) -> AsyncIterator[list[Table]]:
    """Two processes' views of one bucket."""
    async with nats_servers(tmp_path) as servers, contextlib.AsyncExitStack() as stack:
        found = []
        for _ in range(2):
            bus = await Bus.connect(FleetSettings(servers.urls), "test")
            stack.push_async_callback(bus.close)
            table = Table(bus)
            await table.open(1)
            stack.push_async_callback(table.close)
            found.append(table)
        yield found


async def read(table: Table) -> None:
    """Wait until it has read everything."""
    barrier = await table.barrier("test")
    async with asyncio.timeout(10):
        while table.read < barrier:
            await asyncio.sleep(0.01)


async def test_a_worker_sees_its_own_tasks_among_all(tables: list[Table]) -> None:
    copy = FleetRegistry(tables[0], ENCRYPTION, lambda record: f"w-{record.task}")
    worker = FleetRegistry(tables[1], ENCRYPTION, worker="w-task-1")
    for number in range(3):
        await copy.add(replace(RECORD, task=f"task-{number}"))
    await read(tables[1])
    assert [record.task for record in worker.unfinished()] == ["task-1"]
    assert worker.get("task-2") is not None
    assert (worker.worker_of("task-2"), worker.worker_of("nobody")) == ("w-task-2", "")


async def test_what_several_change_at_the_same_time_is_all_kept(tables: list[Table]) -> None:
    copy, worker = (FleetRegistry(table, ENCRYPTION) for table in tables)
    await copy.add(RECORD)
    await read(tables[1])
    lists = Subscription.of(block_audio=["dan"])
    await asyncio.gather(
        copy.modify("task-1", lists), worker.leave("task-1", LeaveCode.IDLE), copy.prune(1.0)
    )
    for table, registry in zip(tables, (copy, worker), strict=True):
        await read(table)
        record = registry.get("task-1")
        assert record is not None
        assert (record.code, record.order.params.subscription) == (LeaveCode.IDLE, lists)


async def test_a_task_is_handed_over_by_who_has_it(tables: list[Table]) -> None:
    registry = FleetRegistry(tables[0], ENCRYPTION, lambda _: "w")
    await registry.add(RECORD)
    assert not await registry.hand_over("task-1", "other")
    assert await registry.hand_over("task-1", "w")
    found = tables[0].records["task-1"]
    assert (found.worker, found.previous, found.epoch) == ("", "w", 1)
    assert not await registry.hand_over("task-1", "w")


async def test_who_has_lost_a_task_ends_it_no_more(tables: list[Table]) -> None:
    copy = FleetRegistry(tables[0], ENCRYPTION, lambda _: "w")
    worker = FleetRegistry(tables[1], ENCRYPTION, worker="w")
    await copy.add(RECORD)
    await read(tables[1])
    assert worker.epoch("task-1") == 1
    assert worker.epoch("nobody") is None
    await tables[1].close()  # it reads no more by itself
    given_away = await tables[0].write(given(tables[0].records["task-1"], "other"))
    assert given_away is not None
    assert worker.epoch("task-1") == 1, "it has not read it yet"
    await worker.leave("task-1", LeaveCode.REPLACED)
    await worker.end("task-1", 2000.0)
    assert worker.epoch("task-1") is None
    await worker.end("task-1", 2000.0)
    await read(tables[0])
    assert tables[0].records["task-1"] == given_away
    back = await tables[0].write(given(given_away, "w"))
    await worker.leave("task-1", LeaveCode.REPLACED)  # of the robot of before
    await read(tables[0])
    assert tables[0].records["task-1"] == back
    await tables[1].latest("task-1")
    await worker.leave("task-1", LeaveCode.IDLE)
    await read(tables[0])
    assert tables[0].records["task-1"].code == LeaveCode.IDLE


async def test_a_task_that_was_discarded_is_ended_by_nobody(tables: list[Table]) -> None:
    copy = FleetRegistry(tables[0], ENCRYPTION, lambda _: "w")
    worker = FleetRegistry(tables[1], ENCRYPTION, worker="w")
    await copy.add(RECORD)
    await copy.discard("task-1")
    await read(tables[1])
    discarded = tables[1].records["task-1"]
    await worker.end("task-1", 2000.0)
    assert tables[1].records["task-1"] == discarded


async def test_what_a_worker_has_told_is_known_to_who_has_the_task_next(
    tables: list[Table],
) -> None:
    copy = FleetRegistry(tables[0], ENCRYPTION, lambda _: "w")
    worker = FleetRegistry(tables[1], ENCRYPTION, worker="w")
    await copy.add(RECORD)
    await worker.note_told("task-1", 1)
    await worker.note_told("task-1", 3)
    await read(tables[0])
    assert (copy.told("task-1"), copy.told("nobody")) == (3, 0)
    await copy.rekey()
    assert copy.told("task-1") == 3
    await copy.end("task-1", 2000.0)
    assert await copy.prune(3000.0) == 1
    assert copy.told("task-1") == 0


async def test_what_ended_long_ago_is_forgotten_by_all_and_taken_out_by_copies(
    tables: list[Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = FleetRegistry(tables[0], ENCRYPTION, lambda _: "w")
    worker = FleetRegistry(tables[1], ENCRYPTION, worker="w")
    await copy.add(RECORD)
    await copy.end("task-1", 2000.0)
    await read(tables[1])
    purge = JetStreamContext.purge_stream

    async def refused(*_arguments: object, **_options: object) -> None:
        raise TimeoutError("nats: timeout")

    monkeypatch.setattr(JetStreamContext, "purge_stream", refused)
    assert await worker.prune(3000.0) == 1
    assert (worker.get("task-1"), tables[1].records) == (None, {})
    with pytest.raises(BusUnavailable):
        await copy.prune(3000.0)
    monkeypatch.setattr(JetStreamContext, "purge_stream", purge)
    assert await copy.prune(3000.0) == 1, "it is tried again"
    assert await tables[1].latest("task-1") is None


@pytest.mark.parametrize("workers", [1, 2])
async def test_the_keys_of_a_task_stay_where_an_earlier_workers_spool_may_need_them(
    tables: list[Table], workers: int
) -> None:
    registry = FleetRegistry(tables[0], ENCRYPTION, lambda _: "w")
    await registry.add(RECORD)
    for number in range(1, workers):
        await tables[0].write(given(tables[0].records["task-1"], f"w{number}"))
    await registry.end("task-1", 2000.0)
    ended = registry.get("task-1")
    assert ended is not None
    assert ended.order.bucket is not None
    assert (ended.order.bucket.credentials == KEYS) is (workers > 1)
    assert await registry.prune(3000.0) == 1
    assert registry.get("task-1") is None


async def test_once_all_is_rekeyed_the_old_key_is_not_needed(tmp_path: Path) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    async with nats_servers(tmp_path) as servers, contextlib.AsyncExitStack() as stack:

        async def opened(*keys: str) -> FleetRegistry:
            encryption = Encryption(keys)
            settings = FleetSettings(servers.urls)
            bus = await Bus.connect(settings, "test", signer_of(encryption))
            stack.push_async_callback(bus.close)
            table = Table(bus)
            stack.push_async_callback(table.close)
            await table.open(1)
            table.check_keys()
            return FleetRegistry(table, encryption, lambda _: "w")

        before = await opened(old)
        for number in range(40):
            await before.add(replace(RECORD, task=f"task-{number}"))
        await before.end("task-1", 2000.0)
        await before.discard("task-2")
        with pytest.raises(BadInput, match="SLICER_STATE_KEY"):
            await opened(new)
        between = await opened(new, old)
        changing = asyncio.ensure_future(between.leave("task-3", LeaveCode.IDLE))
        assert await between.rekey() == 40
        await changing
        after = await opened(new)
        assert len(list(after.unfinished())) == 38
        record = after.get("task-0")
        assert record is not None
        assert record.order.bucket is not None
        assert record.order.bucket.credentials == KEYS
        left = after.get("task-3")
        assert left is not None
        assert left.code == LeaveCode.IDLE
        ended = after.get("task-1")
        assert ended is not None
        assert ended.ended == 2000.0


async def test_where_nobody_takes_a_task_nothing_is_kept(tables: list[Table]) -> None:
    def place(_record: Record) -> str:
        raise LimitReached("full")

    registry = FleetRegistry(tables[0], ENCRYPTION, place)
    with pytest.raises(LimitReached):
        await registry.add(RECORD)
    assert tables[0].records == {}


async def test_an_id_that_is_there_is_not_taken_again(tables: list[Table]) -> None:
    registry = FleetRegistry(tables[0], ENCRYPTION)
    await registry.add(RECORD)
    with pytest.raises(BusUnavailable, match="is there already"):
        await registry.add(RECORD)
    await registry.close()


async def test_an_order_of_another_version(
    tables: list[Table], caplog: pytest.LogCaptureFixture
) -> None:
    registry = FleetRegistry(tables[0], ENCRYPTION)
    sealed = ENCRYPTION.seal("task-1", {"order": "{}"}).decode()
    await tables[0].write(TaskRecord("task-1", sealed=sealed))
    assert registry.get("task-1") is None
    assert "an order that this version understands (KeyError)" in caplog.text
    with pytest.raises(BadInput, match="an order that this version understands"):
        FleetRegistry(tables[0], ENCRYPTION)


async def test_a_record_that_others_change_all_the_time(
    tables: list[Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = FleetRegistry(tables[0], ENCRYPTION)
    await registry.add(RECORD)

    async def lost(_record: TaskRecord) -> None:
        return None

    monkeypatch.setattr(tables[0], "write", lost)
    with pytest.raises(BusUnavailable, match="changed by others all the time"):
        await registry.leave("task-1", LeaveCode.IDLE)
