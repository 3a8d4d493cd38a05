"""Webhooks on disk, in the order of their lines, until they are delivered or given up.

Only the first waiting webhook of a line has a time at which it is due; when it is settled, the
next one gets its own. So the order of a line holds by itself, and lines do not wait for each other.
All times are wall time, in seconds: they have to outlive the process.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Self

from slicer.sqlite import Database, Schema

FILE = "callbacks.db"
MAX_SETTLED = 100_000
"""Settled webhooks that are kept to be listed and sent again."""
MAX_DETAIL = 200
"""Characters of an outcome's detail that are kept."""
_PRUNE_EVERY = 256

_TABLE = """
CREATE TABLE webhook (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  subscriber INTEGER NOT NULL,
  line TEXT NOT NULL,
  event INTEGER NOT NULL,
  payload TEXT NOT NULL,
  since REAL NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  due REAL,
  outcome INTEGER NOT NULL DEFAULT 0,
  detail TEXT NOT NULL DEFAULT ''
)"""
_INDEXES = """
CREATE INDEX heads ON webhook (subscriber, due) WHERE due IS NOT NULL;
CREATE INDEX lines ON webhook (line, seq) WHERE outcome = 0;
CREATE INDEX settled ON webhook (seq) WHERE outcome > 0
"""
# Version 1 had other names, and a column `grp` that `event` implies.
_COPY_1 = """INSERT INTO webhook
SELECT seq, id, app, task, event, info, since, tries, due, state, said FROM message"""
SCHEMA = Schema(
    application_id=0x534C4342,
    version=2,
    power_safe=False,  # an fsync for each webhook is more than most subscribers are worth
    script=";".join((_TABLE, _INDEXES)),
    migrations=(";".join((_TABLE, _COPY_1, "DROP TABLE message", _INDEXES)),),
)


class Outcome(IntEnum):
    """What has become of a webhook."""

    WAITING = 0
    DELIVERED = 1
    GIVEN_UP = 2
    DROPPED = 3
    """By an operator; as the others, it may still be sent again by its outcome."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One thing to tell a subscriber, once: a second webhook of an *id* is not sent.

    Webhooks of one *line* arrive in their order, lines do not wait for each other. *event* and
    *payload* are the sender's own: what happened, and all that its body is made of.
    """

    id: str
    subscriber: int
    line: str
    event: int
    payload: str


@dataclass(frozen=True, slots=True)
class QueuedWebhook:
    """A webhook as it is kept. *since*: when its age began; *due*: None while another one of its
    line comes first, and once it is settled; *detail*: what the last try ended with."""

    seq: int
    webhook: Webhook
    since: float
    tries: int
    due: float | None
    outcome: Outcome
    detail: str


_COUNT = "SELECT count(*) FROM webhook WHERE outcome = 0"
_ADD = """INSERT OR IGNORE INTO webhook (id, subscriber, line, event, payload, since)
VALUES (?, ?, ?, ?, ?, ?)"""
_PROMOTE = """UPDATE webhook SET due = :now WHERE due IS NULL AND seq =
(SELECT min(seq) FROM webhook WHERE line = :line AND outcome = 0)"""
_PRUNE = "DELETE FROM webhook WHERE outcome > 0 AND seq <= (SELECT max(seq) FROM webhook) - ?"
_SUBSCRIBERS = "SELECT DISTINCT subscriber FROM webhook WHERE due <= ?"
_DUE = """SELECT * FROM webhook WHERE subscriber = ? AND due <= ?
AND seq NOT IN (SELECT value FROM json_each(?)) ORDER BY due, seq LIMIT ?"""
_NEXT = "SELECT min(due) FROM webhook WHERE due > ?"
_POSTPONE = "UPDATE webhook SET tries = tries + 1, due = ?, detail = ? WHERE seq = ?"
_SETTLE = "UPDATE webhook SET tries = tries + 1, due = NULL, outcome = ?, detail = ? WHERE seq = ?"
_LIST = """SELECT * FROM webhook WHERE (:outcome IS NULL OR outcome = :outcome)
AND (:line = '' OR line = :line) ORDER BY seq DESC LIMIT :limit"""
_SETTLED = """SELECT seq, line FROM webhook WHERE outcome = :outcome AND outcome > 0
AND (:line = '' OR line = :line) AND (:id = '' OR id = :id) ORDER BY seq"""
_AGAIN = """UPDATE webhook SET seq = (SELECT max(seq) + 1 FROM webhook), outcome = 0, tries = 0,
since = ? WHERE seq = ?"""


_COUNTS = "SELECT outcome, count(*) FROM webhook WHERE outcome != 1 GROUP BY outcome"
_HURRY = "UPDATE webhook SET due = :now WHERE due > :now"
_HEAD = "SELECT * FROM webhook WHERE id = ? AND outcome = 0"


