"""What a copy of the API wants done, fact by fact; time is an argument."""

from dataclasses import replace

import pytest

from slicer.errors import LimitReached
from slicer.fleet.beat import Beat
from slicer.fleet.planner import (
    BRAKED_LEAST,
    FORGET_AFTER,
    MAX_ASSIGNS,
    REPEAT,
    RETRY,
    TICK,
    Assign,
    Order,
    Planner,
    Push,
)
from slicer.fleet.record import TaskRecord
from slicer.fleet.roster import DEAD_AFTER


def beat(name: str, zone: str = "", tasks: dict[str, int] | None = None, capacity: int = 9) -> Beat:
    return Beat(name, zone=zone, capacity=capacity, tasks=tasks or {})


def tick(
    planner: Planner, until: float, since: float = 0.0, alive: tuple[Beat, ...] = ()
) -> list[Order]:
    """Let time pass in which only some workers beat. Gives all orders."""
    found: list[Order] = []
    for number in range(round(since / TICK), round(until / TICK) + 1):
        now = number * TICK
        for one in alive:
            found += planner.receive(one, now)
        found += planner.handle_timer(now)
    return found


def assigned(orders: list[Order]) -> list[tuple[str, str]]:
    return [(one.record.task, one.worker) for one in orders if isinstance(one, Assign)]


def test_a_dead_workers_task_goes_to_another_one() -> None:
    planner = Planner()
    planner.receive(beat("a"), 0.0)
    record = TaskRecord("t", epoch=4, worker="a", revision=7)
    planner.receive(record, 0.0)
    assert tick(planner, DEAD_AFTER, alive=(beat("b"),)) == []
    orders = tick(planner, DEAD_AFTER + TICK, DEAD_AFTER + TICK, (beat("b"),))
    assert orders == [Assign(record, "b")]
    again = tick(planner, DEAD_AFTER + TICK + RETRY, DEAD_AFTER + 2 * TICK, (beat("b"),))
    assert again == [Assign(record, "b")], "it had no effect, so it is tried again"
    new = replace(record, epoch=5, worker="b", revision=8)
    assert planner.receive(new, 3.0) == [Push(new, "b")]
    assert assigned(tick(planner, 5.0, 3.0, (beat("b", tasks={"t": 8}),))) == []


def test_a_task_that_was_handed_over_goes_to_another_worker_at_once() -> None:
    planner = Planner()
    for name in "ab":
        planner.receive(beat(name), 0.0)
    planner.receive(TaskRecord("t", epoch=1, previous="a", revision=2), 0.0)
    assert assigned(planner.handle_timer(0.1)) == [("t", "b")]


def test_a_record_is_pushed_until_its_workers_beat_shows_it() -> None:
    planner = Planner()
    planner.receive(beat("a"), 0.0)
    record = TaskRecord("t", epoch=1, worker="a", revision=7)
    assert planner.receive(record, 0.0) == [Push(record, "a")]
    assert planner.receive(beat("a"), REPEAT / 2) == []
    assert planner.receive(beat("a", tasks={"t": 6}), REPEAT) == [Push(record, "a")]
    assert planner.receive(beat("a", tasks={"t": 7}), 2 * REPEAT) == []
    assert planner.receive(replace(record, revision=6), 1.1) == [], "it is old"


def test_a_worker_that_shows_anothers_task_is_told_so() -> None:
    planner = Planner()
    record = TaskRecord("t", epoch=2, worker="b", revision=7)
    planner.receive(record, 0.0)
    assert planner.receive(beat("a", tasks={"t": 3, "unknown": 2}), 0.0) == [Push(record, "a")]


def test_an_ended_task_is_nobodys() -> None:
    planner = Planner()
    planner.receive(beat("a"), 0.0)
    planner.receive(TaskRecord("t", worker="a", revision=1), 0.0)
    assert planner.tasks_of("a") == 1
    planner.receive(TaskRecord("t", worker="a", revision=2, ended=5.0), 0.0)
    assert planner.tasks_of("a") == 0
    assert tick(planner, 4.0, alive=(beat("b"),)) == []


def test_new_tasks_are_placed_by_what_is_under_way() -> None:
    planner = Planner("z")
    with pytest.raises(LimitReached, match="none is there"):
        planner.place("t", 0.0)
    for name in "ab":
        planner.receive(beat(name, "z", capacity=2), 0.0)
    planner.receive(beat("far"), 0.0)
    assert sorted(planner.place(f"t{n}", 0.0) for n in range(2)) == ["a", "b"]
    planner.give_up("t0")
    assert planner.tasks_of("a") + planner.tasks_of("b") == 1
    planner.receive(replace(beat("far"), draining=True), 0.0)
    for number in range(2, 5):
        planner.place(f"t{number}", 0.0)
    with pytest.raises(LimitReached, match="full or draining"):
        planner.place("t9", 0.0)


def test_a_task_stays_in_the_zone_of_the_worker_that_died() -> None:
    planner = Planner()
    planner.receive(beat("a", "z1"), 0.0)
    planner.receive(TaskRecord("t", worker="a", revision=1), 0.0)
    others = (beat("b", "z2"), replace(beat("c", "z1"), load=0.5))
    assert assigned(tick(planner, 1.7, alive=others)) == [("t", "c")]


