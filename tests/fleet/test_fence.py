"""Which slices a worker may deliver."""

from slicer.fleet.fence import Fence, Ticket


def fence(**owned: int) -> Fence:
    return Fence(owned.get)


def test_a_slice_is_delivered_once_all_up_to_a_later_write_is_read() -> None:
    one = fence(t=3)
    assert not one.begin(), "nothing waits"
    ticket = one.add("t", 3)
    assert one.begin()
    assert one.seen(40) == []
    assert one.written(42) == []
    assert one.seen(41) == []
    assert one.waits_for("t")
    assert one.seen(42) == [(ticket, True)]
    assert (len(one), one.waits_for("t"), one.seen(43)) == (0, False, [])


def test_what_has_been_read_before_the_answer_counts() -> None:
    one = fence(t=3)
    ticket = one.add("t", 3)
    one.begin()
    one.seen(42)
    assert one.written(42) == [(ticket, True)]


def test_a_slice_of_another_epoch_or_of_anothers_task_is_refused() -> None:
    one = fence(t=4)
    tickets = [one.add("t", 3), one.add("gone", 1), one.add("t", 4)]
    one.begin()
    one.seen(9)
    assert one.written(9) == list(zip(tickets, [False, False, True], strict=True))


def test_a_slice_that_comes_while_a_barrier_is_under_way_waits_for_the_next() -> None:
    one = fence(t=1)
    first = one.add("t", 1)
    one.begin()
    second = one.add("t", 1)
    assert not one.begin()
    one.seen(9)
    assert one.written(9) == [(first, True)]
    assert one.begin()
    assert one.written(9) == [(second, True)], "the caller vouches for the order of writes"


def test_a_barrier_that_failed_is_made_up_for() -> None:
    one = fence(t=1)
    first = one.add("t", 1)
    one.begin()
    second = one.add("t", 1)
    one.failed()
    assert len(one) == 2
    assert one.begin()
    one.seen(5)
    assert one.written(5) == [(first, True), (second, True)]
    assert first == Ticket(1, "t", 1)


def test_while_what_was_read_of_its_task_cannot_be_verified_a_slice_waits() -> None:
    doubtful = {"t"}
    one = Fence({"t": 1, "u": 1}.get, lambda task: task not in doubtful)
    first, other = one.add("t", 1), one.add("u", 1)
    assert one.begin()
    one.seen(5)
    assert one.written(5) == [(other, True)]
    assert one.waits_for("t")
    later = one.add("t", 2)
    assert one.begin()
    doubtful.clear()
    one.seen(6)
    assert one.written(6) == [(first, True), (later, False)]
