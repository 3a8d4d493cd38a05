"""Keys: what is one, and what never gets past the check."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import StorageRefused
from slicer.storage.keys import MAX_KEY_BYTES, PROBE_KEY, check_key, without_probe


@pytest.mark.parametrize("key", ["a", "a/b/c.ogg", "..a/b..", "é" * 512, "a b+c%2F", PROBE_KEY])
def test_a_key(key: str) -> None:
    check_key(key)


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("", "empty"),
        ("/a", "empty"),
        ("a/", "empty"),
        ("a//b", "empty"),
        ("..", "'..'"),
        ("a/../b", "'..'"),
        ("a/.", "'..'"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("a\x7f", "control"),
        ("a\\b", "backslash"),
        ("\ud800", "UTF-8"),
        ("é" * 513, "1026 bytes, 1024 are allowed"),
    ],
)
def test_no_key(key: str, fault: str) -> None:
    with pytest.raises(StorageRefused, match=fault) as caught:
        check_key(key)
    assert "\n" not in str(caught.value)
    assert str(caught.value).encode()


@given(st.text())
def test_what_passes_stays_below_a_folder(key: str) -> None:
    try:
        check_key(key)
    except StorageRefused:
        return
    parts = key.split("/")
    assert all(part not in {"", ".", ".."} and "\0" not in part for part in parts)
    assert len(key.encode()) <= MAX_KEY_BYTES


def test_an_error_of_the_probe_is_the_stores() -> None:
    error = StorageRefused(PROBE_KEY, f"403 for /bucket/x/{PROBE_KEY}", "grant it", 7.0)
    said = without_probe(error)
    assert isinstance(said, StorageRefused)
    assert str(said) == "store: 403 for /bucket/x/…; grant it"
    assert said.retry_after == 7.0