def test_where_nobody_is_heard_nothing_is_moved() -> None:
    planner = Planner()
    planner.receive(beat("a"), 0.0)
    planner.receive(TaskRecord("t", worker="a", revision=1), 0.0)
    assert tick(planner, 9.0) == []
    assert planner.unplaced == 1


def test_where_all_are_full_what_waits_is_counted() -> None:
    planner = Planner()
    planner.receive(beat("b", capacity=1), 0.0)
    planner.receive(TaskRecord("there", worker="b", revision=1), 0.0)
    planner.receive(TaskRecord("t", revision=2), 0.0)
    assert assigned(planner.handle_timer(0.1)) == []
    assert planner.unplaced == 1


@pytest.mark.parametrize("zone_of_c", ["z1", "z2"])
def test_the_brake_where_a_zone_or_half_of_all_fall_silent(zone_of_c: str) -> None:
    planner = Planner()
    many = 4 * BRAKED_LEAST
    for name in "ab":
        planner.receive(beat(name, "z1", capacity=many), 0.0)
        for number in range(many):
            planner.receive(TaskRecord(f"{name}{number}", worker=name, revision=1), 0.0)
    left = (
        beat("c", zone_of_c, capacity=999),
        *(beat(f"d{n}", "z3", capacity=999) for n in range(3)),
    )
    left = left if zone_of_c == "z2" else left[:1]  # a whole zone, or half of all
    first = assigned(tick(planner, 2.5, alive=left))
    assert 0 < len(first) <= BRAKED_LEAST + 2
    assert planner.braked > 0
    assert len(set(first)) == len(first)


def test_one_silent_worker_of_many_is_its_own_trouble() -> None:
    planner = Planner()
    planner.receive(beat("a", capacity=999), 0.0)
    for number in range(MAX_ASSIGNS + 1):
        planner.receive(TaskRecord(f"t{number}", worker="a", revision=1), 0.0)
    orders = tick(planner, 1.6, alive=(beat("b", capacity=999), beat("c", capacity=999)))
    assert len(assigned(orders)) == MAX_ASSIGNS, "in one call"
    assert planner.braked == 0


def test_a_worker_that_is_long_gone_is_not_listed() -> None:
    planner = Planner()
    planner.receive(beat("a"), 0.0)
    planner.handle_timer(0.0)
    for now in range(1, round(FORGET_AFTER) + 3):
        planner.handle_timer(now / 1)
        planner.roster.handle_timer(now + 0.5)
    assert planner.roster.beat("a") is None


def test_tasks_that_belong_together_are_at_one_worker_and_move_together() -> None:
    planner = Planner()
    for worker in ("a", "b", "c"):
        planner.receive(Beat(worker, capacity=10), 0.0)
    first = planner.place("t0", 0.0, "room")
    planner.receive(TaskRecord("t0", worker=first, epoch=1, revision=1, together="room"), 0.0)
    for number in range(1, 4):
        assert planner.place(f"t{number}", 0.0, "room") == first
        record = TaskRecord(
            f"t{number}", worker=first, epoch=1, revision=1 + number, together="room"
        )
        planner.receive(record, 0.0)
    others = tuple(beat(name) for name in sorted({"a", "b", "c"} - {first}))
    found = assigned(tick(planner, DEAD_AFTER + 2 * TICK, alive=others))
    assert sorted(task for task, _ in found) == ["t0", "t1", "t2", "t3"]
    assert len({worker for _, worker in found}) == 1


def test_a_task_that_is_moved_is_not_led_back_by_those_it_belongs_to() -> None:
    planner = Planner()
    for worker in ("a", "b"):
        planner.receive(Beat(worker, capacity=10), 0.0)
    planner.receive(TaskRecord("t0", worker="a", epoch=1, revision=1, together="room"), 0.0)
    moved = TaskRecord("t1", previous="a", epoch=1, revision=2, together="room")
    planner.receive(moved, 0.0)
    assert planner.handle_timer(0.1) == [Assign(moved, "b")]
    ended = TaskRecord("t0", worker="a", epoch=1, revision=3, ended=1.0, together="room")
    planner.receive(ended, 0.2)
    planner.receive(TaskRecord("t1", worker="b", epoch=2, revision=4, together="room"), 0.2)
    planner.receive(TaskRecord("t1", worker="b", epoch=2, revision=5, ended=1.0), 0.2)
    for number in range(10):
        planner.receive(TaskRecord(f"x{number}", worker="b", epoch=1, revision=9 + number), 0.2)
    assert planner.place("t2", 0.3, "room") == "a", (
        "the room is nowhere, so not at b, which is full"
    )


def test_where_the_worker_of_a_room_is_full_a_further_task_of_it_is_refused() -> None:
    planner = Planner()
    for worker in ("a", "b"):
        planner.receive(Beat(worker, capacity=1), 0.0)
    planner.receive(TaskRecord("t0", worker="a", epoch=1, revision=1, together="room"), 0.0)
    with pytest.raises(LimitReached, match="all are full"):
        planner.place("t1", 0.0, "room")
    assert planner.place("t2", 0.0, "other") == "b"