class WebhookQueue:
    """The file of webhooks. Another process may list it and have webhooks sent again."""

    def __init__(self, database: Database, bound: int) -> None:
        self._database, self._bound = database, bound
        self._room = 0

    @classmethod
    async def open(cls, folder: Path, bound: int = 100_000) -> Self:
        """Open or make the file in *folder*. Raises BadInput."""
        return cls(await Database.open(folder / FILE, SCHEMA), bound)

    async def add(self, webhook: Webhook, now: float) -> bool:
        """Keep a webhook, at the end of its line; one whose id is known is left as it is.

        False where too many wait.
        """

        # The row and its turn in one transaction: a crash leaves no webhook that is never due.
        def work(connection: sqlite3.Connection) -> bool:
            if self._room <= 0:  # count again only where it matters: it looks at all that wait
                self._room = self._bound - connection.execute(_COUNT).fetchone()[0]
            if self._room <= 0:
                return False
            added = connection.execute(_ADD, (*astuple(webhook), now))
            if added.rowcount:
                self._room -= 1
                _promote(connection, webhook.line, now)
                if (added.lastrowid or 0) % _PRUNE_EVERY == 0:
                    connection.execute(_PRUNE, (MAX_SETTLED,))
            return True

        return await self._database.run(work)

    async def due(
        self, now: float, each: int, under_way: Iterable[QueuedWebhook] = ()
    ) -> list[QueuedWebhook]:
        """The webhooks to be sent by now, longest due first: of every subscriber as many as make
        *each* with those of *under_way*, which are not given again."""
        busy = defaultdict[int, list[int]](list)
        for queued in under_way:
            busy[queued.webhook.subscriber].append(queued.seq)

        # A row that is read costs more than one that is skipped: the thread gives the interpreter
        # back for each, and a busy loop keeps it for milliseconds.
        def work(connection: sqlite3.Connection) -> list[QueuedWebhook]:
            found: list[QueuedWebhook] = []
            for (subscriber,) in connection.execute(_SUBSCRIBERS, (now,)).fetchall():
                seqs = busy[subscriber]
                if (free := each - len(seqs)) > 0:
                    chosen = (subscriber, now, json.dumps(seqs), free)
                    found += map(_queued, connection.execute(_DUE, chosen).fetchall())
            return found

        return await self._database.run(work)

    async def waiting(self) -> int:
        """How many are kept and not settled."""
        row = await self._database.run(lambda c: c.execute(_COUNT).fetchone())
        return int(row[0])

    async def next_due(self, after: float) -> float | None:
        """The earliest time later than *after* at which a webhook is due."""
        row = await self._database.run(lambda c: c.execute(_NEXT, (after,)).fetchone())
        return None if row[0] is None else float(row[0])

    async def postpone(self, queued: QueuedWebhook, due: float, detail: str) -> None:
        """A try failed; the next one is at *due*."""
        values = (due, detail[:MAX_DETAIL], queued.seq)
        await self._database.run(lambda c: c.execute(_POSTPONE, values))

    async def settle(
        self, queued: QueuedWebhook, outcome: Outcome, detail: str, now: float
    ) -> None:
        """The webhook is done with; the next one of its line is due now."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(_SETTLE, (int(outcome), detail[:MAX_DETAIL], queued.seq))
            _promote(connection, queued.webhook.line, now)

        await self._database.run(work)

    async def webhooks(
        self, outcome: Outcome | None = None, line: str = "", limit: int = 1_000
    ) -> list[QueuedWebhook]:
        """The latest ones, oldest first; of one outcome and of one line where given."""
        chosen = {
            "outcome": None if outcome is None else int(outcome),
            "line": line,
            "limit": limit,
        }
        rows = await self._database.run(lambda c: c.execute(_LIST, chosen).fetchall())
        return [_queued(row) for row in reversed(rows)]

    async def resend(self, now: float, outcome: Outcome, line: str = "", webhook: str = "") -> int:
        """Have settled webhooks of an outcome sent anew, each at the end of its line; of one
        line or of one id where these are given. Gives how many."""

        def work(connection: sqlite3.Connection) -> int:
            chosen = {"outcome": int(outcome), "line": line, "id": webhook}
            rows = connection.execute(_SETTLED, chosen).fetchall()
            for seq, of in rows:
                connection.execute(_AGAIN, (now, seq))
                _promote(connection, of, now)
            return len(rows)

        return await self._database.run(work)

    async def counts(self) -> dict[Outcome, int]:
        """How many wait, and how many are given up."""
        rows = await self._database.run(lambda c: c.execute(_COUNTS).fetchall())
        return {Outcome.WAITING: 0, Outcome.GIVEN_UP: 0} | {Outcome(one): n for one, n in rows}

    async def hurry(self, now: float) -> int:
        """Have everything that waits for its next try be due now. Gives how many."""
        return await self._database.run(lambda c: c.execute(_HURRY, {"now": now}).rowcount)

    async def drop(self, webhook: str, detail: str, now: float) -> bool:
        """Send one that waits no more, by its id; those behind it go on. False where none does."""

        def work(connection: sqlite3.Connection) -> bool:
            row = connection.execute(_HEAD, (webhook,)).fetchone()
            if row is None:
                return False
            queued = _queued(row)
            outcome = int(Outcome.DROPPED)
            connection.execute(_SETTLE, (outcome, detail[:MAX_DETAIL], queued.seq))
            _promote(connection, queued.webhook.line, now)
            return True

        return await self._database.run(work)

    async def close(self) -> None:
        """May be called twice."""
        await self._database.close()


def _promote(connection: sqlite3.Connection, line: str, now: float) -> None:
    """Give the first waiting webhook of a line its time, if it has none."""
    connection.execute(_PROMOTE, {"now": now, "line": line})


def _queued(row: tuple[Any, ...]) -> QueuedWebhook:
    seq, name, subscriber, line, event, payload, since, tries, due, outcome, detail = row
    webhook = Webhook(name, subscriber, line, event, payload)
    return QueuedWebhook(seq, webhook, since, tries, due, Outcome(outcome), detail)
