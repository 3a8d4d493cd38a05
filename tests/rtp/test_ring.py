"""Order, holes and their end, the opening wait, and sources that go on elsewhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rtp.packet import Packet
from slicer.rtp.ring import CAPACITY, FELL_BACK, FELL_SILENT, JUMPED
from tests.harness.rtp.parts import ReorderRing

OPENING, PATIENCE = 0.05, 0.2


def packet(sequence: int, arrival: float = 0.0) -> Packet:
    return Packet(111, False, sequence, sequence * 960, 1, b"x", arrival=arrival)


def opened(first: int = 0) -> ReorderRing:
    """A ring that has given one packet, at 0."""
    ring = ReorderRing(0.0, PATIENCE)
    assert ring.insert(packet(first)) is None
    assert order(ring.pop(0.0)) == [first]
    return ring


def order(given: list[tuple[Packet, bool]]) -> list[int]:
    return [packet.sequence for packet, _ in given]


def test_packets_in_order_pass_at_once() -> None:
    ring = opened()
    for sequence in range(1, 5000):
        ring.insert(packet(sequence))
    given = ring.pop(0.0)
    assert order(given) == list(range(1, 5000))
    assert all(contiguous for _, contiguous in given)
    assert ring.deadline() is None


def test_the_first_packet_follows_nothing_known() -> None:
    ring = ReorderRing(0.0, PATIENCE)
    ring.insert(packet(7))
    assert ring.pop(0.0) == [(packet(7), False)]


def test_the_opening_waits_for_packets_that_were_overtaken() -> None:
    ring = ReorderRing(OPENING, PATIENCE)
    for sequence, arrival in ((10, 1.0), (8, 1.01), (9, 1.04)):
        assert ring.insert(packet(sequence, arrival)) is None
    assert ring.deadline() == 1.0 + OPENING
    assert ring.pop(1.04) == []
    assert order(ring.pop(1.05)) == [8, 9, 10]


def test_the_opening_does_not_wait_for_more_than_half_a_ring() -> None:
    ring = ReorderRing(OPENING, PATIENCE)
    for sequence in range(CAPACITY // 2):
        assert ring.pop(0.0) == []
        ring.insert(packet(sequence))
    assert len(ring.pop(0.0)) == CAPACITY // 2


@pytest.mark.parametrize("apart", [1, 2, 40])
def test_reordered_packets_come_in_order(apart: int) -> None:
    ring = opened()
    for sequence in (*range(2, apart + 2), 1):
        assert order(ring.pop(0.1)) == []
        ring.insert(packet(sequence, 0.1))
    given = ring.pop(0.1)
    assert order(given) == list(range(1, apart + 2))
    assert all(contiguous for _, contiguous in given)


def test_a_hole_is_given_up_after_patience_and_not_before() -> None:
    ring = opened()
    ring.insert(packet(3, 1.0))
    ring.insert(packet(4, 1.1))
    assert ring.deadline() == pytest.approx(1.2)
    assert ring.pop(1.19) == []
    given = ring.pop(1.2)
    assert [(p.sequence, contiguous) for p, contiguous in given] == [(3, False), (4, True)]


def test_repaired_packets_do_not_make_the_hole_before_them_younger() -> None:
    ring = opened()
    ring.insert(packet(10, 1.0))
    for back, sequence in enumerate(range(9, 1, -1)):  # 1 never comes
        ring.insert(packet(sequence, 1.02 + 0.02 * back))
        assert ring.deadline() == pytest.approx(1.0 + PATIENCE)
    assert order(ring.pop(1.0 + PATIENCE)) == list(range(2, 11))


def test_each_hole_has_its_own_patience() -> None:
    ring = opened()
    ring.insert(packet(2, 1.0))
    ring.insert(packet(4, 1.1))
    assert order(ring.pop(1.2)) == [2]
    assert ring.deadline() == pytest.approx(1.3)
    assert order(ring.pop(1.3)) == [4]


def test_it_lacks_what_is_not_there_before_what_is_held() -> None:
    ring = ReorderRing(0, PATIENCE)
    for sequence in (1, 2, 5, 7):
        ring.insert(packet(sequence))
    assert [sequence for sequence in range(10) if ring.lacks(sequence)] == [3, 4, 6]
    ring.insert(packet(4))
    assert [sequence for sequence in range(10) if ring.lacks(sequence)] == [3, 6]
    ring.pop(10.0)
    assert not any(ring.lacks(sequence) for sequence in range(10))


def test_duplicates_and_late_packets_are_refused() -> None:
    ring = opened(5)
    ring.insert(packet(7))
    assert ring.insert(packet(7)) == "duplicate"
    assert ring.insert(packet(5)) == "late"
    assert ring.insert(packet(5)) == "duplicate"  # of a late one


def test_the_ring_holds_what_fits_and_no_more() -> None:
    ring = opened()
    assert ring.insert(packet(CAPACITY)) is None
    assert ring.insert(packet(CAPACITY + 1)) == "stray"


def test_one_stray_packet_changes_nothing() -> None:
    ring = opened()
    assert ring.insert(packet(30_000)) == "stray"
    assert ring.insert(packet(1)) is None
    assert ring.insert(packet(30_001)) == "stray"
    assert order(ring.pop(0.0)) == [1]


def test_a_jump_is_believed_once_packets_follow_each_other_there() -> None:
    ring = opened()
    assert [ring.insert(packet(30_000 + i)) for i in range(JUMPED)] == ["stray", "moved"]
    ring.flush()
    orphans = ring.orphans()
    assert [p.sequence for p in orphans] == [30_000, 30_001]
    for stray in orphans:
        assert ring.insert(stray) is None
    assert [contiguous for _, contiguous in ring.pop(0.0)] == [False, True]


def test_falling_back_takes_many_packets_and_silence_of_the_old_place() -> None:
    ring = opened(1000)
    early = [ring.insert(packet(100 + i, 0.5)) for i in range(FELL_BACK + 2)]
    assert early == ["late"] * (FELL_BACK + 2)
    assert ring.insert(packet(100 + len(early), FELL_SILENT)) == "moved"
    assert len(ring.orphans()) == FELL_BACK + 3


def test_late_packets_between_newer_ones_are_no_restart() -> None:
    ring = opened(1000)
    for i in range(100):
        assert ring.insert(packet(500 + i, 0.05 * i)) == "late"
        assert ring.insert(packet(1001 + i, 0.05 * i)) is None


def test_so_many_late_packets_in_a_row_are_a_restart_in_any_case() -> None:
    ring = opened(5000)
    said = [ring.insert(packet(i)) for i in range(CAPACITY // 2)]
    assert said == ["late"] * (CAPACITY // 2 - 1) + ["moved"]


def test_skipped_packets_are_followed_but_not_held() -> None:
    ring = opened()
    assert [ring.skip(packet(i)) for i in (1, 2, 9)] == [None, None, None]
    assert ring.expects == 10
    assert ring.skip(packet(5)) == "late"
    assert ring.skip(packet(40_000)) == "stray"
    assert ring.pop(9.0) == []


def test_flush_gives_everything_and_opens_anew() -> None:
    ring = opened()
    for sequence in (3, 5, 9):
        ring.insert(packet(sequence))
    assert [contiguous for _, contiguous in ring.flush()] == [False, False, False]
    assert ring.deadline() is None
    ring.insert(packet(2))
    assert ring.pop(0.0) == [(packet(2), False)]


def test_restart_forgets_and_does_not_wait() -> None:
    ring = ReorderRing(OPENING, PATIENCE)
    ring.insert(packet(3))
    ring.restart()
    assert ring.expects is None
    ring.insert(packet(9))
    assert order(ring.pop(0.0)) == [9]


def test_what_is_late_is_late_after_a_restart_as_well() -> None:
    for restarts in (1, 2):
        for take in (ReorderRing.insert, ReorderRing.skip):
            ring = ReorderRing(0.0, PATIENCE)
            for sequence in (3, 4):
                ring.insert(packet(sequence))
            for _ in range(restarts):
                ring.restart()
            assert take(ring, packet(4)) == "late"
            assert take(ring, packet(6)) is None
            ring.flush()
            assert take(ring, packet(5)) is None


@given(st.lists(st.integers(0, 3 * CAPACITY), max_size=200), st.integers(0, 5))
def test_whatever_comes_goes_out_once_and_in_order(sequences: list[int], every: int) -> None:
    ring, runs = ReorderRing(OPENING, PATIENCE), list[list[int]]([[]])
    for i, sequence in enumerate(sequences):
        if ring.insert(packet(sequence, i * 0.02)) == "moved":
            runs[-1] += order(ring.flush())
            runs.append([])
            for stray in ring.orphans():
                ring.insert(stray)
        if every and i % every == 0:
            runs[-1] += order(ring.pop(i * 0.02))
    runs[-1] += order(ring.flush())
    assert all(run == sorted(set(run)) for run in runs)
    assert sum(map(len, runs)) <= len(sequences)
    assert ring.deadline() is None
