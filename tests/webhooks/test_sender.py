"""The sender: order of a task, tasks apart, tries and their times, kill and restart."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from slicer.webhooks.client import Reply, WebhookClient
from slicer.webhooks.queue import Outcome, Webhook, WebhookQueue
from slicer.webhooks.retry import MINUTE, RetryPolicy
from slicer.webhooks.sender import EACH_SUBSCRIBER, ID_HEADER, Sender, Subscriber
from slicer.webhooks.sign import sign
from tests.harness.clock import EPOCH, ManualClock, settle
from tests.harness.service.webhook_receiver import receiver

SUBSCRIBER = Subscriber("http://receiver.example/", "key", {"SdkAppId": "1"})
TAKEN, FAILED = Reply(True, "200"), Reply(False, "500")


def message(number: int, task: str = "t", app: int = 1) -> Webhook:
    return Webhook(f"{task}-{number}", app, task, 1004, json.dumps({"n": number}))


def body(webhook: Webhook, sent: datetime) -> bytes:
    content = {"event": webhook.event, "at": sent.isoformat(), **json.loads(webhook.payload)}
    return json.dumps(content).encode()


@dataclass
class Line:
    """A way to the receiver. *down*: ids that fail; *held*: what waits is not answered yet."""

    clock: ManualClock
    down: Callable[[str], bool] = lambda _: False
    held: bool = False
    sent: list[tuple[str, float]] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    under_way: int = 0
    most: int = 0

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        assert headers["Sign"] == sign("key", body)
        assert url == SUBSCRIBER.url
        name = headers[ID_HEADER]
        self.sent.append((name, self.clock.now() - 1000.0))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        while self.held:
            await asyncio.sleep(0.001)
        self.under_way -= 1
        if self.down(name):
            return FAILED
        self.taken.append(name)
        return TAKEN


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():
            await asyncio.sleep(0.001)


@dataclass
class Office:
    clock: ManualClock
    line: Line
    queue: WebhookQueue
    sender: Sender
    subscribers: dict[int, Subscriber]

    async def idle(self) -> None:
        """Return when all that is due has been sent, and the sender sleeps again."""
        await settle()
        now = self.clock.wall(self.clock.now()).timestamp()
        async with asyncio.timeout(20):
            while self.line.under_way or await self.queue.due(now, 1) or not self.clock.timers:
                await asyncio.sleep(0.001)

    async def pass_time(self, seconds: float, step: float = 1.0) -> None:
        await self.idle()
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            await self.idle()


@asynccontextmanager
async def office(folder: Path, policy: RetryPolicy | None = None) -> AsyncIterator[Office]:
    clock = ManualClock()
    line, queue = Line(clock), await WebhookQueue.open(folder, bound=50)
    subscribers = dict.fromkeys((1, 2, 3), SUBSCRIBER)
    chosen = (policy,) if policy else ()
    sender = Sender(queue, subscribers.get, body, line.post, clock, *chosen)
    yield Office(clock, line, queue, sender, subscribers)
    line.held = False
    await sender.close()
    await sender.close()
    await queue.close()


async def test_a_message_is_sent_at_once_with_all_its_headers(tmp_path: Path) -> None:
    async with office(tmp_path) as there:
        await there.sender.send(message(0))
        await until(lambda: there.line.taken == ["t-0"])
        await there.idle()
        (webhook,) = await there.queue.webhooks()
        assert (webhook.outcome, webhook.detail, webhook.tries) == (Outcome.DELIVERED, "200", 1)
        assert there.sender.counters == {"delivered": 1}


async def test_over_http(tmp_path: Path) -> None:
    clock, queue = ManualClock(), await WebhookQueue.open(tmp_path)
    client = WebhookClient(True)
    async with receiver("secret") as customer:
        subscriber = Subscriber(customer.url, "secret", {"SdkAppId": "1"})
        sender = Sender(queue, lambda _: subscriber, body, client.post, clock)
        await sender.send(message(7))
        await customer.until(lambda: bool(customer.received))
        await sender.close()
    (request,) = customer.received
    assert request.signed
    assert request.headers["content-type"] == "application/json"
    assert (request.headers["sdkappid"], request.headers["x-slicer-message"]) == ("1", "t-7")
    assert request.told == {"event": 1004, "at": EPOCH.isoformat(), "n": 7}
    await client.close()
    await queue.close()


async def test_what_is_due_at_once_begins_in_turns_of_the_loop(tmp_path: Path) -> None:
    """A cut that comes in the midst of them waits for one."""
    clock, queue = ManualClock(), await WebhookQueue.open(tmp_path)
    for number in range(EACH_SUBSCRIBER):
        assert await queue.add(message(0, f"task{number}"), EPOCH.timestamp() - 1)
    turn, began = [0], list[int]()

    async def count() -> None:
        while True:
            turn[0] += 1
            await asyncio.sleep(0)

    async def post(_url: str, _body: bytes, _headers: Mapping[str, str]) -> Reply:
        began.append(turn[0])
        return TAKEN

    counting = asyncio.ensure_future(count())
    sender = Sender(queue, lambda _: SUBSCRIBER, body, post, clock)
    await until(lambda: len(began) == EACH_SUBSCRIBER)
    counting.cancel()
    assert len({*began}) == EACH_SUBSCRIBER
    await sender.close()
    await queue.close()


async def test_the_order_of_a_task_holds_while_others_go_on(tmp_path: Path) -> None:
    async with office(tmp_path) as there:
        there.line.down = lambda name: name == "a-0"
        for number in range(3):
            await there.sender.send(message(number, "a"))
            await there.sender.send(message(number, "b"))
        await until(lambda: there.line.taken == ["b-0", "b-1", "b-2"])
        await there.pass_time(30)
        assert there.line.taken == ["b-0", "b-1", "b-2"]
        there.line.down = lambda _: False
        await there.pass_time(10)
        await until(lambda: there.line.taken[3:] == ["a-0", "a-1", "a-2"])


async def test_tries_follow_the_schedule(tmp_path: Path) -> None:
    async with office(tmp_path, RetryPolicy(MINUTE)) as there:
        there.line.down = lambda name: name == "t-0"
        await there.sender.send(message(0))
        await there.sender.send(message(1))
        await there.pass_time(70)
        tries = [at for name, at in there.line.sent if name == "t-0"]
        assert tries == [0, 0, 10, 20, 30, 40, 50, 60]
        assert there.line.taken == ["t-1"]
        fates = [(one.outcome, one.detail) for one in await there.queue.webhooks()]
        assert fates == [(Outcome.GIVEN_UP, "500"), (Outcome.DELIVERED, "200")]
        assert there.sender.counters == {"failed": 8, "given_up": 1, "delivered": 1}


async def test_a_failing_subscriber_is_told_once_and_so_is_its_recovery(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with office(tmp_path, RetryPolicy(MINUTE)) as there:
        there.line.down = lambda _: there.clock.now() < 1025.0
        for number in range(3):
            await there.sender.send(message(number, f"t{number}"))
        await there.idle()
        assert (there.sender.failing, await there.sender.waiting()) == (1, 3)
        await there.pass_time(30)
        assert (there.sender.failing, await there.sender.waiting()) == (0, 0)
        await there.sender.send(message(9))
        await there.idle()
    lines = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert [(one.getMessage(), one.__dict__["app"]) for one in lines] == [
        ("! callbacks of application 1 are not taken, and are tried again: 500", 1),
        ("+ callbacks of application 1 are taken again", 1),
    ]


async def test_an_app_that_hangs_takes_nobody_elses_turn(tmp_path: Path) -> None:
    async with office(tmp_path) as there:
        there.line.held = True
        for number in range(EACH_SUBSCRIBER + 5):
            await there.sender.send(message(0, f"a{number}", app=1))
        await until(lambda: there.line.under_way == EACH_SUBSCRIBER)
        await there.sender.send(message(0, "b", app=2))
        await until(lambda: "b-0" in [name for name, _ in there.line.sent])
        assert there.line.most == EACH_SUBSCRIBER + 1
        there.line.held = False
        await until(lambda: len(there.line.taken) == EACH_SUBSCRIBER + 6)
        assert there.line.most <= 2 * EACH_SUBSCRIBER


async def test_an_app_without_receiver_is_told_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as there:
        await there.sender.send(message(0, app=9))
        assert await there.queue.webhooks() == []


async def test_a_receiver_that_is_no_longer_configured(tmp_path: Path) -> None:
    async with office(tmp_path, RetryPolicy(MINUTE)) as there:
        there.line.down = lambda _: True
        await there.sender.send(message(0))
        await until(lambda: len(there.line.sent) >= 1)
        there.subscribers.clear()
        await there.pass_time(70)
        (webhook,) = await there.queue.webhooks()
        assert (webhook.outcome, webhook.detail) == (
            Outcome.GIVEN_UP, "there is no subscriber any more",
        )  # fmt: skip


async def test_more_than_may_wait(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with office(tmp_path) as there:
        there.line.down = lambda _: True
        for number in range(52):
            await there.sender.send(message(number))
        assert there.sender.counters["refused"] == 2
        assert "t-51 is lost" in caplog.text


async def test_what_another_process_sends_again_is_noticed(tmp_path: Path) -> None:
    async with office(tmp_path) as there:
        await there.sender.send(message(0))
        await until(lambda: there.line.taken == ["t-0"])
        await there.idle()
        other = await WebhookQueue.open(tmp_path)
        now = there.clock.wall(there.clock.now()).timestamp()
        assert await other.resend(now, Outcome.DELIVERED) == 1
        await other.close()
        there.clock.advance(6)
        await until(lambda: there.line.taken == ["t-0", "t-0"])


async def test_the_next_process_goes_on(tmp_path: Path) -> None:
    async with office(tmp_path) as there:
        there.line.down = lambda name: name != "t-0"
        for number in range(3):
            await there.sender.send(message(number))
        await until(lambda: there.line.taken == ["t-0"])
    async with office(tmp_path) as there:
        await there.pass_time(10)
        assert there.line.taken == ["t-1", "t-2"]


async def test_a_disk_that_fails_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with office(tmp_path) as there:
        settle, failures = there.queue.settle, [OSError("disk full")]

        async def broken(*given: object) -> None:
            if failures:
                raise failures.pop()
            await settle(*given)  # type: ignore[arg-type]

        there.queue.settle = broken  # type: ignore[method-assign, assignment]
        with caplog.at_level(logging.CRITICAL):
            await there.sender.send(message(0))
            await until(lambda: there.sender.counters["faults"] == 1 and bool(there.clock.timers))
        there.clock.advance(6)
        await until(lambda: there.line.taken == ["t-0", "t-0"])
        await there.idle()
        assert [one.outcome for one in await there.queue.webhooks()] == [Outcome.DELIVERED]


def test_keys_are_not_shown() -> None:
    assert "secret" not in repr(Subscriber("http://x", "secret"))


async def test_an_operator_has_it_tried_again_or_dropped(tmp_path: Path) -> None:
    async with office(tmp_path) as there:
        there.line.down = lambda name: not name.startswith("b")
        for name in ("a", "a2", "b", "c"):
            await there.sender.send(message(0, name))
        await until(lambda: len(there.line.sent) == 7)  # what fails is tried again at once
        await there.idle()
        (failed, *_) = await there.sender.listed(Outcome.WAITING, 9)
        await there.queue.settle(failed, Outcome.GIVEN_UP, "500", 0.0)
        assert await there.sender.counts() == {Outcome.WAITING: 2, Outcome.GIVEN_UP: 1}
        assert await there.sender.drop("c-0", "by mara")
        assert not await there.sender.drop("b-0", "by mara"), "it is delivered"
        there.line.down = lambda _: False
        assert await there.sender.try_again() == 2
        await until(lambda: sorted(there.line.taken) == ["a-0", "a2-0", "b-0"])


async def test_what_is_under_way_is_not_dropped(tmp_path: Path) -> None:
    async with office(tmp_path) as there:
        there.line.held = True
        await there.sender.send(message(0))
        await until(lambda: there.line.under_way == 1)
        assert not await there.sender.drop("t-0", "by mara")
        there.line.held = False
        await until(lambda: there.line.taken == ["t-0"])
