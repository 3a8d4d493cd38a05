"""The rate in any second, and the memory of signatures."""

from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.api.limits import TOGETHER, RateLimit, Replays, SignatureUses

KEY = ("CreateCloudSliceTask", 1)


def test_twenty_in_any_second() -> None:
    limit = RateLimit(20)
    assert all(limit.take(KEY, 10 + index / 100) for index in range(20))
    assert not limit.take(KEY, 10.5)
    assert not limit.take(KEY, 10.999)
    assert limit.take(KEY, 11.0)
    assert not limit.take(KEY, 11.005)
    assert limit.take(KEY, 11.01)


def test_keys_do_not_share() -> None:
    limit = RateLimit(1)
    assert limit.take(KEY, 0)
    assert not limit.take(KEY, 0)
    assert limit.take(("DeleteCloudSliceTask", 1), 0)
    assert limit.take(("CreateCloudSliceTask", 2), 0)


@settings(deadline=None)
@given(st.lists(st.floats(0, 0.5), max_size=80))
def test_no_second_ever_holds_more(steps: list[float]) -> None:
    limit, now, taken = RateLimit(5), 0.0, []
    for step in steps:
        now += step
        if limit.take(KEY, now):
            taken.append(now)
    assert all(late - early >= 1.0 for early, late in zip(taken, taken[5:], strict=False))


def test_what_was_carried_out_is_seen_for_its_action_only() -> None:
    replays = Replays()
    assert not replays.seen("Create", "s", "", 0)
    assert replays.remember("Create", "s", "", until=300, now=0)
    later = TOGETHER + 0.1
    assert replays.seen("Create", "s", "", later)
    assert replays.seen("Create", "s", "another", later)
    assert not replays.seen("Modify", "s", "", later)
    assert not replays.seen("Create", "t", "", later)


def test_equal_requests_of_one_second_are_two_unless_they_carry_one_nonce() -> None:
    replays = Replays()
    assert replays.remember("Create", "s", "7", until=300, now=0)
    assert replays.seen("Create", "s", "7", 0)
    for nonce in ("8", ""):
        assert not replays.seen("Create", "s", nonce, TOGETHER)
        assert replays.remember("Create", "s", nonce, until=300, now=TOGETHER)
    assert replays.seen("Create", "s", "8", TOGETHER)
    assert not replays.seen("Create", "s", "", TOGETHER)
    assert replays.seen("Create", "s", "", TOGETHER + 0.1), "by when the first one came"
    assert len(replays) == 1


def test_a_full_memory_refuses_until_what_it_holds_is_past() -> None:
    replays = Replays(most=2)
    assert replays.remember("Create", "a", "", until=300, now=0)
    assert replays.remember("Create", "b", "", until=400, now=0)
    assert not replays.remember("Create", "c", "", until=500, now=300)
    assert replays.seen("Create", "a", "", 300)
    assert replays.remember("Create", "a", "9", until=300, now=1), "it takes no more room"
    assert replays.remember("Create", "c", "", until=500, now=301)
    assert not replays.seen("Create", "a", "", 301)
    assert len(replays) == 2


def signature(number: int) -> str:
    return f"{number:064x}"


def test_the_first_use_of_a_signature_stays() -> None:
    uses = SignatureUses()
    assert uses.first(1, signature(1), "Describe", until=300, now=0) == "Describe"
    assert uses.first(1, signature(1), "Delete", until=300, now=299) == "Describe"
    assert uses.first(1, signature(1), "Describe", until=300, now=300) == "Describe"
    assert uses.first(1, signature(2), "Delete", until=300, now=0) == "Delete"


def test_a_full_memory_refuses_one_application_until_what_it_holds_is_past() -> None:
    uses = SignatureUses(most=2)
    assert uses.first(1, signature(1), "Delete", until=300, now=0) == "Delete"
    assert uses.first(1, signature(2), "Delete", until=400, now=0) == "Delete"
    assert uses.first(1, signature(3), "Delete", until=500, now=300) is None
    assert uses.first(1, signature(2), "Modify", until=400, now=300) == "Delete"
    assert uses.first(2, signature(3), "Delete", until=500, now=300) == "Delete"
    assert uses.first(1, signature(3), "Delete", until=500, now=301) == "Delete"
    assert uses.first(1, signature(4), "Delete", until=500, now=301) is None
