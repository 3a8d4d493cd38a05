"""Ten tasks with anchors in their rooms; the service is killed in the middle and started again.

Everything is real: the process, WHIP publishers, the store, the receiver of callbacks.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.harness.rooms.whip_muxer import muxers
from tests.harness.service.customer import CALLBACK_KEY, configuration
from tests.harness.service.service import BUCKET, ROOMS, service
from tests.harness.service.webhook_receiver import Received, Receiver, receiver
from tests.harness.storage.seaweed import WRITER, Seaweed, free_ports

SAMPLE = Path(__file__).parents[2] / "samples" / "anchor-amber.mp4"
TASKS = 10
PATIENCE = 60.0


@dataclass(frozen=True)
class Story:
    """What came of it. *before* and *after*: the tasks of the two lives; *killed*: when (ms)."""

    before: list[str]
    after: list[str]
    killed: int
    customer: Receiver
    folder: Path

    def told(self, task: str) -> list[Received]:
        """What was told of a task, in the order of arrival; what came twice, once."""
        first: dict[str, Received] = {}
        for request in self.customer.received:
            if request.task == task:
                first.setdefault(request.headers["x-slicer-message"], request)
        return list(first.values())

    def files(self, task: str) -> list[dict[str, Any]]:
        """The payloads of stored files."""
        return [
            request.told["EventInfo"]["Payload"]
            for request in self.told(task)
            if request.event == 1004
        ]


def anchors(port: int) -> AbstractAsyncContextManager[None]:
    """One publisher in each room."""
    urls = (f"http://127.0.0.1:{port}/whip/{room}/anchor-{room}" for room in range(1, ROOMS + 1))
    return muxers(urls, SAMPLE)


def each_has_files(customer: Receiver, since: int = 0) -> Callable[[], bool]:
    """Whether all tasks were told of a file that began later."""

    def done() -> bool:
        found: defaultdict[str, set[int]] = defaultdict(set)
        for request in customer.received:
            payload = request.told["EventInfo"]["Payload"]
            if request.event == 1004 and payload["StartTimeMs"] > since:
                found[request.task].add(payload["MediaType"])
        return len(found) == TASKS and all(1 in kinds for kinds in found.values())

    return done


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(seaweed: Seaweed, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Story]:
    folder = tmp_path_factory.mktemp("restart")
    seaweed.make_bucket(BUCKET)
    (port,) = free_ports(1)
    async with receiver(CALLBACK_KEY) as customer:
        config = folder / "slicer.toml"
        config.write_text(configuration(port, customer.url, folder, seaweed.endpoint))
        async with service(config, TASKS, folder / "log", WRITER) as first, anchors(port):
            await customer.until(each_has_files(customer), PATIENCE)
            await first.kill()
            killed = round(time.time() * 1000)
        async with service(config, TASKS, folder / "log", WRITER) as second:
            async with anchors(port):
                await customer.until(each_has_files(customer, killed), PATIENCE)
                await second.say()
                await customer.until(
                    lambda: sum(one.event == 1005 for one in customer.received) >= TASKS, PATIENCE
                )
            await second.say()
            assert await asyncio.wait_for(second.process.wait(), 30) == 0
        yield Story(first.tasks, second.tasks, killed, customer, folder)


def test_all_ten_go_on_under_their_ids(story: Story) -> None:
    assert len(story.before) == TASKS
    assert sorted(story.after) == sorted(story.before)
    for task in story.before:
        starts = [file["StartTimeMs"] for file in story.files(task)]
        assert min(starts) < story.killed < max(starts)


def test_callbacks_are_signed_and_in_order(story: Story) -> None:
    assert all(request.signed for request in story.customer.received)
    for task in story.before:
        events = [request.event for request in story.told(task) if request.event != 1006]
        assert events[:2] == [1001, 1003]
        assert events[-1] == 1005
        assert sorted({*events}) == [1001, 1002, 1003, 1004, 1005]
        assert [events.count(once) for once in (1001, 1002, 1003, 1005)] == [1, 1, 1, 1]


def test_every_file_that_was_told_is_there(story: Story, seaweed: Seaweed) -> None:
    keys = set(seaweed.keys(BUCKET))
    for task in story.before:
        for file in story.files(task):
            assert (file["Bucket"], file["Region"], file["Vendor"]) == (BUCKET, "us-east-1", 1)
            assert file["FileName"] in keys
        file = story.files(task)[0]
        assert len(seaweed.read(BUCKET, file["FileName"])[0]) == file["Size"]


def test_every_file_that_is_there_was_told(story: Story, seaweed: Seaweed) -> None:
    told = {file["FileName"] for task in story.before for file in story.files(task)}
    theirs = tuple(f"/{task}/anchor-" for task in story.before)  # others' tests use the bucket, too
    assert {key for key in seaweed.keys(BUCKET) if any(one in key for one in theirs)} == told


def test_changed_lists_come_back(story: Story) -> None:
    pictures = dict.fromkeys(story.before, 0)
    for task in story.before:
        for file in story.files(task):
            if file["MediaType"] == 2 and file["StartTimeMs"] > story.killed:
                pictures[task] += file["FileName"].split("/")[2] == "anchor-1"
    blocked, *others = story.before
    assert pictures[blocked] == 0
    assert sum(bool(pictures[task]) for task in others) >= TASKS // ROOMS - 1


def test_no_secret_is_left_anywhere(story: Story) -> None:
    secrets = (
        WRITER.secret_key,
        CALLBACK_KEY,
        (story.folder / "state" / "key").read_text().strip(),
    )
    written = [story.folder / "log", *(story.folder / "state").glob("*.db*")]
    written += [path for path in (story.folder / "spool").rglob("*") if path.is_file()]
    for path in written:
        data = path.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in data], path.name
    assert b"robot-0" in (story.folder / "state" / "tasks.db").read_bytes()
