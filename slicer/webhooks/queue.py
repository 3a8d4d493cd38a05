"""Messages on disk, in the order of their tasks, until they are delivered or given up.

Only the first waiting message of a task has a time at which it is due; when it is settled, the
next one gets its own. So the order of a task holds by itself, and tasks do not wait for each other.
All times are wall time, in seconds: they have to outlive the process.
"""

import sqlite3
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Self

from slicer.sqlite import Database, Schema
from slicer.webhooks.messages import Message

FILE = "callbacks.db"
MAX_SETTLED = 100_000
"""Settled messages that are kept to be listed and sent again."""
MAX_SAID = 200
_PRUNE_EVERY = 256

SCHEMA = Schema(
    application_id=0x534C4342,
    version=1,
    power_safe=False,  # an fsync for each message is more than most receivers are worth
    script="""
CREATE TABLE message (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  app INTEGER NOT NULL,
  task TEXT NOT NULL,
  grp INTEGER NOT NULL,
  event INTEGER NOT NULL,
  info TEXT NOT NULL,
  since REAL NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  due REAL,
  state INTEGER NOT NULL DEFAULT 0,
  said TEXT NOT NULL DEFAULT ''
);
CREATE INDEX heads ON message (app, due) WHERE due IS NOT NULL;
CREATE INDEX lines ON message (task, seq) WHERE state = 0;
CREATE INDEX settled ON message (seq) WHERE state > 0
""",
)


class Outcome(IntEnum):
    """What has become of a message."""

    WAITING = 0
    DELIVERED = 1
    GIVEN_UP = 2


@dataclass(frozen=True, slots=True)
class QueuedWebhook:
    """A message as it is kept. *since*: when its age began; *due*: None while another message of
    its task comes first, and once it is settled; *said*: what the last try ended with."""

    seq: int
    message: Message
    since: float
    tries: int
    due: float | None
    outcome: Outcome
    said: str


_COUNT = "SELECT count(*) FROM message WHERE state = 0"
_ADD = """INSERT OR IGNORE INTO message (id, app, task, grp, event, info, since)
VALUES (?, ?, ?, ?, ?, ?, ?)"""
_PROMOTE = """UPDATE message SET due = :now WHERE due IS NULL AND seq =
(SELECT min(seq) FROM message WHERE task = :task AND state = 0)"""
_PRUNE = "DELETE FROM message WHERE state > 0 AND seq <= (SELECT max(seq) FROM message) - ?"
_APPS = "SELECT DISTINCT app FROM message WHERE due <= ?"
_DUE = "SELECT * FROM message WHERE app = ? AND due <= ? ORDER BY due, seq LIMIT ?"
_NEXT = "SELECT min(due) FROM message WHERE due > ?"
_POSTPONE = "UPDATE message SET tries = tries + 1, due = ?, said = ? WHERE seq = ?"
_SETTLE = "UPDATE message SET tries = tries + 1, due = NULL, state = ?, said = ? WHERE seq = ?"
_LIST = """SELECT * FROM message WHERE (:outcome IS NULL OR state = :outcome)
AND (:task = '' OR task = :task) ORDER BY seq DESC LIMIT :limit"""
_SETTLED = """SELECT seq, task FROM message WHERE state = :outcome AND state > 0
AND (:task = '' OR task = :task) AND (:id = '' OR id = :id) ORDER BY seq"""
_AGAIN = """UPDATE message SET seq = (SELECT max(seq) + 1 FROM message), state = 0, tries = 0,
since = ? WHERE seq = ?"""


class WebhookQueue:
    """The file of messages. Another process may list it and have messages sent again."""

    def __init__(self, database: Database, bound: int) -> None:
        self._database, self._bound = database, bound
        self._room = 0

    @classmethod
    async def open(cls, folder: Path, bound: int = 100_000) -> Self:
        """Open or make the file in *folder*. Raises BadInput."""
        return cls(await Database.open(folder / FILE, SCHEMA), bound)

    async def add(self, message: Message, now: float) -> bool:
        """Keep a message, at the end of its task's line; one whose id is known is left as it is.

        False where too many wait.
        """

        def work(connection: sqlite3.Connection) -> bool:
            if self._room <= 0:  # count again only where it matters: it looks at all that wait
                self._room = self._bound - connection.execute(_COUNT).fetchone()[0]
            if self._room <= 0:
                return False
            values = (message.id, message.app, message.task, message.group, message.event)
            added = connection.execute(_ADD, (*values, message.info, now))
            if added.rowcount:
                self._room -= 1
                _promote(connection, message.task, now)
                if (added.lastrowid or 0) % _PRUNE_EVERY == 0:
                    connection.execute(_PRUNE, (MAX_SETTLED,))
            return True

        return await self._database.run(work)

    async def due(self, now: float, each: int) -> list[QueuedWebhook]:
        """Up to *each* messages of every app that are to be sent by now, longest due first."""

        def work(connection: sqlite3.Connection) -> list[QueuedWebhook]:
            apps = connection.execute(_APPS, (now,)).fetchall()
            return [
                _queued(row)
                for (app,) in apps
                for row in connection.execute(_DUE, (app, now, each)).fetchall()
            ]

        return await self._database.run(work)

    async def next_due(self, after: float) -> float | None:
        """The earliest time later than *after* at which a message is due."""
        row = await self._database.run(lambda c: c.execute(_NEXT, (after,)).fetchone())
        return None if row[0] is None else float(row[0])

    async def postpone(self, webhook: QueuedWebhook, due: float, said: str) -> None:
        """A try failed; the next one is at *due*."""
        values = (due, said[:MAX_SAID], webhook.seq)
        await self._database.run(lambda c: c.execute(_POSTPONE, values))

    async def settle(self, webhook: QueuedWebhook, outcome: Outcome, said: str, now: float) -> None:
        """The message is done with; the next one of its task is due now."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(_SETTLE, (int(outcome), said[:MAX_SAID], webhook.seq))
            _promote(connection, webhook.message.task, now)

        await self._database.run(work)

    async def webhooks(
        self, outcome: Outcome | None = None, task: str = "", limit: int = 1_000
    ) -> list[QueuedWebhook]:
        """The latest messages, oldest first; of one outcome and of one task where given."""
        chosen = {
            "outcome": None if outcome is None else int(outcome),
            "task": task,
            "limit": limit,
        }
        rows = await self._database.run(lambda c: c.execute(_LIST, chosen).fetchall())
        return [_queued(row) for row in reversed(rows)]

    async def resend(self, now: float, outcome: Outcome, task: str = "", message: str = "") -> int:
        """Have settled messages of an outcome sent anew, each behind its task's line; of one
        task or of one id where these are given. Gives how many."""

        def work(connection: sqlite3.Connection) -> int:
            chosen = {"outcome": int(outcome), "task": task, "id": message}
            rows = connection.execute(_SETTLED, chosen).fetchall()
            for seq, of in rows:
                connection.execute(_AGAIN, (now, seq))
                _promote(connection, of, now)
            return len(rows)

        return await self._database.run(work)

    async def close(self) -> None:
        """May be called twice."""
        await self._database.close()


def _promote(connection: sqlite3.Connection, task: str, now: float) -> None:
    """Give the first waiting message of a task its time, if it has none."""
    connection.execute(_PROMOTE, {"now": now, "task": task})


def _queued(row: tuple[Any, ...]) -> QueuedWebhook:
    seq, name, app, task, group, event, info, since, tries, due, state, said = row
    message = Message(name, app, task, group, event, info)
    return QueuedWebhook(seq, message, since, tries, due, Outcome(state), said)
