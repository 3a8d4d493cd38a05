"""Shares of a bound: nobody takes all of it, and who holds little always finds room."""

import pytest

from slicer.delivery.held import FULL, OVER_SHARE
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.share import has_too_much, may_take
from tests.harness.delivery.outbox import MemoryOutbox, delivery, unavailable

BOUND = 2_000


def filled(anchors: int) -> list[int]:
    """What each of so many holds once none of them may take more, who take in turn."""
    held = [0] * anchors
    while any(may_take(own, sum(held), BOUND) for own in held):
        for index, own in enumerate(held):
            held[index] += may_take(own, sum(held), BOUND)
    return held


@pytest.mark.parametrize(("anchors", "each"), [(1, 1_778), (2, 941), (20, 99)])
def test_those_who_want_everything_leave_room(anchors: int, each: int) -> None:
    held = filled(anchors)
    assert max(held) - min(held) <= 1
    assert held[0] == pytest.approx(each, abs=1)
    assert sum(held) < BOUND
    assert may_take(0, sum(held), BOUND)


def test_a_small_bound_is_for_one_as_a_whole() -> None:
    assert [may_take(own, own, 4) for own in range(5)] == [True, True, True, True, False]


@pytest.mark.parametrize(
    ("own", "holders", "greedy"),
    [(1_000, 1, False), (666, 2, False), (667, 2, True), (20, 100, True), (19, 100, False)],
)
def test_who_has_twice_an_equal_share_has_too_much(own: int, holders: int, greedy: bool) -> None:
    assert has_too_much(own, holders, 1_000) is greedy


async def test_an_anchor_that_floods_an_outbox_costs_himself_alone() -> None:
    bench = MemoryOutbox(OutboxSettings(count=100))
    bench.store.fails = unavailable
    flood = [delivery(f"mallory/{number}") for number in range(200)]
    taken = [bench.outbox.offer(each) for each in flood]
    assert sum(taken) == 89
    assert {each.refused for each in flood if each.refused} == {OVER_SHARE}
    assert bench.offer(*(f"ann/{number}" for number in range(9))) == [True] * 9
    assert bench.offer("mallory/again") == [False]
    others = [delivery(f"{name}/0") for name in ("bob", "carol", "dave")]
    assert [bench.outbox.offer(each) for each in others] == [True, True, False]
    assert others[-1].refused == FULL
    bench.store.fails = None
    await bench.advance(100.0)
    assert {f"ann/{number}" for number in range(9)} <= set(bench.heard.stored)
    assert bench.balanced()
