"""The circuit of a store: closed, open, one that tries; and the backup that takes its place."""

import random
from pathlib import Path

import pytest

from slicer.delivery.circuit import MAX_RETRY_AFTER, THRESHOLD, Circuit, Failover, Upstream
from slicer.delivery.encoding import EncodingPool
from slicer.delivery.outbox import Outbox
from slicer.delivery.retry import Backoff
from slicer.delivery.settings import OutboxSettings
from slicer.errors import StorageError, StorageRefused, StorageUnavailable
from slicer.rtp.parameters import Kind
from tests.harness.delivery.outbox import Inline, MemoryOutbox
from tests.harness.delivery.spooling import Run, assert_whole
from tests.harness.storage.memory import MemoryStore

HOUR = 3600
BACKOFF = Backoff(first=1.0, factor=2.0, most=32.0, refused=60.0)


def circuit() -> Circuit[StorageError]:
    return Circuit[StorageError](BACKOFF, lambda: 1.0)


def down(retry_after: float | None = None) -> StorageUnavailable:
    return StorageUnavailable("k", "503", "again", retry_after)


def open_by(made: Circuit[StorageError], error: StorageError, now: float = 0.0) -> None:
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


def failover(backup: bool = True) -> tuple[Failover, Upstream, Upstream | None]:
    made = Failover(MemoryStore(), MemoryStore() if backup else None, 60.0, Backoff(), lambda: 0.0)
    return made, made.first, made.upstreams[1] if backup else None


def kill(upstream: Upstream, now: float) -> None:
    for _ in range(THRESHOLD):
        upstream.circuit.fail(down(), upstream.circuit.start(), now)


def test_the_first_store_is_taken_while_it_works() -> None:
    made, first, _ = failover()
    assert made.choose(0.0) is first
    assert made.wakes_at(0.0) is None


def test_without_a_backup_nothing_goes_while_it_fails() -> None:
    made, first, _ = failover(backup=False)
    kill(first, 0.0)
    assert made.choose(0.1) is None
    assert made.wakes_at(0.0) == first.circuit.opens_at


def test_the_backup_stands_in_after_its_time_and_the_first_is_tried_on() -> None:
    made, first, backup = failover()
    kill(first, 0.0)
    while first.circuit.opens_at is not None and first.circuit.opens_at <= 60.0:
        now = first.circuit.opens_at
        assert made.choose(now) is first
        first.circuit.fail(down(), first.circuit.start(), now)
        assert made.choose(now) is (backup if now >= 60 else None)
    assert made.wakes_at(59.0) == 60.0
    assert made.choose(60.0) is backup
    assert first.circuit.opens_at is not None
    assert made.choose(first.circuit.opens_at) is first
    first.circuit.start()
    assert made.choose(first.circuit.opens_at) is backup, "one tries, the others go on"
    first.circuit.succeed()
    assert made.choose(100.0) is first


def test_a_backup_that_fails_is_left_alone_as_well() -> None:
    made, first, backup = failover()
    assert backup is not None
    kill(first, 0.0)
    kill(backup, 70.0)
    first.circuit.start()
    assert made.choose(70.0) is None


def outage(key: str) -> StorageError:
    return StorageUnavailable(key, "503 SlowDown", "it is tried again")


async def test_the_backup_takes_over_and_what_went_there_is_told(tmp_path: Path) -> None:
    first, backup = MemoryStore(fails=outage), MemoryStore(label="memory:backup")
    run = Run(tmp_path, first, backup=backup)
    run.offer(*(f"ada/{number}" for number in range(5)))
    await run.quiet()
    await run.advance(59.0)
    assert backup.order == []
    await run.pass_until(lambda: run.outbox.held == 0, most=10)
    assert backup.order == [f"ada/{number}" for number in range(5)]
    assert run.heard.stored == backup.order
    assert set(run.heard.destinations) == {"memory:backup"}
    first.fails = lambda _key: None
    await run.advance(31.0)
    run.offer("ada/5", "ada/6")
    await run.pass_until(lambda: run.outbox.held == 0, most=60)
    assert "ada/6" in first.there
    assert run.records() == []
    await run.close()


async def test_an_hour_of_media_with_a_dead_store(tmp_path: Path) -> None:
    """Two anchors, audio every 15 s, pictures every 5: 1920 slices. None is lost, doubled or out of
    order; the store is asked seldom and by one at a time; memory is flat."""
    bucket = MemoryStore(fails=outage)
    run = Run(tmp_path, bucket, settings=OutboxSettings(count=50, memory=100_000))
    keys: list[str] = []
    for second in range(0, HOUR, 5):
        for anchor in ("ada", "bo"):
            picture = f"{anchor}/{second:04d}.png"
            run.offer(picture, kind=Kind.VIDEO)
            keys.append(picture)
            if second % 15 == 0:
                run.offer(f"{anchor}/{second:04d}.ogg")
                keys.append(f"{anchor}/{second:04d}.ogg")
        await run.quiet()
        assert run.outbox.memory == 0
        await run.advance(5.0)
    assert len(keys) == len(run.records()) == 1920
    tried = len(bucket.tries)
    assert tried < HOUR / 15 + 20, "with 30 s between tries, by half at most"
    assert len(run.heard.trouble) == 1, "told once"
    bucket.fails = lambda _key: None
    await run.pass_until(lambda: run.outbox.held == 0, most=60)
    assert_whole(bucket, keys)
    for anchor in ("ada", "bo"):
        for kind in ("png", "ogg"):
            mine = [key for key in bucket.order if key[:-9] == anchor and key.endswith(kind)]
            assert mine == sorted(mine)
    assert run.records() == []
    assert run.balanced()
    await run.close()


async def test_dying_in_mid_upload_and_coming_back(tmp_path: Path) -> None:
    """Every other try breaks off, for a while."""
    bucket, chance = MemoryStore(), random.Random(4)
    bucket.fails = lambda key: outage(key) if chance.random() < 0.5 else None
    run = Run(tmp_path, bucket)
    keys = [f"{number % 5}/{number}" for number in range(100)]
    run.offer(*keys)
    await run.pass_until(lambda: run.outbox.held == 0)
    assert_whole(bucket, keys)
    assert run.balanced()
    await run.close()


async def test_a_backup_that_works_keeps_troubles_few() -> None:
    bench = MemoryOutbox()
    backup = MemoryStore()
    bench.outbox = Outbox(
        bench.store,
        EncodingPool(Inline()),
        bench.clock,
        bench.heard,
        chance=lambda: 0.0,
        backup=backup,
    )
    bench.store.fails = outage
    for number in range(100):
        bench.offer(f"ada/{number}")
        await bench.advance(10)
    assert len(bench.heard.failed) == 1
    assert len(backup.there) >= 95
    await bench.outbox.close()
