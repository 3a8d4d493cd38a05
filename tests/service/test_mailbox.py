"""Webhooks of a fleet: published by workers, sent by copies of the API."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from slicer.clock import LoopClock
from slicer.fleet.bus import Bus
from slicer.fleet.facts import Fact, Facts
from slicer.fleet.settings import FleetSettings
from slicer.service.mailbox import LONGEST_WAIT, Mailbox, publisher, to_json
from slicer.service.messages import body
from slicer.webhooks.client import Reply
from slicer.webhooks.queue import Webhook
from slicer.webhooks.retry import RetryPolicy
from slicer.webhooks.sender import ID_HEADER, Subscriber
from slicer.webhooks.sign import sign
from tests.harness.fleet.nats_server import nats_servers

WEBHOOK = Webhook("task.1001", 7, "task", 1001, '{"TaskId":"task"}')
SUBSCRIBERS = {7: Subscriber("http://x/", "key", {"SdkAppId": "7"})}


class Customer:
    """Takes what is posted, once it has answered with *failures*."""

    def __init__(self, failures: int = 0) -> None:
        self.posted: list[tuple[str, bytes, Mapping[str, str]]] = []
        self._failures = failures
        self._news = asyncio.Event()

    async def post(self, url: str, data: bytes, headers: Mapping[str, str]) -> Reply:
        self.posted.append((url, data, headers))
        self._news.set()
        return Reply(len(self.posted) > self._failures, "500")

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.posted) < count:
                self._news.clear()
                await self._news.wait()


@pytest_asyncio.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    async with nats_servers(tmp_path) as servers:
        opened = await Bus.connect(FleetSettings(servers.urls), "test")
        yield opened
        await opened.close()


@pytest_asyncio.fixture
async def facts(bus: Bus) -> Facts:
    opened = Facts(bus)
    await opened.open(1)
    return opened


def mailbox(facts: Facts, customer: Customer, max_age: float = 60.0) -> Mailbox:
    return Mailbox(facts, body, customer.post, LoopClock(), RetryPolicy(max_age))


async def publish(facts: Facts, webhook: Webhook) -> Reply:
    now = datetime.now(UTC)
    return await publisher(facts)("nats:", to_json(webhook, now), {})


async def test_what_a_worker_publishes_is_sent_signed_and_once(facts: Facts) -> None:
    customer = Customer()
    one = mailbox(facts, customer)
    one.replace(SUBSCRIBERS)
    assert (await publish(facts, WEBHOOK)).taken
    assert (await publish(facts, WEBHOOK)).taken
    await customer.until(1)
    await publish(facts, Webhook("task.1005", 7, "task", 1005, "{}"))
    await customer.until(2)
    await one.close()
    await one.close()
    url, data, headers = customer.posted[0]
    assert url == "http://x/"
    assert json.loads(data)["EventInfo"] == {"TaskId": "task"}
    assert headers["Sign"] == sign("key", data)
    assert (headers["SdkAppId"], headers[ID_HEADER]) == ("7", "task.1001")
    assert customer.posted[1][2][ID_HEADER] == "task.1005"
    assert one.counters["delivered"] >= 1


async def test_what_is_not_taken_is_tried_again(facts: Facts) -> None:
    customer = Customer(failures=1)
    one = mailbox(facts, customer)
    one.replace(SUBSCRIBERS)
    await publish(facts, WEBHOOK)
    await customer.until(2)
    await one.close()
    assert one.counters["failed"] == 1


async def test_what_is_not_taken_for_too_long_is_given_up(
    facts: Facts, caplog: pytest.LogCaptureFixture
) -> None:
    customer = Customer(failures=2)
    one = mailbox(facts, customer, max_age=1.0)
    one.replace(SUBSCRIBERS)
    await publish(facts, WEBHOOK)
    await publish(facts, Webhook("task.1002", 7, "task", 1002, "{}"))
    await customer.until(3)
    await one.close()
    assert one.counters["given_up"] == 1
    assert "callback task.1001 is given up: 500" in caplog.text
    assert customer.posted[2][2][ID_HEADER] == "task.1002"


async def test_one_that_is_not_taken_does_not_hold_others_up_for_long(facts: Facts) -> None:
    customer = Customer(failures=9)
    one = mailbox(facts, customer, max_age=365 * 86_400.0)
    one.replace(SUBSCRIBERS)
    data = to_json(WEBHOOK, datetime.now(UTC))
    for tries in (20, 2_000):
        since = datetime.now(UTC) - timedelta(days=300)
        wait = await one.send(Fact(data, since, tries))
        assert wait is not None
        assert LONGEST_WAIT - 2 < wait <= LONGEST_WAIT
    too_old = datetime.now(UTC) - timedelta(days=366)
    assert await one.send(Fact(data, too_old, 20)) is None
    assert one.counters["given_up"] == 1
    await one.close()


async def test_what_cannot_be_read_is_counted_and_holds_nothing_up(
    facts: Facts, caplog: pytest.LogCaptureFixture
) -> None:
    newer = json.loads(to_json(WEBHOOK, datetime.now(UTC))) | {"more": 1}
    unreadable = (b"{", b"[]", b'{"id":"x"}', json.dumps(newer | {"event": "x"}).encode())
    for number, data in enumerate((*unreadable, json.dumps(newer).encode())):
        await facts.publish(7, "task", f"id-{number}", data)
    customer = Customer()
    one = mailbox(facts, customer)
    one.replace(SUBSCRIBERS)
    await customer.until(1)
    await one.close()
    assert customer.posted[0][2][ID_HEADER] == WEBHOOK.id
    assert one.counters["unreadable"] == len(unreadable)
    assert caplog.text.count("a callback is lost: fleet.bucket") == len(unreadable)


async def test_applications_come_and_go(facts: Facts) -> None:
    customer = Customer()
    one = mailbox(facts, customer)
    one.replace(SUBSCRIBERS)
    one.replace({})
    await publish(facts, WEBHOOK)
    one.replace(SUBSCRIBERS)
    await customer.until(1)
    await one.close()


async def test_what_is_given_out_as_its_application_goes_waits(facts: Facts) -> None:
    customer = Customer()
    one = mailbox(facts, customer)
    fact = Fact(to_json(WEBHOOK, datetime.now(UTC)), datetime.now(UTC), 1)
    assert await one.send(fact) == LONGEST_WAIT
    one.replace(SUBSCRIBERS)
    assert await one.send(fact) is None
    await one.close()
    assert [headers[ID_HEADER] for _, _, headers in customer.posted] == [WEBHOOK.id]


async def test_while_the_bus_is_away_a_workers_queue_keeps_them(facts: Facts, bus: Bus) -> None:
    await bus.close()
    reply = await publish(facts, WEBHOOK)
    assert not reply.taken
    assert "no server is there" in reply.detail


async def test_what_waited_for_weeks_is_tried_once_and_never_dropped_in_silence(
    facts: Facts, caplog: pytest.LogCaptureFixture
) -> None:
    """As where no copy of the API ran for that long."""
    customer = Customer(failures=2)
    one = mailbox(facts, customer, max_age=86_400.0)
    one.replace(SUBSCRIBERS)
    data = to_json(WEBHOOK, datetime.now(UTC))
    weeks_ago = datetime.now(UTC) - timedelta(days=30)
    assert await one.send(Fact(data, weeks_ago, 1)) == 0.0, "once again at once"
    assert await one.send(Fact(data, weeks_ago, 2)) is None, "then it is done with"
    assert len(customer.posted) == 2
    assert one.counters["given_up"] == 1
    assert "callback task.1001 is given up" in caplog.text
    await one.close()


async def test_what_waits_for_an_application_that_no_settings_have_is_told(
    facts: Facts, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slicer.service.mailbox.SWEEP", 0.02)
    await publish(facts, Webhook("t.1", 8, "t", 1001, "{}"))
    await publish(facts, Webhook("u.1", 8, "u", 1001, "{}"))
    one = mailbox(facts, Customer())
    async with asyncio.timeout(10):
        while (
            "2 callbacks of application 8, which the settings do not have, wait" not in caplog.text
        ):
            await asyncio.sleep(0.01)
    assert one.counters["unclaimed"] == 0
    monkeypatch.setattr("slicer.fleet.facts.UNCLAIMED", -1.0)
    async with asyncio.timeout(10):
        while not one.counters["unclaimed"]:
            await asyncio.sleep(0.01)
    assert one.counters["unclaimed"] == 2
    assert "2 callbacks of application 8" in caplog.text
    assert "waited for seven days: given up" in caplog.text
    assert await facts.unclaimed([]) == {}
    await one.close()
