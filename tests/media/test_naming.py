"""Keys of slices: TRTC's layout, UTC, and numbers for names already taken."""

from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.media.naming import MAX_PART, MAX_REMEMBERED, Names
from slicer.rtp.parameters import Kind, Role

BEGAN = datetime(2025, 1, 6, 14, 31, 43, 999_999, UTC)


def names(*prefix: str) -> Names:
    return Names(prefix, "task-1", 1400000000, 4711)


def test_a_key_is_as_trtc_has_it() -> None:
    key = names("a", "b_C-9").allocate("anchor_1", Kind.AUDIO, "ogg", BEGAN)
    assert key == "a/b_C-9/task-1/anchor_1/audios/1400000000_4711_anchor_1_20250106143143.ogg"


def test_a_shared_screen_is_told_in_the_name() -> None:
    key = names().allocate("ada", Kind.VIDEO, "png", BEGAN, Role.AUX)
    assert key == "task-1/ada/images/1400000000_4711_ada_aux_20250106143143.png"


@pytest.mark.parametrize("extension", ["png", "jpg", "webp"])
def test_pictures_have_their_own_folder(extension: str) -> None:
    key = names().allocate("anchor_1", Kind.VIDEO, extension, BEGAN)
    assert key == f"task-1/anchor_1/images/1400000000_4711_anchor_1_20250106143143.{extension}"


def test_time_is_utc_wherever_it_came_from() -> None:
    east = BEGAN.astimezone(timezone(timedelta(hours=8)))
    assert "_20250106143143." in names().allocate("a", Kind.AUDIO, "ogg", east)


def test_a_taken_name_gets_a_number() -> None:
    task = names()
    keys = [task.allocate("a", Kind.AUDIO, "ogg", BEGAN) for _ in range(3)]
    assert [key.rpartition("143143")[2] for key in keys] == [".ogg", "_1.ogg", "_2.ogg"]
    assert task.allocate("a", Kind.VIDEO, "png", BEGAN).endswith("143143.png")
    assert task.allocate("b", Kind.AUDIO, "ogg", BEGAN).endswith("143143.ogg")


def test_memory_is_bounded_and_forgets_the_oldest() -> None:
    task = names()
    task.allocate("a", Kind.AUDIO, "ogg", BEGAN)
    for second in range(1, MAX_REMEMBERED):
        task.allocate("a", Kind.AUDIO, "ogg", BEGAN + timedelta(seconds=second))
    assert task.allocate("a", Kind.AUDIO, "ogg", BEGAN).endswith("143143_1.ogg")
    task.allocate("b", Kind.AUDIO, "ogg", BEGAN)
    last = BEGAN + timedelta(seconds=MAX_REMEMBERED - 1)
    assert task.allocate("a", Kind.AUDIO, "ogg", last).endswith("_1.ogg")
    first = BEGAN + timedelta(seconds=1)
    assert not task.allocate("a", Kind.AUDIO, "ogg", first).endswith("_1.ogg")


@pytest.mark.parametrize("part", ["", "a/b", "..", "ä", "a b", "a\n"])
def test_a_prefix_that_cannot_be_is_refused(part: str) -> None:
    with pytest.raises(BadInput, match=r"prefix: got .*; allowed: letters"):
        names("fine", part)


@pytest.mark.parametrize(
    ("anchor", "folder"),
    [
        ("user@example-1.x", "user@example-1.x"),
        ("..", "%2E%2E"),
        ("../../etc", "..%2F..%2Fetc"),
        ("a\\b\0\n", "a%5Cb%00%0A"),
        ("100%", "100%25"),
        ("", "%"),
    ],
)
def test_an_anchor_stays_in_its_folder(anchor: str, folder: str) -> None:
    key = names().allocate(anchor, Kind.AUDIO, "ogg", BEGAN)
    assert key == f"task-1/{folder}/audios/1400000000_4711_{folder}_20250106143143.ogg"


@given(anchor=st.text(max_size=200), room=st.text(max_size=200))
def test_any_id_makes_a_key_that_any_store_takes(anchor: str, room: str) -> None:
    task = Names((), "t", 1, room)
    key = task.allocate(anchor, Kind.AUDIO, "ogg", BEGAN)
    parts = key.split("/")
    assert len(parts) == 4
    assert key.isascii()
    assert key.isprintable()
    assert all(part.strip(".") and len(part) < 256 for part in parts)
    if anchor and len(parts[1]) < MAX_PART:
        assert unquote(parts[1], errors="surrogatepass") == anchor


def test_ids_too_long_stay_apart() -> None:
    long = "x" * 1000
    task = names()
    folders = {task.allocate(long + end, Kind.AUDIO, "ogg", BEGAN).split("/")[1] for end in "ab"}
    assert {len(folder) for folder in folders} == {MAX_PART}
    assert len(folders) == 2
