"""Counts are kept, compared and shown; a rise over 5 % is marked and no other."""

from pathlib import Path

import pytest

from bench.instructions.counts import Count, Counts, change, differences, read, table, write

TOOLS = {"compiler": "gcc 12", "libc": "glibc 2.36"}


def counts(tools: dict[str, str] = TOOLS, **cases: float) -> Counts:
    return Counts(tools, {name: Count(100, native, 10.0, 1000.0) for name, native in cases.items()})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    stored = counts(parse=90.0, audio=1000.25)
    write(tmp_path / "counts.json", stored)
    assert read(tmp_path / "counts.json") == stored


def test_nothing_is_committed_yet(tmp_path: Path) -> None:
    assert read(tmp_path / "counts.json") is None
    assert "new" in table(None, counts(parse=90.0))


@pytest.mark.parametrize(
    ("native", "cell"),
    [(90.0, "+0.0%"), (95.0, "+5.0%"), (95.1, "RISE +5.1%"), (40.0, "-50.0%")],
)
def test_a_rise_is_marked(native: float, cell: str) -> None:
    line = table(counts(parse=90.0), counts(parse=native)).splitlines()[1]
    columns = line.split("  ")
    assert cell in [column.strip() for column in columns]
    assert ("RISE" in line) is cell.startswith("RISE")


def test_a_rise_of_libcrypto_is_its_own() -> None:
    before, now = Count(1, 90.0, 10.0, 1000.0), Count(1, 90.0, 10.0, 9000.0)
    assert change(before, now) == 0.0


def test_a_rise_of_libc_is_ours() -> None:
    assert change(Count(1, 90.0, 10.0, 0.0), Count(1, 90.0, 30.0, 0.0)) == pytest.approx(0.2)


def test_a_case_that_was_not_there_is_new() -> None:
    lines = table(counts(parse=90.0), counts(parse=90.0, audio=1.0)).splitlines()
    assert lines[2].split()[:4] == ["audio", "-", "11.0", "new"]


def test_the_columns_are_aligned() -> None:
    lines = table(counts(a=1.0), counts(a=123456.0, much_longer=2.0)).splitlines()
    assert len({len(line) for line in lines}) == 1


def test_the_same_tools_differ_in_nothing() -> None:
    assert differences(counts(parse=1.0), counts(parse=2.0)) == []


def test_other_tools_are_named() -> None:
    now = counts({"compiler": "clang 16", "libc": "glibc 2.36", "valgrind": "3.19"}, parse=1.0)
    assert differences(counts(parse=1.0), now) == [
        "compiler: gcc 12, now clang 16",
        "valgrind: none, now 3.19",
    ]
