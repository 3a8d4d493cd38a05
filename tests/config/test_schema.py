"""The schema of a section: types, ranges, choices, defaults, texts, and secrets without values."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from slicer.config import HOST, ORIGIN, REGION, bounded, secret, spelled
from slicer.config.schema import descriptions, table_schema


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Section:
    """One field of each type."""

    number: int = field(metadata={"range": (1, 9)})
    count: int = 3
    """How many,
    in words."""
    share: float = bounded(0.5, 0, 1)
    on: bool = False
    color: Color = Color.RED
    names: tuple[str, ...] = ()
    region: str = spelled("eu-1", REGION)
    hosts: tuple[str, ...] = spelled((), HOST)
    at: str = spelled("", ORIGIN)
    key: str = secret("SLICER_SHORT")
    """A secret."""
    pairs: tuple[tuple[str, str], ...] = field(default=(), metadata={"pair": ("id", "url")})


SCHEMA = table_schema(Section)


def test_texts_are_those_below_the_fields() -> None:
    assert descriptions(Section) == {"count": "How many, in words.", "key": "A secret."}
    assert SCHEMA["description"] == "One field of each type."


def test_every_type() -> None:
    pair = {"id": {"type": "string", "minLength": 1}, "url": {"type": "string", "minLength": 1}}
    assert SCHEMA["required"] == ["number"]
    assert SCHEMA["properties"] == {
        "number": {"type": "integer", "minimum": 1, "maximum": 9},
        "count": {
            "type": "integer", "minimum": 1, "default": 3, "description": "How many, in words.",
        },
        "share": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5},
        "on": {"type": "boolean", "default": False},
        "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
        "names": {"type": "array", "items": {"type": "string"}, "default": []},
        "region": {"type": "string", "pattern": f"^(?:{REGION.pattern})$", "default": "eu-1"},
        "hosts": {
            "type": "array",
            "items": {"type": "string", "pattern": f"^(?:{HOST.pattern})$"},
            "default": [],
        },
        "at": {"type": "string", "pattern": f"^(?:{ORIGIN.pattern}|)$", "default": ""},
        "key": {"type": "string", "writeOnly": True, "description": "A secret."},
        "pairs": {
            "type": "array",
            "default": [],
            "items": {
                "type": "object",
                "properties": pair,
                "required": ["id", "url"],
                "additionalProperties": False,
            },
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "valid"),
    [
        ({}, True),
        ({"share": 1}, True),
        ({"color": "blue", "names": ["a"], "pairs": [{"id": "a", "url": "b"}]}, True),
        ({"at": "", "region": "eu", "hosts": ["h"]}, True),
        ({"at": "nowhere"}, False),
        ({"region": ""}, False),
        ({"hosts": ["a b"]}, False),
        ({"number": 10}, False),
        ({"count": 0}, False),
        ({"share": 1.1}, False),
        ({"on": 1}, False),
        ({"color": "pink"}, False),
        ({"names": "a"}, False),
        ({"key": 1}, False),
        ({"pairs": [{"id": "a"}]}, False),
        ({"other": 1}, False),
    ],
)
def test_what_it_lets_pass(changed: dict[str, Any], valid: bool) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert Draft202012Validator(SCHEMA).is_valid({"number": 1} | changed) is valid
