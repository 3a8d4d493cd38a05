"""The rate in any second, and the memory of signatures."""

from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.api.limits import TOGETHER, RateLimit, Signatures

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


def signature(number: int) -> str:
    return f"{number:064x}"


def used(*, most: int = 10) -> Signatures:
    """A memory in which the first signature was used for a Create."""
    signatures = Signatures(most)
    assert signatures.first_use(1, signature(1), "Create", until=300, now=0) == "Create"
    return signatures


def test_what_was_carried_out_is_a_replay_whatever_its_nonce() -> None:
    signatures = used()
    assert not signatures.is_replay(signature(1), "", 0)
    later = TOGETHER + 0.1
    assert signatures.is_replay(signature(1), "", later)
    assert signatures.is_replay(signature(1), "another", later)
    assert signatures.first_use(1, signature(2), "Create", until=300, now=later) == "Create"
    assert not signatures.is_replay(signature(2), "", later)


def test_equal_requests_of_one_second_are_two_unless_they_carry_one_nonce() -> None:
    signatures = used()
    assert not signatures.is_replay(signature(1), "7", 0)
    assert signatures.is_replay(signature(1), "7", 0)
    for nonce in ("8", ""):
        assert not signatures.is_replay(signature(1), nonce, TOGETHER)
    assert signatures.is_replay(signature(1), "8", TOGETHER)
    assert not signatures.is_replay(signature(1), "", TOGETHER)
    assert signatures.is_replay(signature(1), "", TOGETHER + 0.1), "by when the first one came"


def test_the_first_use_of_a_signature_stays() -> None:
    signatures = used()
    assert signatures.first_use(1, signature(1), "Delete", until=300, now=299) == "Create"
    assert signatures.first_use(2, signature(1), "Delete", until=300, now=300) == "Create"
    assert signatures.first_use(1, signature(2), "Delete", until=300, now=0) == "Delete"


def test_a_full_memory_refuses_one_application_until_what_it_holds_is_past() -> None:
    signatures = used(most=2)
    assert signatures.first_use(1, signature(2), "Create", until=400, now=0) == "Create"
    assert signatures.first_use(1, signature(3), "Create", until=500, now=300) is None
    assert signatures.first_use(1, signature(2), "Modify", until=400, now=300) == "Create"
    assert signatures.first_use(2, signature(3), "Create", until=500, now=300) == "Create"
    assert signatures.first_use(1, signature(4), "Create", until=500, now=301) == "Create"
    assert signatures.first_use(1, signature(5), "Create", until=500, now=301) is None


def test_what_is_past_is_forgotten_with_all_that_came_under_it() -> None:
    signatures = used()
    assert not signatures.is_replay(signature(1), "7", 0)
    assert signatures.first_use(1, signature(1), "Create", until=900, now=301) == "Create"
    assert not signatures.is_replay(signature(1), "7", 301)
