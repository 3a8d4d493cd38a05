"""What every registry must do, held against each one: a file of SQLite, and records on NATS."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.fernet import Fernet

from slicer.errors import BadInput
from slicer.service import fleet_registry, sqlite_registry
from slicer.service.encryption import Encryption
from slicer.service.fleet_registry import FleetRegistry
from slicer.service.leave_code import LeaveCode
from slicer.service.registry import Record, Registry
from slicer.service.sqlite_registry import SqliteRegistry
from slicer.slicing.subscription import Subscription
from tests.harness.fleet.nats_server import nats_servers
from tests.harness.fleet.tables import reading
from tests.harness.service.orders import SECRETS, moderation_order, slice_order

KEY, OTHER = Fernet.generate_key().decode(), Fernet.generate_key().decode()
RECORD = Record("task-1", 200806, slice_order(), 1000.0, 5000.0)
LISTS = Subscription.of(block_audio=["dan"])

Opened = Callable[..., AbstractAsyncContextManager[Registry]]
"""Opens the registry, with one key or another; again and again, the same records."""


@pytest_asyncio.fixture(params=["sqlite", "fleet"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opened]:
    @contextlib.asynccontextmanager
    async def in_file(*keys: str) -> AsyncIterator[Registry]:
        registry = await SqliteRegistry.open(tmp_path, Encryption(keys or [KEY]))
        yield registry
        await registry.close()

    if request.param == "sqlite":
        yield in_file
        return
    async with nats_servers(tmp_path) as servers:

        @contextlib.asynccontextmanager
        async def on_bus(*keys: str) -> AsyncIterator[Registry]:
            async with reading(servers) as table:
                yield FleetRegistry(table, Encryption(keys or [KEY]))

        yield on_bus


async def test_every_task_comes_back(opened: Opened) -> None:
    other = replace(RECORD, task="task-2", order=moderation_order(), created=900.0)
    async with opened() as registry:
        await registry.add(RECORD)
        await registry.add(other)
        assert registry.get("task-1") == RECORD
        assert registry.get("nobody") is None
    async with opened() as registry:
        assert list(registry.unfinished()) == [other, RECORD]


async def test_the_tasks_of_one_application(opened: Opened) -> None:
    others = [replace(RECORD, task=f"other-{number}", app=7) for number in range(3)]
    left = replace(others[0], code=LeaveCode.STOPPED)
    async with opened() as registry:
        for record in (RECORD, *others):
            await registry.add(record)
        await registry.leave("other-0", LeaveCode.STOPPED)
        await registry.end("other-1", 2000.0)
        await registry.discard("other-2")
        await registry.discard("never")
        assert list(registry.unfinished_of(7)) == [left]
        assert list(registry.unfinished_of(RECORD.app)) == [RECORD]
        assert list(registry.unfinished_of(8)) == []
        assert registry.get("other-2") is None
    async with opened() as registry:
        assert list(registry.unfinished_of(7)) == [left]
        assert registry.get("other-2") is None


async def test_lists_come_back_changed(opened: Opened) -> None:
    async with opened() as registry:
        await registry.add(RECORD)
        await registry.modify("task-1", LISTS)
        now = registry.get("task-1")
        assert now is not None
        assert now.order.params.subscription == LISTS
        assert replace(now, order=RECORD.order) == RECORD
    async with opened() as registry:
        assert list(registry.unfinished()) == [now]


async def test_leaving_and_ending(opened: Opened) -> None:
    async with opened() as registry:
        await registry.add(RECORD)
        await registry.leave("task-1", LeaveCode.REPLACED)
        await registry.leave("task-1", LeaveCode.STOPPED)
        assert list(registry.unfinished()) == [replace(RECORD, code=LeaveCode.REPLACED)]
        await registry.end("task-1", 2000.0)
    async with opened() as registry:
        assert list(registry.unfinished()) == []
        ended = registry.get("task-1")
        assert ended is not None
        assert (ended.code, ended.ended) == (LeaveCode.REPLACED, 2000.0)
        assert ended.order.bucket is not None
        assert ended.order.bucket.credentials.secret_key == ""


async def test_who_has_a_task_has_it_in_the_same_epoch_until_its_end(opened: Opened) -> None:
    async with opened() as registry:
        await registry.add(RECORD)
        assert registry.epoch("task-1") == 1
        await registry.leave("task-1", LeaveCode.IDLE)
        assert registry.epoch("task-1") == 1


async def test_what_comes_after_the_end_changes_nothing(opened: Opened) -> None:
    async with opened() as registry:
        await registry.add(RECORD)
        await registry.end("task-1", 2000.0, forget=False)
        ended = registry.get("task-1")
        assert ended == replace(RECORD, ended=2000.0)
        await registry.modify("task-1", LISTS)
        await registry.leave("task-1", LeaveCode.IDLE)
        await registry.end("task-1", 2000.0, forget=False)
        assert registry.get("task-1") == ended


async def test_what_ended_is_forgotten_in_time(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as registry:
        for number in range(6):
            await registry.add(replace(RECORD, task=str(number)))
            if number:
                await registry.end(str(number), number * 100.0)
        assert await registry.prune(250.0) == 2
        assert await registry.prune(250.0) == 0
        for module in (fleet_registry, sqlite_registry):
            monkeypatch.setattr(module, "MAX_ENDED", 1)
        assert await registry.prune(250.0) == 2
        assert [n for n in range(6) if registry.get(str(n))] == [0, 5]
    async with opened() as registry:
        assert [n for n in range(6) if registry.get(str(n))] == [0, 5]


async def test_no_secret_is_readable_where_it_is_kept(opened: Opened, tmp_path: Path) -> None:
    async with opened() as registry:
        await registry.add(RECORD)
        await registry.add(replace(RECORD, task="m", order=moderation_order()))
        await registry.end("task-1", 1.0)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    found = b"".join(path.read_bytes() for path in files)
    assert b"task-1" in found
    assert not [secret for secret in (*SECRETS, KEY) if secret.encode() in found]


async def test_other_keys_are_refused(opened: Opened) -> None:
    async with opened() as registry:
        await registry.add(RECORD)
    with pytest.raises(BadInput, match="SLICER_STATE_KEY"):
        async with opened(OTHER):
            pass
    async with opened(OTHER, KEY) as registry:
        assert list(registry.unfinished()) == [RECORD]
