"""The audit on disk."""

from pathlib import Path

from slicer.console.audit import MAX_TEXT, Audit, AuditEntry


async def test_it_survives_and_forgets_the_oldest(tmp_path: Path) -> None:
    audit = await Audit.open(tmp_path)
    bounded = Audit(audit._database, most=2)
    for number in range(4):
        await bounded.add(AuditEntry(float(number), "mara", f"drop {number}", "x" * 999))
    await audit.close()
    again = await Audit.open(tmp_path)
    entries = await again.entries()
    assert [entry.what for entry in entries] == ["drop 3", "drop 2"]
    assert entries[0] == AuditEntry(3.0, "mara", "drop 3", "x" * MAX_TEXT)
    await again.close()
