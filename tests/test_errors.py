"""Errors say what is wrong, with which field or key, and never more than a screen can take."""

import pytest

from slicer.errors import (
    BadInput,
    SlicerError,
    StorageError,
    StorageRefused,
    StorageUnavailable,
    shown,
)


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
