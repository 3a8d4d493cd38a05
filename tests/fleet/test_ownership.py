"""What a worker has to do, record by record."""

from dataclasses import replace

from slicer.fleet.ownership import MAX_GONE, Change, Ownership, Start, Stop
from slicer.fleet.record import TaskRecord

MINE = TaskRecord("t", epoch=1, worker="me", revision=1)


def test_a_task_is_taken_up_changed_and_lost() -> None:
    owns = Ownership("me")
    assert owns.receive(MINE) == [Start(MINE)]
    assert owns.receive(MINE) == [], "it came twice"
    changed = replace(MINE, revision=2, sealed="x")
    assert owns.receive(changed) == [Change(changed)]
    assert (owns.epoch("t"), owns.tasks()) == (1, {"t": 2})
    assert owns.receive(replace(MINE, revision=3, epoch=2, worker="other")) == [Stop("t")]
    assert (owns.epoch("t"), owns.tasks()) == (None, {})
    assert owns.receive(changed) == [], "a late one does not bring it back"
    again = replace(MINE, revision=4, epoch=3)
    assert owns.receive(again) == [Start(again)]


def test_a_task_that_others_had_meanwhile_is_begun_anew() -> None:
    owns = Ownership("me")
    owns.receive(MINE)
    later = replace(MINE, revision=9, epoch=3)
    assert owns.receive(later) == [Stop("t"), Start(later)]


def test_others_tasks_and_ended_ones_mean_nothing() -> None:
    owns = Ownership("me")
    assert owns.receive(replace(MINE, worker="other")) == []
    assert owns.receive(replace(MINE, ended=4.0)) == []
    owns.receive(MINE)
    ended = replace(MINE, revision=2, ended=4.0, sealed="x")
    assert owns.receive(ended) == [], "it ended here"
    assert owns.tasks() == {}


def test_a_task_that_another_worker_has_ended_is_left() -> None:
    """Of what was written while this one was cut off it reads the last alone."""
    owns = Ownership("me")
    owns.receive(MINE)
    ended = replace(MINE, revision=4, epoch=2, worker="other", ended=4.0, sealed="x")
    assert owns.receive(ended) == [Stop("t")]


def test_a_task_that_is_discarded_is_left() -> None:
    owns = Ownership("me")
    owns.receive(MINE)
    assert owns.receive(replace(MINE, revision=2, ended=4.0)) == [Stop("t")]


def test_what_went_to_others_is_remembered_within_a_bound() -> None:
    owns = Ownership("me")
    for number in range(MAX_GONE + 1):
        owns.receive(replace(MINE, task=f"t{number}"))
        owns.receive(replace(MINE, task=f"t{number}", worker="other", revision=2))
    assert owns.receive(replace(MINE, task="t0")) != [], "the oldest is forgotten"
    assert owns.receive(replace(MINE, task="t1")) == []
