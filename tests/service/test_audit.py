"""The audit on disk."""

import logging
import sqlite3
from pathlib import Path

import pytest

from slicer.service import audit as module
from slicer.service.audit import FILE, MAX_TEXT, SCHEMA, Audit, AuditEntry, AuditKind
from slicer.sqlite import Database, Schema

FIRST_VERSION = """
CREATE TABLE entry (
  seq INTEGER PRIMARY KEY, at REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
  detail TEXT NOT NULL
)"""


async def test_it_survives_and_forgets_the_oldest_of_each_kind(tmp_path: Path) -> None:
    audit = await Audit.open(tmp_path, dict.fromkeys(AuditKind, 2))
    await audit.add(AuditEntry(0.0, "mara", "login"))
    for number in range(1, 5):
        kind = AuditKind.REFUSED
        await audit.add(AuditEntry(float(number), "?", f"refused {number}", "x" * 999, kind))
    await audit.close()
    again = await Audit.open(tmp_path)
    entries = await again.entries()
    assert [entry.what for entry in entries] == ["refused 4", "refused 3", "login"]
    assert entries[0] == AuditEntry(4.0, "?", "refused 4", "x" * MAX_TEXT, AuditKind.REFUSED)
    assert [entry.what for entry in await again.entries(1)] == ["refused 4", "login"]
    await again.close()


async def test_what_is_noted_is_on_disk_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 2)
    audit = await Audit.open(tmp_path)
    for number in range(3):
        audit.note(AuditEntry(0.0, "key (192.0.2.1)", f"{number}", kind=AuditKind.API))
    await audit.close()
    assert [(one.name, one.value) for one in audit.samples()] == [
        ("audit_entries_dropped_total", 1)
    ]
    again = await Audit.open(tmp_path)
    assert {entry.what for entry in await again.entries()} == {"0", "1"}
    await again.close()


async def test_a_disk_that_fails_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    audit = await Audit.open(tmp_path)

    async def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(Database, "run", fail)
    with caplog.at_level(logging.WARNING):
        audit.note(AuditEntry(0.0, "key", "a"))
        audit.note(AuditEntry(0.0, "key", "b"))
        await audit.close()
    assert audit.dropped == 2
    assert caplog.text.count("disk I/O error") == 1


async def test_a_file_of_the_first_version_is_taken(tmp_path: Path) -> None:
    old = await Database.open(tmp_path / FILE, Schema(SCHEMA.application_id, 1, FIRST_VERSION))
    row = "INSERT INTO entry (at, who, what, detail) VALUES (1.5, 'mara', 'login', '')"
    await old.run(lambda connection: connection.execute(row) and None)
    await old.close()
    audit = await Audit.open(tmp_path)
    assert await audit.entries() == [AuditEntry(1.5, "mara", "login")]
    await audit.close()
