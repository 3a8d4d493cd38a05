"""The books of the spool: pictures go before audio, the oldest first, nothing that is under way."""

import pytest

from slicer.delivery.delivery import Delivery, Phase
from slicer.delivery.spool.ledger import Ledger
from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey
from tests.harness.clock import EPOCH


def entry(
    number: int, kind: Kind, size: int = 100, deadline: float = 1000.0, anchor: str = "ada"
) -> Delivery:
    info = SliceInfo(str(number), TrackKey("t", anchor, kind), EPOCH)
    return Delivery(info, size, phase=Phase.READY, number=number, deadline=deadline)


def ledger(*kinds: Kind, most: int = 1000) -> tuple[Ledger, list[Delivery]]:
    made, entries = Ledger(most), [entry(i, kind) for i, kind in enumerate(kinds)]
    for each in entries:
        made.add(each)
    return made, entries


A, V = Kind.AUDIO, Kind.VIDEO


def numbers(entries: list[Delivery]) -> list[int]:
    return [each.number for each in entries]


@pytest.mark.parametrize(
    ("size", "gone"),
    [(400, []), (401, [1]), (600, [1, 3]), (601, [1, 3, 0]), (1000, [1, 3, 0, 2, 4, 5])],
)
def test_the_oldest_pictures_go_then_the_oldest_audio(size: int, gone: list[int]) -> None:
    made, _ = ledger(A, V, A, V, A, A)
    assert numbers(made.claim(size)) == gone


def test_what_is_claimed_counts_until_it_is_released() -> None:
    made, entries = ledger(V, V, most=1000)
    assert made.claim(800) == []
    assert made.claim(200) == entries
    made.release(800)
    assert made.bytes == 400


def test_nothing_goes_for_what_never_fits() -> None:
    made, _ = ledger(A, V)
    with pytest.raises(ValueError, match="larger"):
        made.claim(1001)
    assert made.bytes == 200


def test_what_is_under_way_stays() -> None:
    made, entries = ledger(V, V, A, most=300)
    entries[0].enter(Phase.UPLOADING)
    assert numbers(made.claim(100)) == [1]
    entries[2].enter(Phase.UPLOADING)
    with pytest.raises(ValueError, match="larger"):
        made.claim(200)


def test_removed_is_forgotten_and_a_second_time_does_no_harm() -> None:
    made, entries = ledger(V, A)
    for _ in range(2):
        made.remove(entries[0])
    assert (made.bytes, len(made)) == (100, 1)


def test_too_old() -> None:
    made = Ledger(1000)
    for number, deadline in enumerate((10.0, 20.0, 30.0)):
        made.add(entry(number, V, deadline=deadline))
    made.add(entry(3, A, deadline=15.0))
    assert sorted(numbers(made.too_old(20.0))) == [0, 1, 3]
    assert made.too_old(9.9) == []


def test_what_came_out_of_order_is_sorted() -> None:
    made = Ledger(1000)
    for number in (5, 2, 9):
        made.add(entry(number, V))
    made.sort()
    assert numbers(made.claim(900)) == [2, 5]


def test_crowded_from_its_half_on() -> None:
    made, _ = ledger(A, A, A, A, A)
    assert not made.crowded
    made.add(entry(9, A, 1))
    assert made.crowded


def test_what_a_greedy_anchor_has_goes_first_its_audio_too() -> None:
    made = Ledger(1000)
    for number, (anchor, kind) in enumerate(
        [("ann", V), ("ann", A), ("bob", V), *[("mallory", A)] * 5, *[("mallory", V)] * 2]
    ):
        made.add(entry(number, kind, anchor=anchor))
    assert numbers(made.claim(300)) == [8, 9, 3]
    made.release(300)


def test_among_equals_age_decides() -> None:
    made, entries = Ledger(1000), list[Delivery]()
    for number in range(10):
        entries.append(entry(number, V, anchor=f"anchor{number % 3}"))
        made.add(entries[-1])
    assert numbers(made.claim(200)) == [0, 1]
    for each in entries:
        made.remove(each)
    assert (made.bytes, len(made)) == (200, 0)
