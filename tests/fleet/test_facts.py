"""Facts in a stream: told once, in order, whoever reads them."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import StreamConfig, StreamInfo
from nats.js.errors import ServiceUnavailableError

from slicer.errors import BadInput, BusUnavailable
from slicer.fleet import facts as module
from slicer.fleet.beat import Beat
from slicer.fleet.bus import Bus
from slicer.fleet.facts import PARTITIONS, Fact, Facts
from slicer.fleet.settings import FleetSettings
from slicer.fleet.signer import Signer
from tests.harness.fleet.fact_reader import frozen, reading
from tests.harness.fleet.nats_server import Servers

APP = 200806


@pytest_asyncio.fixture
async def facts(bus: Bus) -> AsyncIterator[Facts]:
    opened = Facts(bus)
    await opened.open(1)
    await opened.open(1)
    yield opened


class Reader:
    """Tells facts until it is stopped; *waits*: what it answers to each, then None."""

    def __init__(self, facts: Facts, *waits: float) -> None:
        self.told: list[bytes] = []
        self.tries: list[int] = []
        self.news = asyncio.Event()
        self._waits = list(waits)
        self.task = asyncio.ensure_future(facts.tell(APP, self._handle))

    async def _handle(self, fact: Fact) -> float | None:
        self.told.append(fact.data)
        self.tries.append(fact.tries)
        self.news.set()
        return self._waits.pop(0) if self._waits else None

    async def until(self, count: int) -> None:
        # What was on its way to a reader that has stopped comes again after ACK_WAIT.
        async with asyncio.timeout(2 * module.ACK_WAIT + 20):
            while len(self.told) < count:
                self.news.clear()
                await self.news.wait()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_a_line_is_told_in_order_and_once(facts: Facts) -> None:
    for number in range(20):
        await facts.publish(APP, "task", f"task.{number}", b"%d" % number)
        await facts.publish(APP, "task", f"task.{number}", b"again")
    await facts.publish(7, "task", "other", b"of another application")
    first = Reader(facts)
    await first.until(20)
    await first.stop()
    assert first.told == [b"%d" % number for number in range(20)]
    await facts.publish(APP, "task", "task.20", b"20")
    second = Reader(facts)
    await second.until(1)
    await second.stop()
    assert second.told == [b"20"], "the others are done with"


async def test_a_fact_that_is_not_taken_holds_up_its_line(facts: Facts) -> None:
    for name in ("a", "b"):
        await facts.publish(APP, "task", name, name.encode())
    reader = Reader(facts, 0.05, 0.05)
    await reader.until(4)
    await reader.stop()
    assert reader.told == [b"a", b"a", b"a", b"b"]
    assert reader.tries == [1, 2, 3, 1]


async def test_what_a_reader_had_when_it_died_is_given_to_the_next(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ACK_WAIT", 0.5)
    monkeypatch.setattr(module, "HANDLED", 0.0)
    await facts.publish(APP, "task", "a", b"a")
    had = asyncio.Event()

    async def hang(_fact: Fact) -> None:
        had.set()
        await asyncio.Event().wait()

    first = asyncio.ensure_future(facts.tell(APP, hang))
    await asyncio.wait_for(had.wait(), 20)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = Reader(facts)
    await second.until(1)
    await second.stop()
    assert (second.told, second.tries) == ([b"a"], [2])


async def test_what_is_being_told_as_its_reader_is_stopped_is_told_once(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ACK_WAIT", 0.5)
    await facts.publish(APP, "task", "a", b"a")
    had, answered = asyncio.Event(), asyncio.Event()

    async def post(_fact: Fact) -> None:
        had.set()
        await answered.wait()

    first = asyncio.ensure_future(facts.tell(APP, post))
    await asyncio.wait_for(had.wait(), 20)
    first.cancel()
    asyncio.get_running_loop().call_later(0.1, answered.set)
    await asyncio.gather(first, return_exceptions=True)
    assert await facts.count() == 0


@pytest.mark.parametrize("kept", [True, False])
async def test_where_a_server_dies_with_its_answer_nothing_is_told_twice(
    facts: Facts, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    monkeypatch.setattr(module, "ACK_WAIT", 5.0)
    monkeypatch.setattr(module, "AGAIN", 0.0)
    answers, ack_sync = [False] if kept else [False, False], Msg.ack_sync

    async def ask(message: Msg, timeout: float = 1.0) -> Msg:
        if not answers:
            return await ack_sync(message, timeout)
        answers.pop()
        if kept:
            await ack_sync(message, timeout)
        raise TimeoutError("nats: timeout")

    monkeypatch.setattr(Msg, "ack_sync", ask)
    await facts.publish(APP, "task", "a", b"a")
    reader = Reader(facts)
    async with asyncio.timeout(20):
        while answers or await facts.count():
            await asyncio.sleep(0.05)
    await facts.publish(APP, "task", "b", b"b")
    await reader.until(2)
    await reader.stop()
    assert reader.told == [b"a", b"b"]


async def test_who_is_told_nothing_for_long_gives_up_and_another_one_tells_it(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ACK_WAIT", 0.5)
    ack_sync, fails = Msg.ack_sync, True

    async def ask(message: Msg, timeout: float = 1.0) -> Msg:
        if fails:
            raise TimeoutError("nats: timeout")
        return await ack_sync(message, timeout)

    monkeypatch.setattr(Msg, "ack_sync", ask)
    await facts.publish(APP, "task", "a", b"a")
    reader = Reader(facts)
    await reader.until(2)
    fails = False
    await reader.stop()
    assert set(reader.told) == {b"a"}


async def test_who_was_frozen_with_a_fact_leaves_it_to_others(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ACK_WAIT", 0.5)
    monkeypatch.setattr(module, "FRESH", 0.5)
    thawed, had = asyncio.Event(), asyncio.Event()
    fetch = JetStreamContext.PullSubscription.fetch

    async def fetch_and_freeze(self: Any, batch: int, timeout: float) -> list[Msg]:
        found = await fetch(self, batch, timeout)
        had.set()
        await thawed.wait()
        return found

    monkeypatch.setattr(JetStreamContext.PullSubscription, "fetch", fetch_and_freeze)
    frozen = Reader(facts)
    await facts.publish(APP, "task", "a", b"a")
    await asyncio.wait_for(had.wait(), 20)
    monkeypatch.setattr(JetStreamContext.PullSubscription, "fetch", fetch)
    other = Reader(facts)
    await other.until(1)
    await other.stop()
    thawed.set()
    await facts.publish(APP, "task", "b", b"b")
    await frozen.until(1)
    await frozen.stop()
    assert (other.told, frozen.told) == ([b"a"], [b"b"])


async def test_who_was_frozen_as_he_was_given_a_fact_leaves_it_to_others(
    facts: Facts, bus: Bus, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ACK_WAIT", 1.5)
    async with reading(servers.urls[0], bus.bucket, APP, ACK_WAIT=1.5, FRESH=1.2, WAIT=1.0) as one:
        await facts.publish(APP, "task", "a", b"a")
        assert await one.told() == "a"
        async with asyncio.timeout(20):
            while await facts.count():
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)  # it asks for the next one
        async with frozen(one):
            await facts.publish(APP, "task", "b", b"b")
            other = Reader(facts)
            await other.until(1)
            await other.stop()
        await facts.publish(APP, "task", "c", b"c")
        assert (other.told, await one.told()) == ([b"b"], "c")


async def test_one_that_cannot_be_handled_is_logged_and_tried_again(
    facts: Facts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "ACK_WAIT", 0.2)
    await facts.publish(APP, "task", "a", b"a")
    tries = list[int]()
    told = asyncio.Event()

    async def fail_once(fact: Fact) -> None:
        tries.append(fact.tries)
        if len(tries) == 1:
            raise ValueError("a fault of ours")
        told.set()

    telling = asyncio.ensure_future(facts.tell(APP, fail_once))
    await asyncio.wait_for(told.wait(), 20)
    telling.cancel()
    await asyncio.gather(telling, return_exceptions=True)
    assert tries == [1, 2]
    assert "cannot be told" in caplog.text


async def test_without_a_server_nothing_is_published_and_reading_goes_on_later(
    facts: Facts, bus: Bus, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN", 0.1)
    monkeypatch.setattr(module, "WAIT", 0.5)
    reader = Reader(facts)
    await servers.kill(0)
    async with asyncio.timeout(10):
        while bus.connected:
            await asyncio.sleep(0.01)
    with pytest.raises(BusUnavailable, match="no server is there"):
        await facts.publish(APP, "task", "a", b"a")
    await servers.start(0)
    async with asyncio.timeout(20):
        while True:
            try:
                await facts.publish(APP, "task", "a", b"a")
                break
            except BusUnavailable:
                await asyncio.sleep(0.1)
    await reader.until(1)
    await reader.stop()
    assert reader.told == [b"a"]


async def test_what_is_told_is_kept_no_longer(facts: Facts, bus: Bus) -> None:
    await facts.publish(APP, "task", "a", b"a")
    await facts.publish(7, "task", "b", b"b")
    reader = Reader(facts)
    await reader.until(1)
    async with asyncio.timeout(10):
        while (await bus.js.stream_info(f"{bus.bucket}_facts")).state.messages > 1:
            await asyncio.sleep(0.02)
    await reader.stop()


async def test_a_full_stream_refuses_and_drops_nothing(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1024)
    full = Facts(bus)
    await full.open(1)
    await full.publish(APP, "task", "a", b"a" * 600)
    with pytest.raises(BusUnavailable, match="maximum bytes exceeded"):
        await full.publish(APP, "task", "b", b"b" * 600)
    reader = Reader(full)
    await reader.until(1)
    async with asyncio.timeout(10):
        while True:
            try:
                await full.publish(APP, "task", "b", b"b" * 600)
                break
            except BusUnavailable:
                await asyncio.sleep(0.02)
    await reader.until(2)
    await reader.stop()
    assert [data[:1] for data in reader.told] == [b"a", b"b"]


async def test_more_replicas_than_servers_are_refused(bus: Bus) -> None:
    with pytest.raises(BadInput, match=r"fleet\.replicas"):
        await Facts(bus).open(3)


async def test_a_stream_that_would_drop_in_silence_is_told_of(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    opened = Facts(bus)
    await opened.open(1)
    assert caplog.text == ""
    js = bus.js
    config = (await js.stream_info(f"{bus.bucket}_facts")).config
    assert not config.max_age
    await js.update_stream(config, max_age=604_800.0)
    await opened.open(1)
    assert "drops callbacks after 604800 s (max_age), and nobody is told" in caplog.text


async def test_what_nobody_claims_is_counted_by_application(
    facts: Facts, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await facts.unclaimed([]) == {}
    for number in range(3):
        await facts.publish(7, f"line-{number}", f"{number}", b"x")
    await facts.publish(APP, "line", "x", b"x")
    assert await facts.unclaimed([APP]) == {7: (3, False)}
    monkeypatch.setattr(module, "UNCLAIMED", -1.0)
    assert await facts.unclaimed([APP]) == {7: (3, True)}
    await facts.drop(7)
    assert await facts.unclaimed([]) == {APP: (1, True)}
    await bus.js.delete_stream(f"{bus.bucket}_facts")
    with pytest.raises(BusUnavailable):
        await facts.unclaimed([])
    with pytest.raises(BusUnavailable):
        await facts.drop(7)


async def test_servers_that_have_no_leader_yet_are_waited_for_and_then_told(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slicer.fleet.bus.UNREADY", 0.01)
    answers = [
        ServiceUnavailableError(code=503, description="no leader"),
        TimeoutError("nats: timeout"),
    ]
    add_stream = bus.js.add_stream

    async def asked(config: StreamConfig) -> StreamInfo:
        if answers:
            raise answers.pop(0)
        return await add_stream(config)

    monkeypatch.setattr(bus.js, "add_stream", asked)
    facts = Facts(bus)
    await facts.open(1)
    assert answers == []
    await facts.publish(APP, "task", "a", b"a")
    monkeypatch.setattr(module, "SYNC", 0.0)
    answers.append(ServiceUnavailableError(code=503, description="no leader"))
    with pytest.raises(BusUnavailable, match="the bus: no leader"):
        await facts.open(1)


async def test_a_stream_without_a_leader_is_looked_at_again(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slicer.fleet.bus.UNREADY", 0.01)
    answers, stream_info = [TimeoutError("nats: timeout")], bus.js.stream_info

    async def asked(name: str) -> StreamInfo:
        if answers:
            raise answers.pop(0)
        return await stream_info(name)

    monkeypatch.setattr(bus.js, "stream_info", asked)
    await Facts(bus).open(1)
    assert answers == []


@contextlib.asynccontextmanager
async def process(settings: FleetSettings, *keys: bytes) -> AsyncIterator[tuple[Bus, Facts]]:
    """One of a fleet that has these keys; without any, it signs nothing and believes all."""
    bus = await Bus.connect(settings, "test", Signer(keys) if keys else None)
    try:
        facts = Facts(bus)
        await facts.open(1)
        yield bus, facts
    finally:
        await bus.close()


@pytest.mark.parametrize("signed", [True, False])
async def test_one_that_cannot_be_verified_waits_for_who_can(
    settings: FleetSettings, monkeypatch: pytest.MonkeyPatch, signed: bool
) -> None:
    monkeypatch.setattr(module, "UNVERIFIED_AGAIN", 0.05)
    async with process(settings, *[b"new"] * signed) as (_, worker):
        await worker.publish(APP, "task", "a", b"a")
    async with process(settings, b"old") as (bus, copy):
        reader = Reader(copy)
        async with asyncio.timeout(20):
            while bus.refused < 3:
                await asyncio.sleep(0.01)
        await reader.stop()
        assert (reader.told, await copy.count()) == ([], 1)
        assert copy.counters["unverified"] == 0
    after = (b"new", b"old") if signed else ()
    async with process(settings, *after) as (_, copy):
        reader = Reader(copy)
        await reader.until(1)
        await reader.stop()
        assert reader.told == [b"a"]


async def test_one_that_nobody_verifies_is_given_up_in_the_end_and_told(
    settings: FleetSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "UNVERIFIED_AGAIN", 0.05)
    monkeypatch.setattr(module, "UNVERIFIED", 0.5)
    async with process(settings, b"other") as (_, stranger):
        for name in ("forged", "again"):
            await stranger.publish(APP, "task", name, b"forged")
    async with process(settings, b"key") as (_, copy):
        await copy.publish(APP, "task", "a", b"a")
        reader = Reader(copy)
        await reader.until(1)
        await reader.stop()
        assert reader.told == [b"a"], "it was behind them"
        assert copy.counters["unverified"] == 2
    assert caplog.text.count("a callback that no key verified for 0.5 s is given up") == 1


async def test_keys_are_rotated_in_three_steps_and_nothing_is_refused(
    settings: FleetSettings,
) -> None:
    """At each step one process after another; heartbeats and callbacks go from each to each."""
    steps = [(b"old",), (b"old", b"new"), (b"new", b"old"), (b"new",)]
    for before, after in itertools.pairwise(steps):
        for one, two in ((before, after), (after, before), (after, after)):
            async with (
                process(settings, *one) as (sends, worker),
                process(settings, *two) as (hears, copy),
            ):
                heard = asyncio.Event()
                await hears.hear_beats(lambda _beat, heard=heard: heard.set())  # type: ignore[misc]
                reader = Reader(copy)
                await worker.publish(APP, "task", f"{one}{two}", b"a")
                async with asyncio.timeout(20):
                    while not heard.is_set():
                        await sends.beat(Beat("w"))
                        await asyncio.sleep(0.02)
                await reader.until(1)
                await reader.stop()
                assert hears.refused == 0


async def test_without_the_first_step_heartbeats_are_refused(settings: FleetSettings) -> None:
    async with (
        process(settings, b"new", b"old") as (sends, _),
        process(settings, b"old") as (
            hears,
            _,
        ),
    ):
        await hears.hear_beats(lambda _beat: None)
        async with asyncio.timeout(20):
            while not hears.refused:
                await sends.beat(Beat("w"))
                await asyncio.sleep(0.02)


def test_lines_are_spread() -> None:
    assert {module.partition_of(f"task-{number}") for number in range(2000)} == {*range(PARTITIONS)}
