"""One SQLite file beside an event loop: one connection, in a thread of its own."""

import asyncio
import logging
import os
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from slicer import wal
from slicer.errors import BadInput, counted

logger = logging.getLogger(__name__)

BUSY_SECONDS = 5.0
"""How long to wait for another process that holds the file."""
MAX_GROUP = 64
"""Calls of `Database.run` that share a transaction."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Schema:
    """What a file holds: *application_id* and *version* are written into its header.

    *exclusive*: the file belongs to one process at a time, and holds every commit by itself: what
    is copied or damaged beside it costs nothing. *power_safe*: a commit survives a loss
    of power; otherwise only the end of the process, and costs no fsync. *migrations*: scripts that
    take a file of an older version to the next one, oldest first; the last gives *version*.
    """

    application_id: int
    version: int
    script: str
    exclusive: bool = False
    power_safe: bool = True
    migrations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    done: "asyncio.Future[Any]"


@dataclass(frozen=True, slots=True)
class _Ended:
    """What became of a job: what its work gave, or what it raised."""

    job: _Job
    result: Any = None
    error: Exception | None = None


class Database:
    """Runs work in transactions, one after the other, so that the loop never waits for a disk.

    What is asked for during a transaction shares the next one (a group commit): a commit and the
    way to the thread and back cost more than most work, and a busy loop holds them up further.
    """

    def __init__(self, path: Path, pool: ThreadPoolExecutor, opened: sqlite3.Connection) -> None:
        self.path = path
        self._pool, self._connection = pool, opened
        self._waiting = deque[_Job]()

    @classmethod
    async def open(cls, path: Path, schema: Schema) -> Self:
        """Open a file, made with mode 0600 where there is none. Raises BadInput for a file that is
        damaged, not ours, of a newer version, held by another process or out of reach."""
        pool = ThreadPoolExecutor(1, thread_name_prefix=path.stem)
        try:
            opened = await asyncio.get_running_loop().run_in_executor(pool, _open, path, schema)
        except BaseException:
            pool.shutdown(wait=False)
            raise
        return cls(path, pool, opened)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do *work* in the thread, in a transaction: all of it is kept, or nothing. It may be
        begun twice, the first time without effect on the file."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._waiting.append(_Job(work, done))
        self._pool.submit(self._run, loop)
        return await done

    async def close(self) -> None:
        """Do what is under way, then close. May be called twice."""
        await asyncio.to_thread(self._close)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        jobs = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP))]
        if not jobs:
            return  # an earlier call has taken this one's along
        try:
            ended = self._transact(jobs)
        except Exception:  # of one of them, or of the disk: each finds out for itself
            ended = [self._alone(job) for job in jobs]
        loop.call_soon_threadsafe(_tell, ended)

    def _transact(self, jobs: list[_Job]) -> list[_Ended]:
        with self._connection:  # commits, or rolls back
            self._connection.execute("BEGIN IMMEDIATE")
            return [_Ended(job, job.work(self._connection)) for job in jobs]

    def _alone(self, job: _Job) -> _Ended:
        try:
            return self._transact([job])[0]
        except Exception as error:
            return _Ended(job, error=error)

    def _close(self) -> None:
        self._pool.shutdown(wait=True)
        self._connection.close()


def _tell(ended: list[_Ended]) -> None:
    for each in ended:
        if each.job.done.done():
            continue  # nobody waits any more
        if each.error is None:
            each.job.done.set_result(each.result)
        else:
            each.job.done.set_exception(each.error)


def _open(path: Path, schema: Schema) -> sqlite3.Connection:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise BadInput("serve.state", path.name, f"a file that can be written ({error})") from None
    # The thread that opens it is not the one that closes it: sqlite3 would refuse that.
    opened = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        _prepare(opened, path.name, schema)
    except sqlite3.OperationalError as error:
        opened.close()
        allowed = f"a state folder that no other process uses ({error})"
        raise BadInput("serve.state", path.name, allowed) from None
    except sqlite3.DatabaseError as error:
        opened.close()
        raise BadInput("serve.state", path.name, f"an undamaged database ({error})") from None
    except BaseException:
        opened.close()
        raise
    return opened


def _prepare(opened: sqlite3.Connection, name: str, schema: Schema) -> None:
    if schema.exclusive:
        opened.execute("PRAGMA locking_mode = EXCLUSIVE")
        # Every commit goes on into the file, for one fsync more.
        opened.execute("PRAGMA wal_autocheckpoint = 1")
    _scripts(opened, name, schema)  # a file that is not ours is not touched
    opened.execute("PRAGMA journal_mode = WAL")
    opened.execute("PRAGMA journal_size_limit = 0")  # the log holds nothing of an earlier round
    opened.execute(f"PRAGMA synchronous = {'FULL' if schema.power_safe else 'NORMAL'}")
    opened.execute("PRAGMA secure_delete = ON")
    opened.execute("PRAGMA foreign_keys = ON")
    # How many frames of the log SQLite reads; not to be had within a transaction. If another
    # process writes meanwhile, the log holds more, and is looked into for nothing.
    read = opened.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
    opened.execute("BEGIN IMMEDIATE")
    if not schema.exclusive:
        _tell_of_lost(opened, read)
    # Looked at again: another process may have made or migrated the file meanwhile. A crash on the
    # way leaves the file as it was, its version included.
    for script in _scripts(opened, name, schema):
        for statement in script.split(";"):
            opened.execute(statement)
        opened.execute(f"PRAGMA application_id = {schema.application_id}")
        opened.execute(f"PRAGMA user_version = {schema.version}")
    opened.execute("COMMIT")
    verdict = opened.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise BadInput("serve.state", name, f"an undamaged database ({verdict})")


def _tell_of_lost(opened: sqlite3.Connection, read: int) -> None:
    """Log what the write-ahead log held and SQLite left out; it is overwritten from now on.

    *read*: the frames that SQLite reads; -1 where another process kept it from counting."""
    path = Path(opened.execute("PRAGMA database_list").fetchone()[2])
    if count := wal.lost(path.with_name(f"{path.name}-wal"), max(read, 0)):
        logger.warning(
            "! %s-wal is damaged: of what was written last, %s or more lost; "
            "after a loss of power this can be, otherwise look at the disk",
            path.name,
            counted(count, "change"),
        )


def _scripts(opened: sqlite3.Connection, name: str, schema: Schema) -> tuple[str, ...]:
    """What is to be run to make the file one of *schema*. Raises BadInput where nothing can."""
    if not opened.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        return (schema.script,)
    if _number(opened, "application_id") != schema.application_id:
        raise BadInput("serve.state", name, "a database of this service, or no file")
    behind = schema.version - _number(opened, "user_version")
    if not 0 <= behind <= len(schema.migrations):
        found = schema.version - behind
        raise BadInput("serve.state", name, f"version {schema.version}; it is {found}")
    return schema.migrations[len(schema.migrations) - behind :]


def _number(opened: sqlite3.Connection, pragma: str) -> int:
    return int(opened.execute(f"PRAGMA {pragma}").fetchone()[0])
