"""Four lists: who is wanted, and which entries cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.rtp.parameters import Kind
from slicer.slicing.subscription import MAX_ENTRIES, MAX_ENTRY_LENGTH, IdList, Lists, Subscription


def test_without_lists_everybody_is_wanted() -> None:
    assert all(Subscription().wants("ann", kind) for kind in Kind)


@pytest.mark.parametrize(
    ("anchor", "audio", "video"),
    [
        ("ann", True, True),
        ("anna", False, True),  # an exact id is no prefix
        ("host1", True, True),
        ("host13", False, True),  # block beats allow
        ("host", True, False),
        ("bob", False, True),
    ],
)
def test_lists_are_apart_and_block_beats_allow(anchor: str, audio: bool, video: bool) -> None:
    subscription = Subscription.of(
        allow_audio=["ann", "host.*$"], block_audio=["host13"], block_video=["host"]
    )
    assert subscription.wants(anchor, Kind.AUDIO) is audio
    assert subscription.wants(anchor, Kind.VIDEO) is video


def test_a_prefix_is_taken_literally() -> None:
    assert "a.b-c" in IdList.parse(["a.b.*$"])
    assert "axb-c" not in IdList.parse(["a.b.*$"])


@pytest.mark.parametrize(
    "entry", ["", ".*$", "*", "a*", "a.*", "a$", "(a+)+.*$", "a b", "é", "a\n", "x" * 65, 7, None]
)
def test_other_entries_are_refused_by_name(entry: str) -> None:
    with pytest.raises(BadInput) as caught:
        Subscription.of(block_video=["ok", entry])
    assert caught.value.field == "block_video[1]"
    assert caught.value.got == entry


def test_the_lists_are_bounded() -> None:
    longest = [f"{number:064}" for number in range(MAX_ENTRIES)]
    assert len(longest[0]) == MAX_ENTRY_LENGTH
    assert len(IdList.parse(longest).exact) == MAX_ENTRIES
    with pytest.raises(BadInput, match="33 entries"):
        IdList.parse([*longest, "one"])


def test_one_string_is_one_entry_and_not_its_letters() -> None:
    assert "ann" in IdList.parse("ann")
    assert "a" not in IdList.parse("ann")


@given(st.lists(st.from_regex(r"[a-c]{1,3}(\.\*\$)?", fullmatch=True), max_size=6), st.text("abc"))
def test_membership_is_what_it_says(entries: list[str], anchor: str) -> None:
    prefixes = [entry[:-3] for entry in entries if entry.endswith(".*$")]
    expected = anchor in entries or any(anchor.startswith(prefix) for prefix in prefixes)
    assert (anchor in IdList.parse(entries)) is expected
    assert (anchor in Lists(block=IdList.parse(entries))) is not expected


def test_entries_are_what_parse_takes() -> None:
    given = ["b", "a", "z.*$", "c.*$"]
    assert IdList.parse(given).entries() == ["a", "b", "z.*$", "c.*$"]
    assert IdList.parse(IdList.parse(given).entries()) == IdList.parse(given)
