"""Who is alive, by heartbeats; time is an argument."""

from slicer.fleet.beat import Beat
from slicer.fleet.roster import DEAD_AFTER, FREEZE, Roster


def test_a_worker_is_dead_once_it_has_been_silent_for_too_long() -> None:
    roster = Roster()
    roster.receive(Beat("w", capacity=1), 10.0)
    assert not roster.is_dead("w", 10.0 + DEAD_AFTER)
    assert [beat.worker for beat in roster.alive(11.0)] == ["w"]
    assert roster.is_dead("w", 10.01 + DEAD_AFTER)
    assert [beat.worker for beat in roster.dead(12.0)] == ["w"]
    assert roster.alive(12.0) == []
    assert roster.silence("w", 12.0) == 2.0


def test_a_worker_that_only_a_record_names_gets_its_time_from_then_on() -> None:
    roster = Roster()
    roster.expect("w", 10.0)
    roster.expect("w", 11.0)
    assert roster.alive(10.1) == [], "nothing is known of it, so it gets no tasks"
    assert not roster.is_dead("w", 11.0)
    assert roster.is_dead("w", 12.0)
    assert not roster.is_dead("stranger", 12.0)


def test_who_was_held_up_itself_believes_nobody_dead_for_that() -> None:
    roster = Roster()
    for tick in range(10):
        roster.handle_timer(tick / 10)
    roster.receive(Beat("w", capacity=1), 0.8)
    roster.receive(Beat("gone", capacity=1), -0.5)
    roster.handle_timer(30.9)  # 30 s after the last look
    assert not roster.is_dead("w", 31.0)
    assert roster.is_dead("gone", 31.1), "it was silent before"
    roster.handle_timer(30.9 + FREEZE)
    assert roster.is_dead("w", 32.4)


def test_who_was_cut_off_itself_gives_all_their_time_again() -> None:
    roster = Roster()
    roster.receive(Beat("gone", capacity=1), 0.0)
    for second in range(11):
        roster.receive(Beat("a", capacity=1), second - 0.2)
        roster.receive(Beat("b", capacity=1), second)
    for tick in range(100, 300):
        roster.handle_timer(tick / 10)
    roster.expect("new", 29.9)
    assert {beat.worker for beat in roster.dead(29.9)} == {"gone", "a", "b"}
    roster.receive(Beat("a", capacity=1), 30.0)
    assert [beat.worker for beat in roster.dead(30.0)] == ["gone"], "it was silent before"
    assert [beat.worker for beat in roster.alive(30.0 + DEAD_AFTER)] == ["a", "b"]
    roster.receive(Beat("a", capacity=1), 31.0)
    assert roster.is_dead("b", 30.01 + DEAD_AFTER), "it died meanwhile"


def test_one_that_is_forgotten_is_not_listed() -> None:
    roster = Roster()
    roster.receive(Beat("w", capacity=1), 0.0)
    roster.forget("w")
    assert roster.dead(9.0) == []
    assert roster.beat("w") is None
    roster.forget("w")
