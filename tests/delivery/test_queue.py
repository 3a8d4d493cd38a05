"""Which slice goes next: in order within a track, small ones first between them."""

import pytest

from slicer.delivery.delivery import Delivery, Phase
from slicer.delivery.queue import BYTES_A_SECOND, UploadQueue
from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey
from tests.harness.clock import EPOCH


def delivery(number: int, anchor: str, size: int = 1000, kind: Kind = Kind.AUDIO) -> Delivery:
    info = SliceInfo(f"{anchor}/{number}", TrackKey("t", anchor, kind), EPOCH)
    return Delivery(info, size, number=number)


class Table:
    """A queue, and what was put there."""

    def __init__(self) -> None:
        self.queue = UploadQueue()

    def put(
        self,
        number: int,
        anchor: str,
        size: int = 1000,
        now: float | None = 0.0,
        kind: Kind = Kind.AUDIO,
    ) -> Delivery:
        one = delivery(number, anchor, size, kind)
        self.queue.add(one)
        if now is not None:
            self.make_ready(one, now)
        return one

    def make_ready(self, one: Delivery, now: float) -> None:
        one.enter(Phase.READY)
        one.sendable_since = now
        self.queue.refresh(one)

    def take(self) -> list[str]:
        """All that may go side by side."""
        taken = []
        while popped := self.queue.pop():
            popped.enter(Phase.UPLOADING)
            taken.append(popped)
        self.taken = taken
        return [each.info.key for each in taken]

    def free(self) -> None:
        for each in self.taken:
            self.queue.free(each)


def test_a_track_goes_in_order_one_by_one() -> None:
    table = Table()
    for number in (2, 0, 1):
        table.put(number, "ada")
    for number in range(3):
        assert table.take() == [f"ada/{number}"]
        table.free()
    assert table.take() == []


def test_tracks_go_side_by_side_small_ones_first() -> None:
    table = Table()
    table.put(0, "big", 500_000)
    table.put(1, "small", 60_000)
    table.put(2, "middle", 100_000)
    assert table.take() == ["small/1", "middle/2", "big/0"]


def test_a_large_one_waits_for_as_long_as_its_size_says() -> None:
    table = Table()
    table.put(0, "big", int(10 * BYTES_A_SECOND), now=0.0)
    table.put(1, "early", 0, now=9.9)
    table.put(2, "late", 0, now=10.1)
    assert table.take() == ["early/1", "big/0", "late/2"]


def test_what_is_not_made_yet_holds_up_its_track_alone() -> None:
    table = Table()
    slow = table.put(0, "ada", now=None)
    table.put(1, "ada")
    table.put(2, "bo")
    assert table.take() == ["bo/2"]
    table.make_ready(slow, 1.0)
    assert table.take() == ["ada/0"]


@pytest.mark.parametrize("shown", [True, False])
def test_what_is_gone_holds_up_nothing(shown: bool) -> None:
    table = Table()
    first = table.put(0, "ada", now=0.0 if shown else None)
    table.put(1, "ada")
    first.enter(Phase.GONE)
    table.queue.refresh(first)
    assert table.take() == ["ada/1"]


def test_what_comes_back_goes_to_its_place() -> None:
    table = Table()
    for number in range(3):
        table.put(number, "ada")
    assert table.take() == ["ada/0"]
    failed = table.taken[0]
    failed.enter(Phase.BACKOFF)
    failed.enter(Phase.READY)
    table.queue.add(failed)
    table.free()
    assert table.take() == ["ada/0"]


def test_its_books_do_not_grow_while_nothing_goes() -> None:
    table = Table()
    for number in range(1000):
        table.put(number, "ada")
    assert table.queue.entries == 1


def test_audio_waits_behind_no_queue_of_pictures() -> None:
    table = Table()
    for number in range(20):
        table.put(number, f"seen{number}", now=0.0, kind=Kind.VIDEO)
    assert table.queue.pop() is not None
    table.put(20, "heard", size=10_000_000, now=60.0)
    taken = table.queue.pop()
    assert taken is not None
    assert taken.info.key == "heard/20"


def test_nor_do_pictures_wait_behind_a_queue_of_audio() -> None:
    table = Table()
    for number in range(4):
        table.put(number, f"heard{number}", size=0)
        table.put(number, f"seen{number}", size=1_000_000, kind=Kind.VIDEO)
    kinds = [key[:4] for key in table.take()]
    assert kinds == ["hear", "seen"] * 4
