"""Errors say what is wrong, with which field or key, and never more than a screen can take."""

import re
from pathlib import Path

import pytest

import slicer
from slicer.errors import (
    BadInput,
    SlicerError,
    StorageError,
    StorageRefused,
    StorageUnavailable,
    counted,
    shown,
)

PACKAGE = Path(slicer.__file__).parent


def test_bad_input_names_field_value_and_what_is_allowed() -> None:
    error = BadInput("audio.seconds", 0, "1 to 86400")
    assert str(error) == "audio.seconds: got 0; allowed: 1 to 86400"
    assert (error.field, error.got, error.allowed) == ("audio.seconds", 0, "1 to 86400")


@pytest.mark.parametrize("kind", [StorageRefused, StorageUnavailable])
def test_a_store_that_refuses_names_the_key(kind: type[StorageError]) -> None:
    assert str(kind("a/b.ogg", "403", "check the key")) == "a/b.ogg: 403; check the key"
    assert str(kind("", "403", "check the key")) == "store: 403; check the key"
    assert issubclass(kind, SlicerError)


def test_a_value_is_shown_on_one_short_line() -> None:
    assert shown("a\nb") == r"'a\nb'"
    assert shown("x" * 78) == "'" + "x" * 78 + "'"
    assert shown("x" * 79) == "'" + "x" * 38 + "…" + "x" * 38 + "'"
    assert shown(list(range(1000)), limit=11) == "[0, 1… 999]"


def test_one_is_no_plural() -> None:
    assert [counted(count, "slice") for count in (0, 1, 2)] == ["0 slices", "1 slice", "2 slices"]


def test_no_line_of_the_log_has_a_plural_for_one() -> None:
    """A number in a log's format goes by `counted`, with its noun."""
    plural = re.compile(r'%d [a-z-]+s\b|[a-z]\(s\)[ "]')
    found = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        for line in path.read_text().splitlines()
        if plural.search(line)
    ]
    assert found == []
