"""A database on the side: transactions, files that are not ours, damaged, newer or held."""

import asyncio
import os
import random
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from slicer.errors import BadInput
from slicer.sqlite import Database, Schema

SCHEMA = Schema(0x1234, 1, "CREATE TABLE thing (name TEXT PRIMARY KEY)")
ROOT = Path(__file__).parents[1]

# Commits one row, tells so, leaves a transaction open and is killed in it.
VICTIM = """
import asyncio, sys, time
from pathlib import Path
from slicer.sqlite import Database
from tests.test_sqlite import SCHEMA, add

async def main():
    database = await Database.open(Path(sys.argv[1]), SCHEMA)
    await database.run(add("kept"))
    def hang(connection):
        add("lost")(connection)
        print("now", flush=True)
        time.sleep(60)
    await database.run(hang)

asyncio.run(main())
"""


def add(name: str) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute("INSERT INTO thing VALUES (?)", (name,))


def names(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT name FROM thing ORDER BY name")]


async def reopen(path: Path, schema: Schema = SCHEMA) -> list[str]:
    database = await Database.open(path, schema)
    try:
        return await database.run(names)
    finally:
        await database.close()


async def test_what_is_committed_is_there_again(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "new" / "a.db", SCHEMA)
    await asyncio.gather(*(database.run(add(name)) for name in "cab"))
    assert await database.run(names) == ["a", "b", "c"]
    await database.close()
    await database.close()
    assert await reopen(tmp_path / "new" / "a.db") == ["a", "b", "c"]


async def test_work_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "a.db", SCHEMA)

    def half(connection: sqlite3.Connection) -> None:
        add("x")(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.run(half)
    assert await database.run(names) == []
    await database.run(add("y"))
    await database.close()
    assert await reopen(tmp_path / "a.db") == ["y"]


@asynccontextmanager
async def held(path: Path) -> AsyncIterator[tuple[Database, list[str]]]:
    """A database whose thread is busy until the block ends, and what it executes from then on."""
    database, executed = await Database.open(path, SCHEMA), list[str]()
    began, release = threading.Event(), threading.Event()

    def hold(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(executed.append)
        began.set()
        release.wait()

    holding = asyncio.ensure_future(database.run(hold))
    await asyncio.to_thread(began.wait)
    try:
        yield database, executed
        release.set()
        await holding
    finally:
        release.set()
        await database.close()


async def test_what_comes_meanwhile_shares_a_transaction(tmp_path: Path) -> None:
    async with held(tmp_path / "a.db") as (database, executed):
        asked = [asyncio.ensure_future(database.run(add(name))) for name in "abc"]
        gone = asyncio.ensure_future(database.run(add("d")))
        await asyncio.sleep(0)
        gone.cancel()
    await asyncio.gather(*asked)
    assert sum(one.startswith("INSERT") for one in executed) == 4
    assert executed.count("COMMIT") - 1 == executed.count("BEGIN IMMEDIATE") == 1
    assert await reopen(tmp_path / "a.db") == ["a", "b", "c", "d"]


async def test_a_group_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slicer.sqlite.MAX_GROUP", 2)
    async with held(tmp_path / "a.db") as (database, executed):
        asked = [asyncio.ensure_future(database.run(add(name))) for name in "abcde"]
        await asyncio.sleep(0)
    await asyncio.gather(*asked)
    assert executed.count("BEGIN IMMEDIATE") == 3
    assert await reopen(tmp_path / "a.db") == ["a", "b", "c", "d", "e"]


async def test_work_that_fails_spoils_no_other(tmp_path: Path) -> None:
    async with held(tmp_path / "a.db") as (database, _):
        asked = [asyncio.ensure_future(database.run(add(name))) for name in "abac"]
        await asyncio.sleep(0)
    results = await asyncio.gather(*asked, return_exceptions=True)
    failed = [isinstance(each, sqlite3.IntegrityError) for each in results]
    assert failed == [False, False, True, False]
    assert await reopen(tmp_path / "a.db") == ["a", "b", "c"]


async def test_only_the_owner_may_read(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        database = await Database.open(tmp_path / "state" / "a.db", SCHEMA)
        await database.run(add("x"))
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()}
        assert modes == {0o600}
        assert len(list((tmp_path / "state").iterdir())) >= 2  # the log beside it as well
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
        await database.close()
    finally:
        os.umask(mask)


async def test_a_killed_process_loses_only_what_was_not_committed(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(path)], cwd=ROOT, stdout=subprocess.PIPE
    ) as victim:
        assert victim.stdout is not None
        assert await asyncio.to_thread(victim.stdout.readline) == b"now\n"
        victim.kill()
    assert await reopen(path) == ["kept"]


@pytest.mark.parametrize("content", [b"not a database at all " * 50, b"SQLite format 3\0" * 100])
async def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.db").write_bytes(content)
    with pytest.raises(BadInput, match=r"serve\.state: got 'a\.db'; allowed: an undamaged"):
        await reopen(tmp_path / "a.db")


async def test_a_file_damaged_within(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = await Database.open(path, SCHEMA)
    await database.run(lambda connection: [add(f"{n:040}")(connection) for n in range(2000)])
    await database.close()
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 3 + 2000] = bytes(2000)
    path.write_bytes(data)
    with pytest.raises(BadInput, match="an undamaged database"):
        await reopen(path)


async def test_anothers_file(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(BadInput, match="a database of this service"):
        await reopen(tmp_path / "a.db")


async def test_a_newer_file(tmp_path: Path) -> None:
    await reopen(tmp_path / "a.db", replace(SCHEMA, version=2))
    with pytest.raises(BadInput, match="version 1; it is 2"):
        await reopen(tmp_path / "a.db")


async def test_a_file_that_another_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slicer.sqlite.BUSY_SECONDS", 0.05)
    mine = replace(SCHEMA, exclusive=True)
    first = await Database.open(tmp_path / "a.db", mine)
    with pytest.raises(BadInput, match="no other process uses"):
        await Database.open(tmp_path / "a.db", mine)
    await first.close()
    assert await reopen(tmp_path / "a.db", mine) == []


async def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="can be written"):
        await reopen(tmp_path / "file" / "a.db")


async def test_two_may_share_a_file(tmp_path: Path) -> None:
    first, second = [await Database.open(tmp_path / "a.db", SCHEMA) for _ in range(2)]
    await first.run(add("x"))
    assert await second.run(names) == ["x"]
    await first.close()
    await second.close()


async def test_a_file_of_an_older_version_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "things.db"
    first = await Database.open(path, SCHEMA)
    await first.run(lambda c: c.execute("INSERT INTO thing VALUES ('a')"))
    await first.close()
    steps = (
        "ALTER TABLE thing ADD COLUMN size INTEGER",
        "UPDATE thing SET size = 3; INSERT INTO thing VALUES ('b', 4)",
    )
    third = Schema(0x1234, 3, "CREATE TABLE thing (name, size)", migrations=steps)
    for _ in range(2):  # once alone
        opened = await Database.open(path, third)
        rows = await opened.run(lambda c: c.execute("SELECT * FROM thing").fetchall())
        assert rows == [("a", 3), ("b", 4)]
        await opened.close()
    with pytest.raises(BadInput, match="version 1; it is 3"):
        await Database.open(path, SCHEMA)


async def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "things.db"
    await (await Database.open(path, SCHEMA)).close()
    steps = ("INSERT INTO thing VALUES ('a'); INSERT INTO nowhere VALUES (1)",)
    with pytest.raises(BadInput, match="nowhere"):
        await Database.open(path, Schema(0x1234, 2, "", migrations=steps))
    opened = await Database.open(path, SCHEMA)
    assert await opened.run(lambda c: c.execute("SELECT * FROM thing").fetchall()) == []
    await opened.close()


async def test_a_file_too_old_to_be_migrated(tmp_path: Path) -> None:
    path = tmp_path / "things.db"
    await (await Database.open(path, SCHEMA)).close()
    with pytest.raises(BadInput, match="version 3; it is 1"):
        await Database.open(path, Schema(0x1234, 3, "", migrations=("SELECT 1",)))


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def killed(path: Path, tmp_path: Path, *, log: bool) -> Path:
    """A copy of what a killed process would leave, with or without the log beside the file."""
    copy = tmp_path / "copy" / path.name
    copy.parent.mkdir()
    for each in (path, log_of(path)) if log else (path,):
        copy.with_name(each.name).write_bytes(each.read_bytes())
    return copy


async def test_a_closed_database_is_one_file(tmp_path: Path) -> None:
    for schema in (SCHEMA, replace(SCHEMA, exclusive=True)):
        path = tmp_path / f"{schema.exclusive}" / "a.db"
        database = await Database.open(path, schema)
        await database.run(add("x"))
        await database.close()
        assert list(path.parent.iterdir()) == [path]


async def test_an_exclusive_file_holds_every_commit_by_itself(tmp_path: Path) -> None:
    schema = replace(SCHEMA, exclusive=True)
    path = tmp_path / "a.db"
    database = await Database.open(path, schema)
    for name in "abc":
        await database.run(add(name))
    copy = killed(path, tmp_path, log=False)
    await database.close()
    assert await reopen(copy, schema) == ["a", "b", "c"]


async def test_a_shared_file_is_copied_with_its_log_or_by_sqlite_itself(tmp_path: Path) -> None:
    """`callbacks.db`, as docs/upgrading.md has it; the file alone may hold nothing."""
    path = tmp_path / "a.db"
    database = await Database.open(path, SCHEMA)
    for name in "abc":
        await database.run(add(name))
    copy = killed(path, tmp_path, log=True)
    backup = tmp_path / "backup.db"
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)  # while the service has it open
    await database.close()
    for one in (copy, backup):
        assert await reopen(one, SCHEMA) == ["a", "b", "c"]


