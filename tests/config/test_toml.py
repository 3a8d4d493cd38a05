"""Settings as TOML: what is shown reads back as it was, and no secret is in it."""

import tomllib
from dataclasses import dataclass, field
from enum import StrEnum

from hypothesis import given
from hypothesis import strategies as st

from slicer.config import secret
from slicer.config.toml import table_lines


class Color(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Section:
    """One field of each type."""

    count: int = 3
    share: float = 1e300
    on: bool = True
    name: str = ""
    color: Color = Color.RED
    names: tuple[str, ...] = ()
    key: str = secret("SLICER_SHORT")
    pairs: tuple[tuple[str, str], ...] = field(default=(), metadata={"pair": ("id", "url")})


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def test_lines() -> None:
    section = Section(name='a"b', names=("x", "y"), key="hidden", pairs=(("1", "2"),))
    assert table_lines("[table]", section) == [
        "[table]",
        "count = 3",
        "share = 1e+300",
        "on = true",
        'name = "a\\"b"',
        'color = "red"',
        'names = ["x", "y"]',
        "# key: set, not shown",
        'pairs = [{ id = "1", url = "2" }]',
    ]
    assert "# key: not set" in table_lines("[table]", Section())


@given(TEXTS, st.lists(TEXTS, max_size=3), st.floats(allow_nan=False, allow_infinity=False))
def test_it_reads_back_as_it_was(name: str, names: list[str], share: float) -> None:
    section = Section(share=share, name=name, names=tuple(names), pairs=((name, "u"),))
    read = tomllib.loads("\n".join(table_lines("[table]", section)))["table"]
    assert read == {
        "count": 3,
        "share": share,
        "on": True,
        "name": name,
        "color": "red",
        "names": names,
        "pairs": [{"id": name, "url": "u"}],
    }
