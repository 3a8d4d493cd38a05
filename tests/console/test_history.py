"""The newest slices of all tasks."""

from dataclasses import replace
from datetime import UTC, datetime

from slicer.console.history import History
from slicer.console.media import identity_of
from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey

AT = datetime(2026, 5, 4, tzinfo=UTC)


def info(number: int, task: str = "task") -> SliceInfo:
    return SliceInfo(f"{task}/{number}", TrackKey(task, "ada", Kind.VIDEO), AT, 0.0, 10)


def test_slices_of_a_task() -> None:
    history = History()
    for number in range(3):
        history.note(info(number))
    history.note(info(0, "other"))
    found = history.of_task("task", 2)
    assert [entry.slice.key for _, entry in found] == ["task/1", "task/2"]
    assert history.find(found[0][0]) is found[0][1]
    assert history.of_task("nothing", 2) == []


def test_what_is_known_is_told_once_and_corrected() -> None:
    history = History()
    entry = history.note(info(0))
    entry.state = "stored"
    assert history.note(replace(info(0), size=20)) is entry
    assert (entry.slice.size, entry.state) == (20, "stored")
    history.note(replace(info(0), size=0))
    assert entry.slice.size == 20


def test_the_oldest_go_first() -> None:
    history = History(most=2)
    history.note(info(0, "old"))
    history.note(info(1))
    history.note(info(2))
    assert len(history) == 2
    assert history.of_task("old", 9) == []
    assert history.find(identity_of("old/0")) is None
