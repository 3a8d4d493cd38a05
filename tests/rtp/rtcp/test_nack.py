"""What is asked for again, when, how often, and when no longer."""

import pytest

from slicer.rtp.rtcp.nack import INTERVAL, MAX_MISSING, OVERTAKEN, TRIES
from tests.harness.rtp.parts import NackList


def after(*sequences: int) -> NackList:
    nacks = NackList()
    for sequence in sequences:
        nacks.receive(sequence, 0.0)
    return nacks


def test_nothing_is_asked_for_while_nothing_is_missing() -> None:
    nacks = after(5, 6, 7)
    assert nacks.handle_timer(9.0) == []
    assert nacks.deadline() is None


def test_nothing_before_the_first_packet_is_missing() -> None:
    assert after(500, 400).handle_timer(1.0) == []


def test_what_was_overtaken_is_waited_for_a_little() -> None:
    nacks = after(1, 4)
    assert nacks.handle_timer(OVERTAKEN / 2) == []
    nacks.receive(3, OVERTAKEN / 2)
    assert 2 in nacks
    assert 3 not in nacks
    assert nacks.handle_timer(OVERTAKEN) == [2]


def test_what_was_asked_for_is_known_until_it_comes() -> None:
    nacks = after(1, 4)
    assert not nacks.asked(2)
    nacks.handle_timer(OVERTAKEN)
    assert (nacks.asked(1), nacks.asked(2), nacks.asked(4)) == (False, True, False)
    nacks.receive(2, OVERTAKEN)
    assert not nacks.asked(2)


def test_it_is_asked_for_again_at_intervals_and_then_no_more() -> None:
    nacks, asked = after(1, 3), []
    while (when := nacks.deadline()) is not None:
        assert nacks.handle_timer(when) == [2]
        asked.append(when)
    assert len(asked) == TRIES
    assert asked[1] - asked[0] == pytest.approx(INTERVAL)
    assert asked[-1] - asked[0] == pytest.approx(INTERVAL * (TRIES - 1))


def test_what_the_ring_has_given_up_is_forgotten() -> None:
    nacks = after(1, 10)
    nacks.forget_before(6)
    assert nacks.handle_timer(1.0) == [6, 7, 8, 9]


def test_the_list_is_bounded_and_keeps_the_newest() -> None:
    nacks = after(0, 10_000)
    asked = nacks.handle_timer(1.0)
    assert asked == list(range(10_000 - MAX_MISSING, 10_000))
    nacks.receive(10_011, 1.0)
    assert len(nacks.handle_timer(2.0)) == MAX_MISSING
    assert 10_010 in nacks
