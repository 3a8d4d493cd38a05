"""Who did what, on disk: logins, what was tried again, what was dropped. The oldest go first."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from slicer.sqlite import Database, Schema

FILE = "audit.db"
MAX_ENTRIES = 10_000
MAX_TEXT = 300
"""Characters of who and of what that are kept."""

SCHEMA = Schema(
    application_id=0x534C4155,
    version=1,
    power_safe=False,
    script="""
CREATE TABLE entry (
  seq INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  who TEXT NOT NULL,
  what TEXT NOT NULL,
  detail TEXT NOT NULL
)""",
)
_ADD = "INSERT INTO entry (at, who, what, detail) VALUES (?, ?, ?, ?)"
_PRUNE = "DELETE FROM entry WHERE seq <= (SELECT max(seq) FROM entry) - ?"
_LIST = "SELECT at, who, what, detail FROM entry ORDER BY seq DESC LIMIT ?"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that somebody did. *at*: wall time in seconds."""

    at: float
    who: str
    what: str
    detail: str = ""


class Audit:
    """The file of what was done; a line is on disk before `add` returns."""

    def __init__(self, database: Database, most: int = MAX_ENTRIES) -> None:
        self._database, self._most = database, most

    @classmethod
    async def open(cls, folder: Path) -> Self:
        """Open or make the file in *folder*. Raises BadInput."""
        return cls(await Database.open(folder / FILE, SCHEMA))

    async def add(self, entry: AuditEntry) -> None:
        """Keep an entry."""

        def work(connection: sqlite3.Connection) -> None:
            texts = (text[:MAX_TEXT] for text in (entry.who, entry.what, entry.detail))
            connection.execute(_ADD, (entry.at, *texts))
            connection.execute(_PRUNE, (self._most,))

        await self._database.run(work)

    async def entries(self, limit: int = 500) -> list[AuditEntry]:
        """The latest ones, latest first."""
        rows = await self._database.run(lambda c: c.execute(_LIST, (limit,)).fetchall())
        return [AuditEntry(*row) for row in rows]

    async def close(self) -> None:
        """May be called twice."""
        await self._database.close()