async def test_a_damaged_log_beside_an_exclusive_file_costs_nothing(tmp_path: Path) -> None:
    schema = replace(SCHEMA, exclusive=True)
    path = tmp_path / "a.db"
    database = await Database.open(path, schema)
    for name in "abc":
        await database.run(add(name))
    copy = killed(path, tmp_path, log=True)
    await database.close()
    damaged = bytearray(log_of(copy).read_bytes())
    damaged[100] ^= 1
    log_of(copy).write_bytes(damaged)
    assert await reopen(copy, schema) == ["a", "b", "c"]


@pytest.mark.parametrize("damaged", [True, False])
async def test_changes_that_a_damaged_log_lost_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damaged: bool
) -> None:
    path = tmp_path / "a.db"
    database = await Database.open(path, SCHEMA)
    for name in "abc":
        await database.run(add(name))
    copy = killed(path, tmp_path, log=True)
    await database.close()
    if damaged:
        content = bytearray(log_of(copy).read_bytes())
        content[-100] ^= 1
        log_of(copy).write_bytes(content)
    assert await reopen(copy) == (["a", "b"] if damaged else ["a", "b", "c"])
    told = "a.db-wal is damaged: of what was written last, 1 change or more lost"
    assert (told in caplog.text) is damaged


async def test_what_sqlite_reads_of_a_log_is_not_told_as_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.db"
    database = await Database.open(path, SCHEMA)
    await database.run(add("x"))
    content = bytearray(log_of(path).read_bytes())
    content[-4096 - 1] ^= 1  # the last frame's sum, which SQLite has no more need of
    log_of(path).write_bytes(content)
    assert await reopen(path) == ["x"]
    await database.close()
    assert "damaged" not in caplog.text


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_log_cut_or_changed_anywhere_costs_its_end_at_most(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, exclusive: bool
) -> None:
    """What a change costs is told, unless it is of the last frame: a crash may leave that so. A cut
    cannot be known from a log that ended there."""
    schema, path = replace(SCHEMA, exclusive=exclusive), tmp_path / "a.db"

    async def fill() -> Path:
        database = await Database.open(path, schema)
        for name in "abcdefgh":
            await database.run(add(name))
        copy = killed(path, tmp_path, log=True)
        await database.close()
        return copy

    copy = asyncio.run(fill())
    file, log = copy.read_bytes(), log_of(copy).read_bytes()
    chance = random.Random(16)
    for is_cut in [True, False] * 30:
        damaged, at = bytearray(log), chance.randrange(len(log))
        if is_cut:
            del damaged[at:]
        else:
            damaged[at] ^= 1 << chance.randrange(8)
        copy.write_bytes(file)
        log_of(copy).write_bytes(damaged)
        caplog.clear()
        kept = "".join(asyncio.run(reopen(copy, schema)))
        assert "abcdefgh".startswith(kept)
        if exclusive:
            assert (kept, caplog.text) == ("abcdefgh", "")
        elif not is_cut and at < len(log) - 4096 - 24:
            assert ("a.db-wal is damaged" in caplog.text) is (kept != "abcdefgh"), at
