"""Tasks on disk: they come back as they were, secrets unreadable, files that do not fit refused."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from slicer.errors import BadInput
from slicer.service import sqlite_registry as module
from slicer.service.encryption import Encryption
from slicer.service.leave_code import LeaveCode
from slicer.service.registry import Record
from slicer.service.sqlite_registry import SqliteRegistry
from slicer.slicing.subscription import Subscription
from tests.harness.service.orders import SECRETS, slice_order

KEY, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
RECORD = Record("task-1", 200806, slice_order(), 1000.0, 5000.0)
LISTS = Subscription.of(block_audio=["dan"])
ROOT = Path(__file__).parents[2]

# Adds tasks one after the other, telling each that is kept, until it is killed.
VICTIM = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from slicer.service.sqlite_registry import SqliteRegistry
from slicer.service.encryption import Encryption
from tests.service.test_sqlite_registry import LISTS, RECORD

async def main():
    registry = await SqliteRegistry.open(Path(sys.argv[1]), Encryption([sys.argv[2]]))
    for number in range(100_000):
        await registry.add(replace(RECORD, task=str(number)))
        await registry.modify(str(number), LISTS)
        print(number, flush=True)

asyncio.run(main())
"""


async def opened(folder: Path, *keys: str) -> SqliteRegistry:
    return await SqliteRegistry.open(folder, Encryption(keys or [KEY]))


async def unfinished(folder: Path, *keys: str) -> list[Record]:
    registry = await opened(folder, *keys)
    try:
        return list(registry.unfinished())
    finally:
        await registry.close()


async def test_what_became_of_each_task_is_there_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a registry does is in tests/contract/test_registry.py."""
    registry = await opened(tmp_path)
    names = ("old", "ended", "gone", "left", "changed")
    for task in names:
        await registry.add(replace(RECORD, task=task))
    await registry.modify("changed", LISTS)
    await registry.leave("left", LeaveCode.REPLACED)
    await registry.discard("gone")
    await registry.end("old", 100.0)
    await registry.end("ended", 200.0, forget=False)
    assert await registry.prune(150.0) == 1
    before = {task: registry.get(task) for task in names}
    await registry.close()
    registry = await opened(tmp_path)
    assert {task: registry.get(task) for task in names} == before
    assert [task for task in names if before[task] is None] == ["old", "gone"]
    assert [one.task for one in registry.unfinished()] == ["changed", "left"]
    assert len(list(registry.unfinished_of(RECORD.app))) == 2
    monkeypatch.setattr(module, "MAX_ENDED", 0)
    assert await registry.prune(150.0) == 1
    assert registry.get("ended") is None
    await registry.close()


async def test_keys_are_rotated(tmp_path: Path) -> None:
    registry = await opened(tmp_path)
    await registry.add(RECORD)
    await registry.close()
    with pytest.raises(BadInput, match="SLICER_STATE_KEY"):
        await unfinished(tmp_path, NEW)
    assert await unfinished(tmp_path, NEW, KEY) == [RECORD]
    assert await unfinished(tmp_path, NEW) == [RECORD]
    with pytest.raises(BadInput, match="SLICER_STATE_KEY") as refused:
        await unfinished(tmp_path, KEY)
    assert not [secret for secret in (*SECRETS, KEY, NEW) if secret in str(refused.value)]


async def test_one_service_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slicer.sqlite.BUSY_SECONDS", 0.05)
    first = await opened(tmp_path)
    with pytest.raises(BadInput, match="no other process uses"):
        await opened(tmp_path)
    await first.close()


@pytest.mark.parametrize(
    "change", ["wanted = '{}'", "wanted = '['", "code = 77", "secrets = NULL, wanted = 'null'"]
)
async def test_a_record_that_makes_no_sense(tmp_path: Path, change: str) -> None:
    registry = await opened(tmp_path)
    await registry.add(RECORD)
    await registry.close()
    with sqlite3.connect(tmp_path / module.FILE) as file:
        file.execute(f"UPDATE task SET {change}")
    file.close()
    with pytest.raises(BadInput, match=r"serve\.state: got 'task task-1'"):
        await unfinished(tmp_path)


def killed(folder: Path) -> int:
    """A process that has kept some tasks there and was killed; the last that it has told."""
    told = -1
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(folder), KEY], cwd=ROOT, stdout=subprocess.PIPE
    ) as victim:
        assert victim.stdout is not None
        while told < 20:
            told = int(victim.stdout.readline())
        victim.kill()
        for line in victim.stdout.readlines():
            told = int(line)
    return told


async def test_killed_at_any_time_it_keeps_what_it_has_told(tmp_path: Path) -> None:
    told = killed(tmp_path)
    kept = {record.task: record for record in await unfinished(tmp_path)}
    assert told + 1 <= len(kept) <= told + 2
    for number in range(told + 1):
        assert kept[str(number)].order.params.subscription == LISTS


async def test_each_documented_way_to_copy_it_after_a_crash_is_enough(tmp_path: Path) -> None:
    """docs/upgrading.md: the file alone, the file with its log, and SQLite's own backup."""
    there = tmp_path / "state"
    there.mkdir(mode=0o700)
    told = killed(there)
    copies = [tmp_path / name for name in ("alone", "both", "backup")]
    for copy in copies:
        copy.mkdir(mode=0o700)
    for to, name in ((copies[0], ""), (copies[1], ""), (copies[1], "-wal")):
        file = there / f"{module.FILE}{name}"
        (to / file.name).write_bytes(file.read_bytes())
    with (
        closing(sqlite3.connect(there / module.FILE)) as source,
        closing(sqlite3.connect(copies[2] / module.FILE)) as target,
    ):
        source.backup(target)
    for copy in copies:
        (copy / module.FILE).chmod(0o600)
        assert len(await unfinished(copy)) >= told + 1, copy.name


async def test_a_snapshot_has_every_task_that_was_kept_before_it(tmp_path: Path) -> None:
    """Taken while tasks come; none is there by half, and none is lost for it."""
    registry, told = await opened(tmp_path), list[str]()

    async def come() -> None:
        for number in range(60):
            await registry.add(replace(RECORD, task=str(number)))
            await registry.modify(str(number), LISTS)
            told.append(str(number))

    coming = asyncio.ensure_future(come())
    for count in (10, 20, 30):
        while len(told) < count and not coming.done():
            await asyncio.sleep(0)
        before = {*told}
        copy = tmp_path / f"copy-{count}"
        copy.mkdir(mode=0o700)
        (copy / module.FILE).write_bytes(await registry.snapshot())
        kept = {one.task: one.order.params.subscription for one in await unfinished(copy)}
        assert before <= kept.keys()
        assert all(kept[task] == LISTS for task in before)
    await coming
    await registry.close()
    assert len(await unfinished(tmp_path)) == len(told) == 60
