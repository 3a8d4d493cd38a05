"""Facts as header values: ASCII, bounded, and the same again when they are read."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import StorageRefused
from slicer.storage.metadata import MAX_BYTES, encoded


def test_plain_values_stay_as_they_are() -> None:
    facts = {"start": "2025-01-06T14:31:43.250+00:00", "duration": "15.000", "task": "a-b_c.d~e"}
    assert encoded("k", facts) == facts


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=150))
def test_any_text_is_fit_for_a_header_and_comes_back(value: str) -> None:
    made = encoded("k", {"anchor": value})["anchor"]
    assert made.isascii()
    assert made.isprintable() or not made
    assert " " not in made
    assert unquote(made) == value


def test_a_lone_surrogate_does_no_harm() -> None:
    assert encoded("k", {"anchor": "a\ud800b"}) == {"anchor": "a%3Fb"}


@pytest.mark.parametrize("name", ["", "Task", "a b", "a:b", "a\r\nb", "ä", "-a", "a" * 33])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(StorageRefused, match="no name for metadata") as caught:
        encoded("k", {name: "x"})
    assert caught.value.key == "k"


def test_the_bound() -> None:
    assert encoded("k", {"a": "x" * (MAX_BYTES - 1)})
    with pytest.raises(StorageRefused, match=f"{MAX_BYTES} are allowed"):
        encoded("k", {"a": "x" * MAX_BYTES})
