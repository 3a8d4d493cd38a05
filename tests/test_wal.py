"""The log beside a database: what SQLite would leave out of it without a word is counted."""

import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest

from slicer.wal import lost

ROWS, PAGE = 20, 4096
FRAME = 24 + PAGE


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of some transactions of one frame each, as a killed process leaves it."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as opened:
        opened.execute("PRAGMA journal_mode = WAL")
        opened.execute("CREATE TABLE thing (name TEXT)")
        for number in range(ROWS):
            opened.execute("INSERT INTO thing VALUES (?)", (f"{number:050}",))
        left = tmp_path / "left-wal"
        left.write_bytes((tmp_path / "a.db-wal").read_bytes())
    return left


def flipped(log: Path, at: int) -> Path:
    content = bytearray(log.read_bytes())
    content[at] ^= 0x40
    log.write_bytes(content)
    return log


def frames(log: Path) -> int:
    return (log.stat().st_size - 32) // FRAME


def test_a_log_that_is_whole(log: Path) -> None:
    assert frames(log) >= ROWS
    assert lost(log) == 0


def test_no_log_and_an_empty_one(tmp_path: Path) -> None:
    assert lost(tmp_path / "none") == 0
    (tmp_path / "empty").write_bytes(b"")
    assert lost(tmp_path / "empty") == 0


@pytest.mark.parametrize("at", [4, 9, 17, 24, 2000], ids=["size", "salt", "sum", "page", "middle"])
def test_every_transaction_from_a_wrong_frame_on(log: Path, at: int) -> None:
    wrong = frames(log) - 5
    assert lost(flipped(log, 32 + wrong * FRAME + at)) == 5


def test_a_log_of_which_sqlite_reads_every_frame_is_not_looked_into(log: Path) -> None:
    held = frames(log)
    flipped(log, 32 + 2000)
    assert lost(log, read=held) == 0
    assert lost(log, read=held - 1) == lost(log) > 0


def test_a_header_that_is_wrong_hides_everything(log: Path) -> None:
    assert lost(flipped(log, 20)) == 1
    assert lost(flipped(log, 0)) == 1


@pytest.mark.parametrize("bytes_short", [1, 24, FRAME - 1])
def test_what_a_crash_left_half_written(log: Path, bytes_short: int) -> None:
    log.write_bytes(log.read_bytes()[:-bytes_short])
    assert lost(log) == 0


def test_a_transaction_without_its_end(log: Path) -> None:
    whole = log.read_bytes()
    last = bytearray(whole[-FRAME:])
    last[4:8] = struct.pack(">I", 0)
    log.write_bytes(whole[:-FRAME] + last)
    assert lost(log) == 0
