"""A section of settings: types, ranges and secrets are checked, and mistakes are told in words."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import pytest

from slicer.config import (
    bounded,
    check,
    in_words,
    limits,
    secret,
    section_fields,
    split_authority,
    variable,
)
from slicer.errors import BadInput


class Color(StrEnum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Section:
    """One field of each type."""

    count: int = 3
    share: float = bounded(0.5, 0, 1)
    on: bool = False
    name: str = ""
    color: Color = Color.RED
    names: tuple[str, ...] = ()
    key: str = secret("SLICER_SHORT")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"count": 0}, "table.count: got 0; allowed: a whole number from 1 up"),
        ({"count": True}, "table.count: got True; allowed: a whole number"),
        ({"count": 1.0}, "table.count: got 1.0; allowed: a whole number"),
        ({"share": 1.5}, "table.share: got 1.5; allowed: a number from 0 to 1"),
        ({"share": float("nan")}, "table.share: got nan"),
        ({"share": 1}, "table.share: got 1; allowed: a number"),
        ({"on": 1}, "table.on: got 1; allowed: true or false"),
        ({"name": 1}, "table.name: got 1; allowed: a text"),
        ({"name": "a\0b"}, "table.name: got .*; allowed: a text without NUL"),
        ({"names": ("a\0b",)}, "table.names: .*; allowed: a list of texts without NUL"),
        ({"color": "red"}, "table.color: got 'red'; allowed: red, green or blue"),
        ({"names": ["a"]}, r"table.names: got \['a'\]; allowed: a list of texts"),
        ({"names": (1,)}, r"table.names: got \(1,\)"),
        ({"key": 4711}, "table.key: got 'a secret of another type'; allowed: a text"),
    ],
)
def test_a_wrong_value_is_named(changed: dict[str, Any], message: str) -> None:
    check("table", Section())
    with pytest.raises(BadInput, match=message):
        check("table", replace(Section(), **changed))


def test_variables_and_limits() -> None:
    fields = {one.name: one for one, _ in section_fields(Section)}
    assert variable("table", fields["count"]) == "SLICER_TABLE_COUNT"
    assert variable("table", fields["key"]) == "SLICER_SHORT"
    assert limits(fields["share"]) == (0, 1)
    assert limits(fields["count"]) == (1, float("inf"))
    assert "key" not in repr(Section(key="hidden"))


def test_choices_in_words() -> None:
    assert in_words(["png"]) == "png"
    assert in_words(["png", "jpg"]) == "png or jpg"
    assert in_words(["png", "jpg", "webp"]) == "png, jpg or webp"


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::]:65535", ("::", 65_535)),
        ("slicer.example:80", ("slicer.example", 80)),
    ],
)
def test_an_authority(text: str, authority: tuple[str, int]) -> None:
    assert split_authority("table.at", text) == authority


@pytest.mark.parametrize(
    "text", ["", "8090", ":8090", "h", "h:", "h:65536", "h:-1", "h:٣", "h:000080", "::1:80", "[]:1"]
)
def test_what_is_no_authority(text: str) -> None:
    with pytest.raises(BadInput, match=r"table\.at: got .*HOST:PORT"):
        split_authority("table.at", text)
