"""The bucket of an anchor's slices: who is in time never empties it, a flood is told in sum."""

from slicer.engine.cut_rate import BURST, EXTRA_RATE, TOLD_EVERY, CutRate
from slicer.slicing.spec import AudioSpec, SliceParams, VideoSpec

SHORTEST = SliceParams(AudioSpec(1), VideoSpec(1))


def test_the_shortest_slices_for_a_day_are_made() -> None:
    rate = CutRate(SHORTEST)
    assert rate.rate == 2 + EXTRA_RATE
    assert all(
        rate.take("ann", float(second)) and rate.take("ann", float(second))
        for second in range(86_400)
    )
    assert rate.news("ann", 86_400.0) == 0


def test_a_kind_that_is_not_wanted_gives_nothing() -> None:
    assert CutRate(SliceParams(None, VideoSpec(2))).rate == 0.5 + EXTRA_RATE
    assert CutRate(SliceParams(AudioSpec(10), None)).rate == 0.1 + EXTRA_RATE
    assert CutRate(SliceParams(AudioSpec(10), None, aux=True)).rate == 0.2 + EXTRA_RATE


def test_a_network_that_breaks_now_and_then_loses_nothing() -> None:
    """Ten changes within a second, each minute."""
    rate = CutRate(SliceParams())
    taken = [
        rate.take("ann", 60.0 * minute + change / 10)
        for minute in range(60)
        for change in range(10)
    ]
    assert all(taken)


def test_a_flood_costs_its_anchor_alone() -> None:
    rate = CutRate(SHORTEST)
    seconds, a_second = 20, 100
    made = 0
    for second in range(seconds):
        made += sum(rate.take("mallory", second + one / a_second) for one in range(a_second))
        assert rate.take("ann", float(second))
        assert rate.take("ann", float(second))
    assert BURST <= made <= BURST + seconds * rate.rate
    assert rate.news("ann", 20.0) == 0


def test_what_is_left_out_is_told_at_once_then_once_a_minute_then_at_the_end() -> None:
    rate = CutRate(SHORTEST)
    told = [
        (now, count)
        for now in range(130)
        for _ in range(1_000)
        if not rate.take("mallory", float(now)) and (count := rate.news("mallory", float(now)))
    ]
    assert [now for now, _ in told] == [0, TOLD_EVERY, 2 * TOLD_EVERY]
    assert told[0][1] == 1
    rest = rate.forget("mallory")
    made = BURST + 129 * rate.rate
    assert sum(count for _, count in told) + rest == 130_000 - made
    assert rate.forget("mallory") == 0


def test_a_clock_that_steps_back_gives_nothing() -> None:
    rate = CutRate(SHORTEST)
    assert all(rate.take("ann", 100.0) for _ in range(int(BURST)))
    assert not rate.take("ann", 0.0)
