"""The tasks on disk: every one that has not ended, with its lists, and for some days those ended.

All records are also in memory, so that looking one up never waits; a change is on disk before the
method that makes it returns. Times are wall time in seconds. Whether a caller may see a task is
checked by the service.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from slicer.errors import BadInput
from slicer.service.encryption import Encryption
from slicer.service.leave_code import LeaveCode
from slicer.service.order_json import from_json, secrets_of, to_json
from slicer.service.registry import Record
from slicer.slicing.subscription import Subscription
from slicer.sqlite import Database, Schema

FILE = "tasks.db"
MAX_ENDED = 10_000
"""Ended tasks that are kept, whatever the days."""

SCHEMA = Schema(
    application_id=0x534C5452,
    version=1,
    exclusive=True,  # two services must not both run these tasks
    script="""
CREATE TABLE task (
  id TEXT PRIMARY KEY,
  app INTEGER NOT NULL,
  wanted TEXT NOT NULL,
  secrets BLOB,
  created REAL NOT NULL,
  expires REAL NOT NULL,
  code INTEGER,
  ended REAL
) WITHOUT ROWID
""",
)
_ADD = "INSERT INTO task (id, app, wanted, secrets, created, expires) VALUES (?, ?, ?, ?, ?, ?)"
_MODIFY = "UPDATE task SET wanted = ? WHERE id = ?"
_LEAVE = "UPDATE task SET code = ? WHERE id = ?"
_END = "UPDATE task SET ended = ? WHERE id = ?"
_FORGET = "UPDATE task SET ended = ?, secrets = NULL WHERE id = ?"
_ROTATE = "UPDATE task SET secrets = ? WHERE id = ?"
_DELETE = "DELETE FROM task WHERE id = ?"
_ALL = """SELECT id, app, wanted, secrets, created, expires, code, ended FROM task
ORDER BY coalesce(ended, created)"""
_NO_SECRETS = dict.fromkeys(
    ("access_key", "secret_key", "supplier_id", "supplier_key", "stream_url"), ""
)


class SqliteRegistry:
    """The records by id; those that ended in the order in which they did."""

    def __init__(
        self, database: Database, encryption: Encryption, records: Iterable[Record]
    ) -> None:
        self._database, self._encryption = database, encryption
        self._open: dict[str, Record] = {}
        self._ended: dict[str, Record] = {}
        self._of_app: defaultdict[int, dict[str, None]] = defaultdict(dict)
        for record in records:
            if record.ended is None:
                self._insert(record)
            else:
                self._ended[record.task] = record

    @classmethod
    async def open(cls, folder: Path, encryption: Encryption) -> Self:
        """Open or make the file in *folder*; encrypts all secrets anew with the first key.
        Raises BadInput for a file that is damaged, not ours or in use, and for keys not its own."""
        database = await Database.open(folder / FILE, SCHEMA)
        try:
            rows = await database.run(lambda c: c.execute(_ALL).fetchall())
            records = [_record(row, encryption) for row in rows]
            sealed = [(encryption.rotate(row[3]), row[0]) for row in rows if row[3] is not None]
            await database.run(lambda c: c.executemany(_ROTATE, sealed))
        except BaseException:
            await database.close()
            raise
        return cls(database, encryption, records)

    def get(self, task: str) -> Record | None:
        """The record of this id."""
        return self._open.get(task) or self._ended.get(task)

    def unfinished(self) -> Iterator[Record]:
        """Those that have not ended, oldest first."""
        return iter(list(self._open.values()))

    def unfinished_of(self, app: int) -> Iterator[Record]:
        """Those of one application; other applications' tasks cost nothing."""
        return iter([self._open[task] for task in self._of_app.get(app, ())])

    def epoch(self, task: str) -> int:
        """Always the same: no other process has tasks."""
        return 1

    async def add(self, record: Record) -> None:
        """Keep a new task."""
        order = record.order
        sealed = self._encryption.seal(record.task, secrets_of(order))
        times = (record.created, record.expires)
        await self._write(_ADD, record.task, record.app, to_json(order), sealed, *times)
        self._insert(record)

    async def modify(self, task: str, lists: Subscription) -> None:
        """Keep a task's new lists; one that has ended meanwhile stays as it is."""
        if record := self._open.get(task):
            order = record.order
            order = replace(order, params=replace(order.params, subscription=lists))
            await self._write(_MODIFY, to_json(order), task)
        if record := self._open.get(task):
            self._open[task] = replace(record, order=order)

    async def leave(self, task: str, code: LeaveCode) -> None:
        """Keep that a task is being left: it is never taken up again. The first code stays."""
        record = self._open.get(task)
        if record is not None and record.code is None:
            # In memory first: a second code that comes while the disk is busy must find this one.
            self._open[task] = leaving = replace(record, code=code)
            try:
                await self._write(_LEAVE, int(code), task)
            except BaseException:
                # What the disk does not have, a restart does not know: it may be tried again.
                if self._open.get(task) is leaving:
                    self._open[task] = record
                raise

    async def end(self, task: str, now: float, *, forget: bool = True) -> None:
        """Keep that a task is over, and forget its secrets, unless slices of it may still wait."""
        await self._write(_FORGET if forget else _END, now, task)
        record = self._take_out(task)
        if record is not None and forget:
            record = replace(record, order=from_json(to_json(record.order), _NO_SECRETS))
        if record is not None:
            self._ended[task] = replace(record, ended=now)

    async def discard(self, task: str) -> None:
        """Forget a task whose creation failed, also while it is being added."""
        await self._write(_DELETE, task)
        self._take_out(task)

    async def prune(self, before: float) -> int:
        """Forget tasks that ended earlier, and the oldest of too many. Gives how many."""
        too_many = len(self._ended) - MAX_ENDED
        old = [
            (task,)
            for number, (task, record) in enumerate(self._ended.items())
            if number < too_many or (record.ended or 0.0) < before
        ]
        for (task,) in old:
            del self._ended[task]
        if old:
            await self._database.run(lambda c: c.executemany(_DELETE, old))
        return len(old)

    async def snapshot(self) -> bytes:
        """The file as it is at one moment: nobody else can read it while it is open."""
        return await self._database.run(lambda c: c.serialize())

    async def close(self) -> None:
        """May be called twice."""
        await self._database.close()

    def _insert(self, record: Record) -> None:
        self._open[record.task] = record
        self._of_app[record.app][record.task] = None

    def _take_out(self, task: str) -> Record | None:
        record = self._open.pop(task, None)
        if record is not None:
            tasks = self._of_app[record.app]
            del tasks[task]
            if not tasks:
                del self._of_app[record.app]
        return record

    async def _write(self, statement: str, *values: object) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute(statement, values)

        await self._database.run(work)


def _record(row: tuple[Any, ...], encryption: Encryption) -> Record:
    """Raises BadInput."""
    task, app, wanted, sealed, created, expires, code, ended = row
    secrets = _NO_SECRETS if sealed is None else encryption.unseal(task, sealed)
    try:
        order = from_json(wanted, secrets)
        left = None if code is None else LeaveCode(code)
    except (ValueError, KeyError, TypeError, BadInput) as error:
        allowed = f"an order that this version understands ({type(error).__name__})"
        raise BadInput("serve.state", f"task {task}", allowed) from None
    return Record(task, app, order, created, expires, left, ended)
