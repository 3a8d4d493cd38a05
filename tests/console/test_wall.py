"""The wall, and what pages that are behind are told."""

from datetime import UTC, datetime, timedelta

from slicer.console.wall import Wall, lateness, tile_identity
from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey


def names(wall: Wall, number: int) -> list[str]:
    return sorted(tile.anchor for tile in wall.since(number).tiles)


def test_a_page_gets_what_is_new_once() -> None:
    wall = Wall()
    whole = wall.since(-1)
    assert whole.whole
    assert wall.take("task", "ada", "150")
    bo = wall.take("task", "bo", "150")
    assert bo
    assert names(wall, whole.number) == ["ada", "bo"]
    seen = wall.since(whole.number).number
    assert not wall.since(seen).tiles
    for _ in range(5):
        wall.changed(bo)
    assert names(wall, seen) == ["bo"], "the newest state, once"


def test_a_page_is_told_who_has_gone() -> None:
    wall = Wall()
    ada = wall.take("task", "ada", "")
    assert ada
    seen = wall.number
    wall.remove(ada)
    changes = wall.since(seen)
    assert (changes.whole, changes.gone) == (False, [ada.identity])
    assert wall.take("task", "ada", "")
    assert wall.since(seen).gone == [], "she is back"


def test_a_page_far_behind_begins_anew() -> None:
    wall = Wall(most_gone=2)
    tiles = [wall.take("task", name, "") for name in "abcd"]
    seen = wall.number
    for tile in tiles[:3]:
        assert tile
        wall.remove(tile)
    changes = wall.since(seen)
    assert changes.whole
    assert [tile.anchor for tile in changes.tiles] == ["d"]


def test_a_full_wall_counts_who_is_left_out() -> None:
    wall = Wall(most=1)
    assert wall.take("task", "ada", "")
    assert wall.take("task", "bo", "") is None
    assert wall.take("task", "ada", ""), "who is there stays"
    assert (len(wall), wall.left_out) == (1, 1)


def test_tasks_that_have_gone_take_their_tiles_along() -> None:
    wall = Wall()
    for task in ("one", "two"):
        wall.take(task, "ada", "")
    assert [tile.task for tile in wall.retain(["two"])] == ["one"]
    assert [tile.task for tile in wall.of_task("two")] == ["two"]
    assert wall.of_task("one") == []
    assert wall.find("one", "ada") is None


def test_no_name_is_taken_for_another() -> None:
    assert tile_identity("a", "bc") != tile_identity("ab", "c")


def test_no_picture_is_early() -> None:
    at = datetime(2026, 5, 4, tzinfo=UTC)
    info = SliceInfo("k", TrackKey("task", "ada", Kind.VIDEO), at)
    assert lateness(info, at + timedelta(seconds=1.5)) == 1.5
    assert lateness(info, at - timedelta(seconds=1)) == 0.0
