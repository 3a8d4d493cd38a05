"""The circuit of a store: closed, open, one that tries; and how long it stays open."""

import pytest

from slicer.delivery.circuit import MAX_RETRY_AFTER, THRESHOLD, Circuit
from slicer.delivery.retry import Backoff
from slicer.errors import StorageError, StorageRefused, StorageUnavailable

BACKOFF = Backoff(first=1.0, factor=2.0, most=32.0, refused=60.0)


def circuit() -> Circuit:
    return Circuit(BACKOFF, lambda: 1.0)


def down(retry_after: float | None = None) -> StorageUnavailable:
    return StorageUnavailable("k", "503", "again", retry_after)


def open_by(made: Circuit, error: StorageError, now: float = 0.0) -> None:
    for _ in range(THRESHOLD):
        made.fail(error, made.start(), now)


def test_closed_lets_all_pass_and_a_few_failures_do_not_open_it() -> None:
    made = circuit()
    for _ in range(THRESHOLD - 1):
        assert not made.start()
        made.fail(down(), False, 0.0)
    assert made.closed
    made.succeed()
    made.fail(down(), False, 0.0)
    assert made.closed, "the count begins anew after a success"


def test_one_tries_and_closes_it() -> None:
    made = circuit()
    open_by(made, down())
    assert made.opens_at == 4.0
    assert not made.allows(3.9)
    assert made.allows(4.0)
    assert made.start()
    assert not made.allows(4.0), "one alone"
    made.succeed()
    assert made.closed
    assert made.allows(4.0)
    assert made.failing_since is None


def test_each_round_waits_longer_up_to_a_bound() -> None:
    made, now, waits = circuit(), 0.0, []
    open_by(made, down())
    for _ in range(6):
        assert made.opens_at is not None
        waits.append(made.opens_at - now)
        now = made.opens_at
        made.fail(down(), made.start(), now)
    assert waits == [4, 8, 16, 32, 32, 32]


def test_who_started_before_lengthens_no_wait() -> None:
    made = circuit()
    open_by(made, down())
    made.fail(down(), False, 1.0)
    assert made.opens_at == 4.0


def test_a_try_that_fails_after_another_upload_has_closed_it_is_one_failure() -> None:
    made = circuit()
    open_by(made, down())
    probe = made.start()
    made.succeed()
    made.fail(down(), probe, 5.0)
    assert made.closed


def test_a_refusal_waits_for_a_human() -> None:
    made = circuit()
    open_by(made, StorageRefused("k", "403", "grant it"))
    assert made.opens_at == pytest.approx(66.0)


def test_a_store_that_asks_for_time_gets_it_at_once() -> None:
    made = circuit()
    made.fail(down(retry_after=17.0), False, 100.0)
    assert made.opens_at == 117.0


def test_no_header_stops_us_for_a_day() -> None:
    made = circuit()
    made.fail(down(retry_after=1e9), False, 0.0)
    assert made.opens_at == MAX_RETRY_AFTER


def test_a_try_that_tells_nothing_makes_way_for_another() -> None:
    made = circuit()
    open_by(made, down())
    made.abandon(made.start())
    assert not made.closed
    assert made.allows(4.0)


def test_hurry() -> None:
    made = circuit()
    made.hurry(1.0)
    assert made.closed
    open_by(made, down())
    made.hurry(1.0)
    assert made.allows(1.0)
