"""A section of settings: types, ranges and secrets are checked, and mistakes are told in words."""

import os
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from slicer.config import (
    ADDRESS,
    ADDRESS_PORT,
    HOST,
    HOST_PORT,
    HTTP_URL,
    ORIGIN,
    REGION,
    SERVER_URL,
    Syntax,
    bounded,
    check,
    in_words,
    limits,
    refuse_pipe,
    secret,
    section_fields,
    spelled,
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
    at: str = spelled("", HTTP_URL)
    region: str = spelled("eu-1", REGION)
    hosts: tuple[str, ...] = spelled((), HOST)
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
        ({"at": "ftp://h"}, "table.at: got 'ftp://h'; allowed: an http:// or https:// URL without"),
        ({"at": "http://user:key@h/"}, "table.at: got \"a text with '@'\"; allowed: "),
        ({"region": ""}, "table.region: got ''; allowed: a region"),
        ({"hosts": ("a", "b c")}, "table.hosts: got 'b c'; allowed: a host's name or address"),
        ({"key": 4711}, "table.key: got 'a secret of another type'; allowed: a text"),
    ],
)
def test_a_wrong_value_is_named(changed: dict[str, Any], message: str) -> None:
    check("table", Section())
    with pytest.raises(BadInput, match=message):
        check("table", replace(Section(), **changed))


@pytest.mark.parametrize(
    ("syntax", "right", "wrong"),
    [
        (ADDRESS, ["192.0.2.1", "2001:db8::1", "::"], ["", "h", "1.2.3", "[::]", "192.0.2.1:8"]),
        (ADDRESS, [], ["999.1.1.1", "1::2::3", "12345::"]),
        (HOST, ["h", "a-b.example", "slicer_api", "192.0.2.1", "::1", "[::1]"], ["", "h:1", "-h"]),
        (HOST, ["fe80::1%eth0", "judge.svc.cluster.local."], ["fe80::1%", "h%eth0", "."]),
        (HOST_PORT, ["h", "h:80", "[::1]:80", "h:65535"], ["h:", "h:x", "::1", "h:65536"]),
        (ADDRESS_PORT, ["0.0.0.0:0", "[::]:8189", "localhost:1"], ["0.0.0.0", ":1", "h:1"]),
        (ADDRESS_PORT, ["0.0.0.0:65535"], ["0.0.0.0:65536", "0.0.0.0:99999", "999.1.1.1:1"]),
        (ORIGIN, ["http://h", "https://h:8"], ["h", "https://h/", "ftp://h", "http://u@h"]),
        (SERVER_URL, ["http://h", "https://h:8/"], ["https://h/a", "http://", "http://h:99999"]),
        (HTTP_URL, ["http://h/a?b=c", "https://[::1]:8/v1"], ["http://h/a b", "http://u:p@h/"]),
        (HTTP_URL, ["http://h?b=c", "http://judge.ns.svc.cluster.local.:8000"], ["http://h#a"]),
        (REGION, ["ap-guangzhou", "us-east-1"], ["", "A", "a b", "-a"]),
    ],
    ids=lambda value: value.rule if isinstance(value, Syntax) else "",
)
def test_syntaxes(syntax: Syntax, right: list[str], wrong: list[str]) -> None:
    assert [text for text in right if not syntax.fits(text)] == []
    assert [text for text in wrong if syntax.fits(text)] == []


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


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    refuse_pipe("keys", tmp_path / "nothing")
    refuse_pipe("keys", Path(__file__))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match=r"keys: got '.*/pipe'; allowed: a file: it is read more"):
        refuse_pipe("keys", tmp_path / "pipe")
