"""What a supplier need not see: repeats and samples, by the clock of who asks."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.delivery import selection
from slicer.delivery.delivery import Delivery
from slicer.delivery.selection import Selection
from slicer.media.slice import SliceInfo
from slicer.media.thumbnail import SIZE
from slicer.moderation import Verdict
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind, Role
from tests.harness.delivery.spooling import delivery_of
from tests.harness.moderation.scripted import BLOCK, PASS


def picture(key: str, grey: int = 100) -> Delivery:
    delivery = delivery_of(key, kind=Kind.VIDEO)
    delivery.thumbnail = bytes([grey]) * SIZE
    return delivery


def selecting(**changed: float) -> Selection:
    return Selection(replace(ModerationSettings(), **changed))  # type: ignore[arg-type]


def test_by_default_everything_is_judged() -> None:
    chosen = selecting()
    for number in range(5):
        one = picture(f"ada/{number}")
        assert chosen.repeated(one, 0.0) is None
        assert not chosen.leaves_out(one, 0.0)
        chosen.note(one, PASS, 0.0)
    assert not chosen.repeats
    assert len(chosen) == 0, "nothing is remembered for nobody"


def test_the_last_picture_again_has_its_verdict_for_a_while() -> None:
    chosen = selecting(repeat_distance=4, repeat_seconds=60.0)
    assert chosen.repeats
    assert chosen.repeated(picture("ada/0"), 0.0) is None
    chosen.note(picture("ada/0", 100), BLOCK, 0.0)
    assert chosen.repeated(picture("ada/1", 104), 60.0) == replace(BLOCK, repeated=True)
    assert chosen.repeated(picture("ada/1", 105), 60.0) is None
    assert chosen.repeated(picture("ada/1"), 60.1) is None, "it is looked at again"
    assert chosen.repeated(picture("bo/0"), 1.0) is None, "another anchor's is another"
    screen = picture("ada/1")
    assert isinstance(screen.info, SliceInfo)
    screen.info = replace(screen.info, track=screen.info.track._replace(role=Role.AUX))
    assert chosen.repeated(screen, 1.0) is None, "a screen is no face"
    bare = delivery_of("ada/1", kind=Kind.VIDEO)
    assert chosen.repeated(bare, 1.0) is None, "an earlier process made it"
    assert chosen.repeated(delivery_of("ada/1"), 1.0) is None, "audio is judged"


def test_what_changes_slowly_is_judged_again() -> None:
    """It is compared with what a supplier has seen, and not with what was repeated last."""
    chosen = selecting(repeat_distance=4)
    chosen.note(picture("ada/0", 100), PASS, 0.0)
    greys = []
    for number in range(1, 12):
        one = picture(f"ada/{number}", 100 + number)
        verdict = chosen.repeated(one, float(number))
        if verdict is None:
            greys.append(100 + number)
        chosen.note(one, verdict or PASS, float(number))
    assert greys == [105, 110]


def looked_at(chosen: Selection, count: int, now: float = 0.0, who: str = "ada") -> list[int]:
    pictures = [picture(f"{who}/{number}") for number in range(count)]
    return [number for number, one in enumerate(pictures) if not chosen.leaves_out(one, now)]


def test_one_in_so_many_is_judged_and_the_first_always() -> None:
    chosen = selecting(sample_every=4)
    assert looked_at(chosen, 10) == [0, 4, 8]
    assert looked_at(chosen, 3, who="bo") == [0]
    assert not any(chosen.leaves_out(delivery_of(f"ada/{number}"), 0.0) for number in range(5))


def test_who_had_a_hit_lately_is_looked_at_more_often() -> None:
    chosen = selecting(sample_every=6, sample_after_hit=2, sample_hit_seconds=600.0)
    assert looked_at(chosen, 7) == [0, 6]
    chosen.note(delivery_of("ada/audio"), BLOCK, 0.0)  # heard, and not seen
    assert looked_at(chosen, 6, 600.0) == [1, 3, 5]
    assert looked_at(chosen, 7, 601.0) == [5]
    assert looked_at(chosen, 7, who="bo") == [0, 6]


def test_a_hit_makes_nobody_looked_at_less() -> None:
    chosen = selecting(sample_every=2, sample_after_hit=5)
    chosen.note(delivery_of("ada/audio"), BLOCK, 0.0)
    assert looked_at(chosen, 4) == [0, 2]


@given(
    st.integers(1, 5),
    st.sampled_from([0, 4]),
    st.lists(st.tuples(st.sampled_from([PASS, BLOCK]), st.integers(0, 400)), max_size=30),
)
def test_what_it_says_beforehand_it_does(
    every: int, distance: int, story: list[tuple[Verdict, int]]
) -> None:
    chosen = selecting(sample_every=every, repeat_distance=distance)
    now = 0.0
    for number, (verdict, wait) in enumerate(story):
        now += wait
        one = picture(f"ada/{number}", 10 * number % 256)
        before = chosen.outlook(one, now)
        assert chosen.outlook(one, now) == before, "asking changes nothing"
        repeated = chosen.repeated(one, now)
        out = repeated is None and chosen.leaves_out(one, now)
        assert repeated == before.repeated(one.thumbnail)
        assert out is (repeated is None and before.left_out)
        if not out:
            chosen.note(one, repeated or verdict, now)


def test_anchors_are_forgotten_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "MAX_ANCHORS", 2)
    chosen = selecting(repeat_distance=4)
    for who in ("ada", "bo"):
        chosen.note(picture(f"{who}/0"), PASS, 0.0)
    assert chosen.repeated(picture("ada/1"), 1.0)
    chosen.note(picture("cy/0"), PASS, 1.0)
    assert len(chosen) == 2
    assert chosen.repeated(picture("ada/1"), 1.0)
    assert chosen.repeated(picture("bo/1"), 1.0) is None, "it was not heard of for longest"
