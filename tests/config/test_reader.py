"""Tables of a file and variables over them; what nobody knows is refused, what moved is told."""

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from slicer.config import bounded, check, secret, split_authority
from slicer.config.reader import MAX_FILE, SettingsReader
from slicer.errors import BadInput


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Section:
    """One field of each type."""

    count: int = 3
    share: float = bounded(0.5, 0, 9)
    on: bool = False
    color: Color = Color.RED
    names: tuple[str, ...] = ()
    key: str = secret("SLICER_SHORT")


def reader_of(tables: dict[str, object] | None = None, **environment: str) -> SettingsReader:
    return SettingsReader(tables or {}, environment, {"old.count": "table.count"})


def taken(read: SettingsReader) -> Section:
    """The one section, checked, where nothing else is left."""
    section = read.take("table", Section)
    check("table", section)
    read.end(("other",))
    return section


def test_a_table_has_values_of_its_own_types() -> None:
    table = {"share": 2, "color": "blue", "names": ["a", "b"]}
    section = reader_of({"table": table}).take("table", Section)
    assert section == Section(share=2.0, color=Color.BLUE, names=("a", "b"))
    assert type(section.share) is float
    assert section.color is Color.BLUE


def test_variables_beat_the_table() -> None:
    read = reader_of(
        {"table": {"count": 7, "on": False}},
        SLICER_TABLE_ON="true",
        SLICER_TABLE_SHARE="1.5",
        SLICER_TABLE_NAMES="a, b,",
        SLICER_SHORT="hidden",
        SLICER_NATIVE="0",
        HOME="/nowhere",
    )
    expected = Section(7, 1.5, True, Color.RED, ("a", "b"), "hidden")
    assert read.take("table", Section) == expected
    read.end()


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"table": 1}, r"table: got 1; allowed: a table: \[table\]"),
        ({"table": {"share": 10**400}}, "table.share: got inf; allowed: a number from 0 to 9"),
        ({"table": {"count": -(16**5000)}}, "table.count: got a number too long to be shown"),
        ({"table": {"x": 1}}, "table.x: got 'an unknown field'; allowed: count, share, on"),
        ({"table": {"color": "pink"}}, "table.color: got 'pink'; allowed: red or blue"),
        ({"tabel": {}}, "tabel: got 'an unknown table'; allowed: other, table"),
    ],
)
def test_mistakes_in_tables(tables: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        taken(reader_of(tables))


@pytest.mark.parametrize("table", ["hidden", ["hidden"], [{"key": "hidden"}]])
def test_what_stands_in_place_of_a_table_is_not_shown(table: object) -> None:
    with pytest.raises(BadInput, match=r"a table: \[table\]") as refused:
        taken(reader_of({"table": table}))
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("SLICER_TABLE_COUNT", "many", "table.count: got 'many'; allowed: a whole number from 1"),
        ("SLICER_TABLE_ON", "yes", "table.on: got 'yes'; allowed: true or false"),
        ("SLICER_TABLE_COLOR", "pink", "table.color: got 'pink'; allowed: red or blue"),
        ("SLICER_TABLE_X", "1", "SLICER_TABLE_X: got 'an unknown variable'"),
    ],
)
def test_mistakes_in_variables(name: str, text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        taken(reader_of(None, **{name: text}))


@dataclass(frozen=True, slots=True)
class Strict:
    """A section that looks at what it is given."""

    listen: str = ""

    def __post_init__(self) -> None:
        split_authority("strict.listen", self.listen)


@pytest.mark.parametrize("value", [1, True, [1], {"a": 1}])
def test_a_section_is_given_nothing_of_another_type(value: object) -> None:
    with pytest.raises(BadInput, match=r"strict\.listen: got .*; allowed: a text"):
        reader_of({"strict": {"listen": value}}).take("strict", Strict)


def test_what_moved_is_told_its_new_name() -> None:
    with pytest.raises(BadInput, match=r"old.count: got 'a field that has moved'; .*table\.count"):
        reader_of({"old": {"count": 1}})
    with pytest.raises(BadInput, match=r"^old: got 'a table that has moved'; allowed: table$"):
        SettingsReader({"old": {}}, {}, {"old.count": "table.count"})
    with pytest.raises(BadInput, match=r"SLICER_OLD_COUNT: got .*moved'.*: SLICER_TABLE_COUNT"):
        reader_of(SLICER_OLD_COUNT="1")


def test_other_programs_tables_are_left_alone() -> None:
    read = reader_of({"table": {}, "other": {"x": 1}}, SLICER_OTHER_X="1")
    read.take("table", Section)
    read.end(("other",), ("SLICER_OTHER_",))
    with pytest.raises(BadInput, match="other: got 'an unknown table'"):
        read.end()


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("[table]\ncount = 9\n")
    assert SettingsReader.read(path, None, {}).take("table", Section) == Section(9)
    assert SettingsReader.read(None, None, {}).take("table", Section) == Section()
    for data in (b"count = [", b"\xff", b"a = " + b"[" * 10_000):
        path.write_bytes(data)
        with pytest.raises(BadInput, match=r"s\.toml.*a TOML file"):
            SettingsReader.read(path, None, {})
    path.write_bytes(b"#" * MAX_FILE)
    assert SettingsReader.read(path, None, {}).tables == {}
    path.write_bytes(b"#" * (MAX_FILE + 1))
    with pytest.raises(BadInput, match=r"s\.toml.*at most 1048576 bytes"):
        SettingsReader.read(path, None, {})
    with pytest.raises(BadInput, match="can be read"):
        SettingsReader.read(tmp_path / "none.toml", None, {})


def test_a_pipe_is_refused() -> None:
    """`--config <(decrypt …)`: the second reader would find no settings, and take the defaults."""
    end, other = os.pipe()
    with pytest.raises(BadInput, match=r"settings: got '/dev/fd/\d+'; allowed: a file: it is read"):
        SettingsReader.read(Path(f"/dev/fd/{end}"), {}, {})
    os.close(end)
    os.close(other)
