"""Webhooks on disk: the order of a line, lines apart, bounds, listing, sending again."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slicer.webhooks import queue as module
from slicer.webhooks.queue import Outcome, QueuedWebhook, Webhook, WebhookQueue


def message(number: int, task: str = "t", app: int = 1) -> Webhook:
    return Webhook(f"{task}-{number}", app, task, 1004, f'{{"n":{number}}}')


def ids(webhooks: list[QueuedWebhook]) -> list[str]:
    return [queued.webhook.id for queued in webhooks]


@pytest_asyncio.fixture
async def box(tmp_path: Path) -> AsyncIterator[WebhookQueue]:
    opened = await WebhookQueue.open(tmp_path)
    yield opened
    await opened.close()


async def test_only_the_first_of_a_task_is_due(box: WebhookQueue) -> None:
    for number in range(3):
        assert await box.add(message(number), 100.0)
    (first,) = await box.due(100.0, 8)
    assert first == QueuedWebhook(1, message(0), 100.0, 0, 100.0, Outcome.WAITING, "")
    assert await box.due(99.9, 8) == []
    await box.postpone(first, 110.0, "500")
    assert await box.due(109.0, 8) == []
    assert await box.next_due(100.0) == 110.0
    (again,) = await box.due(110.0, 8)
    assert (again.webhook.id, again.tries, again.detail) == ("t-0", 1, "500")
    await box.settle(again, Outcome.DELIVERED, "200", 111.0)
    assert ids(await box.due(111.0, 8)) == ["t-1"]


async def test_a_message_given_up_lets_the_next_one_go(box: WebhookQueue) -> None:
    for number in range(2):
        await box.add(message(number), 100.0)
    (first,) = await box.due(100.0, 8)
    await box.settle(first, Outcome.GIVEN_UP, "refused", 500.0)
    (second,) = await box.due(500.0, 8)
    assert (second.webhook.id, second.since, second.due) == ("t-1", 100.0, 500.0)
    await box.settle(second, Outcome.DELIVERED, "200", 500.0)
    assert await box.due(1e9, 8) == []
    assert await box.next_due(0.0) is None


async def test_tasks_and_apps_do_not_wait_for_each_other(box: WebhookQueue) -> None:
    for number in range(10):
        await box.add(message(0, f"a{number}"), float(number))
    await box.add(message(0, "b", app=2), 50.0)
    assert ids(await box.due(60.0, 3)) == ["a0-0", "a1-0", "a2-0", "b-0"]


async def test_what_is_under_way_counts_and_is_not_given_again(box: WebhookQueue) -> None:
    for number in range(6):
        await box.add(message(0, f"a{number}"), float(number))
    await box.add(message(0, "b", app=2), 50.0)
    first = await box.due(60.0, 4)
    assert ids(await box.due(60.0, 4, first)) == []
    assert ids(await box.due(60.0, 4, first[1:4])) == ["a0-0", "b-0"]
    assert ids(await box.due(60.0, 5, first)) == ["a4-0"]


async def test_the_same_id_is_kept_once(box: WebhookQueue) -> None:
    assert await box.add(message(0), 1.0)
    assert await box.add(message(0), 2.0)
    (only,) = await box.webhooks()
    assert only.since == 1.0
    await box.settle(only, Outcome.DELIVERED, "200", 3.0)
    assert await box.add(message(0), 4.0)
    assert await box.due(9.0, 8) == []


async def test_the_bound(tmp_path: Path) -> None:
    box = await WebhookQueue.open(tmp_path, bound=2)
    assert [await box.add(message(n), 1.0) for n in range(4)] == [True, True, False, False]
    (first,) = await box.due(1.0, 8)
    await box.settle(first, Outcome.DELIVERED, "", 2.0)
    assert [await box.add(message(n), 3.0) for n in range(5, 7)] == [True, False]
    assert ids(await box.webhooks()) == ["t-0", "t-1", "t-5"]
    await box.close()


async def test_it_is_there_after_a_restart(tmp_path: Path) -> None:
    box = await WebhookQueue.open(tmp_path)
    for number in range(3):
        await box.add(message(number), 1.0)
    (first,) = await box.due(1.0, 8)
    await box.settle(first, Outcome.DELIVERED, "200", 1.0)
    await box.close()
    again = await WebhookQueue.open(tmp_path)
    assert ids(await again.due(1.0, 8)) == ["t-1"]
    assert [webhook.outcome for webhook in await again.webhooks()] == [
        Outcome.DELIVERED, Outcome.WAITING, Outcome.WAITING,
    ]  # fmt: skip
    await again.close()


async def test_lists(box: WebhookQueue) -> None:
    for number in range(3):
        await box.add(message(number, "a"), 1.0)
        await box.add(message(number, "b"), 1.0)
    (first, _) = await box.due(1.0, 8)
    await box.settle(first, Outcome.GIVEN_UP, "x" * 1000, 1.0)
    assert ids(await box.webhooks(Outcome.GIVEN_UP)) == ["a-0"]
    assert ids(await box.webhooks(line="a")) == ["a-0", "a-1", "a-2"]
    assert ids(await box.webhooks(Outcome.WAITING, "b", limit=2)) == ["b-1", "b-2"]
    assert len((await box.webhooks(Outcome.GIVEN_UP))[0].detail) == module.MAX_DETAIL


async def test_sent_again_behind_the_line(box: WebhookQueue) -> None:
    for number in range(3):
        await box.add(message(number), 1.0)
    for outcome in (Outcome.GIVEN_UP, Outcome.DELIVERED):
        (head,) = await box.due(1.0, 8)
        await box.settle(head, outcome, "", 1.0)
    assert await box.resend(700.0, Outcome.GIVEN_UP) == 1
    assert ids(await box.due(700.0, 8)) == ["t-2"]
    (head,) = await box.due(700.0, 8)
    await box.settle(head, Outcome.DELIVERED, "", 701.0)
    (again,) = await box.due(701.0, 8)
    assert (again.webhook, again.since, again.tries) == (message(0), 700.0, 0)


async def test_sent_again_by_task_and_by_id(box: WebhookQueue) -> None:
    for task in "ab":
        await box.add(message(0, task), 1.0)
    for head in await box.due(1.0, 8):
        await box.settle(head, Outcome.DELIVERED, "", 1.0)
    assert await box.resend(2.0, Outcome.GIVEN_UP) == 0
    assert await box.resend(2.0, Outcome.DELIVERED, webhook="nobody") == 0
    assert await box.resend(2.0, Outcome.DELIVERED, line="b") == 1
    assert await box.resend(2.0, Outcome.DELIVERED, webhook="a-0") == 1
    assert ids(await box.due(2.0, 8)) == ["b-0", "a-0"]


async def test_another_process_may_send_again(tmp_path: Path, box: WebhookQueue) -> None:
    await box.add(message(0), 1.0)
    (head,) = await box.due(1.0, 8)
    await box.settle(head, Outcome.GIVEN_UP, "", 1.0)
    other = await WebhookQueue.open(tmp_path)
    assert await other.resend(5.0, Outcome.GIVEN_UP) == 1
    await other.close()
    assert ids(await box.due(5.0, 8)) == ["t-0"]


async def test_what_is_settled_is_kept_up_to_a_bound(
    box: WebhookQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SETTLED", 10)
    monkeypatch.setattr(module, "_PRUNE_EVERY", 20)
    await box.add(message(0, "waits"), 1.0)
    for number in range(1, 40):
        await box.add(message(number, f"t{number}"), 1.0)
        webhook = (await box.webhooks(limit=1))[0]
        await box.settle(webhook, Outcome.DELIVERED, "", 1.0)
    with sqlite3.connect(tmp_path / module.FILE) as file:
        (count,) = file.execute("SELECT count(*) FROM webhook").fetchone()
    file.close()
    assert count <= 31
    assert ids(await box.webhooks(Outcome.WAITING)) == ["waits-0"]


# A file as version 1 wrote it: one settled, one due, one of another subscriber that failed.
VERSION_1 = """
CREATE TABLE message (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  app INTEGER NOT NULL,
  task TEXT NOT NULL,
  grp INTEGER NOT NULL,
  event INTEGER NOT NULL,
  info TEXT NOT NULL,
  since REAL NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  due REAL,
  state INTEGER NOT NULL DEFAULT 0,
  said TEXT NOT NULL DEFAULT ''
);
INSERT INTO "message" VALUES(1,'t1.1001',200806,'t1',10,1001,'{"n":1}',1000.0,1,NULL,1,'200');
INSERT INTO "message" VALUES(2,'t1.1002',200806,'t1',10,1002,'{"n":2}',1000.0,0,1001.0,0,'');
INSERT INTO "message" VALUES(3,'t2.1101',200807,'t2',11,1101,'{"n":3}',1000.0,1,1011.0,0,'500');
CREATE INDEX heads ON message (app, due) WHERE due IS NOT NULL;
CREATE INDEX lines ON message (task, seq) WHERE state = 0;
CREATE INDEX settled ON message (seq) WHERE state > 0;
PRAGMA application_id = 1397506882;
PRAGMA user_version = 1;
"""


async def test_a_file_of_version_1_loses_nothing(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / module.FILE)
    old.executescript(VERSION_1)
    old.close()
    box = await WebhookQueue.open(tmp_path)
    assert await box.webhooks() == [
        QueuedWebhook(
            1, Webhook("t1.1001", 200806, "t1", 1001, '{"n":1}'),
            1000.0, 1, None, Outcome.DELIVERED, "200",
        ),
        QueuedWebhook(
            2, Webhook("t1.1002", 200806, "t1", 1002, '{"n":2}'),
            1000.0, 0, 1001.0, Outcome.WAITING, "",
        ),
        QueuedWebhook(
            3, Webhook("t2.1101", 200807, "t2", 1101, '{"n":3}'),
            1000.0, 1, 1011.0, Outcome.WAITING, "500",
        ),
    ]  # fmt: skip
    assert ids(await box.due(1011.0, 8)) == ["t1.1002", "t2.1101"]
    assert await box.add(Webhook("t1.1005", 200806, "t1", 1005, "{}"), 1012.0)
    await box.close()
    again = await WebhookQueue.open(tmp_path)
    assert len(await again.webhooks()) == 4
    await again.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("abc")),
        st.tuples(st.sampled_from(["deliver", "fail", "give up", "resend"]), st.just("")),
    ),
    max_size=40,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
async def test_one_due_for_each_task_that_waits(steps: list[tuple[str, str]]) -> None:
    with TemporaryDirectory() as folder:
        box = await WebhookQueue.open(Path(folder))
        for number, (verb, task) in enumerate(steps):
            now = float(number)
            heads = await box.due(now, 100)
            if verb == "add":
                await box.add(message(number, task), now)
            elif verb == "resend":
                await box.resend(now, Outcome.GIVEN_UP)
            elif heads and verb == "fail":
                await box.postpone(heads[0], now, "")
            elif heads:
                outcome = Outcome.DELIVERED if verb == "deliver" else Outcome.GIVEN_UP
                await box.settle(heads[0], outcome, "", now)
            waiting = await box.webhooks(Outcome.WAITING)
            firsts = {one.webhook.line: one.seq for one in reversed(waiting)}
            assert {one.webhook.line: one.seq for one in waiting if one.due is not None} == firsts
        await box.close()


async def test_what_waits_is_counted_hurried_and_dropped(box: WebhookQueue) -> None:
    for number in range(2):
        await box.add(message(number), 100.0)
    await box.add(message(0, "u"), 100.0)
    (first, other) = await box.due(100.0, 8)
    await box.postpone(first, 900.0, "500")
    await box.settle(other, Outcome.GIVEN_UP, "500", 101.0)
    assert await box.counts() == {Outcome.WAITING: 2, Outcome.GIVEN_UP: 1}
    assert await box.hurry(102.0) == 1
    assert ids(await box.due(102.0, 8)) == ["t-0"]
    assert await box.drop("t-0", "dropped", 103.0)
    assert ids(await box.due(103.0, 8)) == ["t-1"], "those behind it go on"
    assert not await box.drop("t-0", "dropped", 103.0)
    assert not await box.drop("unknown", "dropped", 103.0)
    (dropped,) = await box.webhooks(Outcome.DROPPED)
    assert dropped.detail == "dropped"
