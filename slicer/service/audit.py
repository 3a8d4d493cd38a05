"""Who did what, on disk: what operators did in the console, what was ordered by the API, and who
was refused. Each kind has a bound of its own, so that no flood of one washes away another."""

import logging
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from slicer.background import Background
from slicer.engine.sample import Sample
from slicer.sqlite import Database, Schema

logger = logging.getLogger(__name__)

FILE = "audit.db"
MAX_TEXT = 300
"""Characters of who and of what that are kept."""
MAX_PENDING = 1_000
"""Entries of `note` that are not on disk yet; more are dropped, and counted."""


class AuditKind(StrEnum):
    """Whose doing it was."""

    OPERATOR = "operator"
    """Somebody at the console."""
    API = "api"
    """A caller of the API whose key is proved."""
    REFUSED = "refused"
    """Somebody without the token, or without a key."""


MAX_ENTRIES: Mapping[AuditKind, int] = {
    AuditKind.OPERATOR: 10_000,
    AuditKind.API: 100_000,
    AuditKind.REFUSED: 1_000,
}
"""Of each kind; the oldest go first."""

METRICS: Mapping[str, str] = {
    "audit_entries_dropped_total": "entries of the audit that its file did not take",
}

_TABLE = """
CREATE TABLE entry (
  seq INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  who TEXT NOT NULL,
  what TEXT NOT NULL,
  detail TEXT NOT NULL,
  kind TEXT NOT NULL DEFAULT 'operator'
)"""
_INDEX = "CREATE INDEX entry_kind ON entry (kind, seq)"
SCHEMA = Schema(
    application_id=0x534C4155,
    version=2,
    power_safe=False,
    script=";".join((_TABLE, _INDEX)),
    migrations=(
        ";".join(("ALTER TABLE entry ADD COLUMN kind TEXT NOT NULL DEFAULT 'operator'", _INDEX)),
    ),
)
_ADD = "INSERT INTO entry (at, who, what, detail, kind) VALUES (?, ?, ?, ?, ?)"
_PRUNE = """DELETE FROM entry WHERE kind = ? AND seq <= (
  SELECT seq FROM entry WHERE kind = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)"""
_LIST = """SELECT at, who, what, detail, kind FROM (
  SELECT * FROM entry WHERE kind = ? ORDER BY seq DESC LIMIT ?)"""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that somebody did. *at*: wall time in seconds."""

    at: float
    who: str
    what: str
    detail: str = ""
    kind: AuditKind = AuditKind.OPERATOR


class Audit:
    """The file of what was done."""

    def __init__(self, database: Database, most: Mapping[AuditKind, int]) -> None:
        self.dropped = 0
        """Entries of `note` that were one too many, or that the disk did not take."""
        self._database, self._most = database, most
        self._pending = Background()

    @classmethod
    async def open(cls, folder: Path, most: Mapping[AuditKind, int] = MAX_ENTRIES) -> Self:
        """Open or make the file in *folder*. Raises BadInput."""
        return cls(await Database.open(folder / FILE, SCHEMA), most)

    async def add(self, entry: AuditEntry) -> None:
        """Keep an entry; it is on disk before this returns."""

        def work(connection: sqlite3.Connection) -> None:
            texts = (text[:MAX_TEXT] for text in (entry.who, entry.what, entry.detail))
            connection.execute(_ADD, (entry.at, *texts, entry.kind))
            connection.execute(_PRUNE, (entry.kind, entry.kind, self._most[entry.kind]))

        await self._database.run(work)

    def note(self, entry: AuditEntry) -> None:
        """Keep an entry soon: who does what it tells of does not wait for the disk."""
        if len(self._pending) >= MAX_PENDING:
            self.dropped += 1
            return
        self._pending.start(self._note(entry))

    async def entries(self, limit: int = 300) -> list[AuditEntry]:
        """The latest *limit* of each kind, latest first."""

        def work(connection: sqlite3.Connection) -> list[tuple[float, str, str, str, str]]:
            return [row for kind in AuditKind for row in connection.execute(_LIST, (kind, limit))]

        rows = sorted(await self._database.run(work), key=lambda row: row[0], reverse=True)
        return [AuditEntry(*row[:4], AuditKind(row[4])) for row in rows]

    def samples(self) -> Iterator[Sample]:
        """What METRICS names."""
        yield Sample("audit_entries_dropped_total", self.dropped)

    async def close(self) -> None:
        """Keep what was noted, then close. May be called twice."""
        await self._pending.wait()
        await self._database.close()

    async def _note(self, entry: AuditEntry) -> None:
        try:
            await self.add(entry)
        except Exception as error:
            self.dropped += 1
            if self.dropped == 1:
                logger.warning("! the audit does not take what is done: %s", error)
