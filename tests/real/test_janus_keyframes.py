"""Requests for keyframes as they come to a publisher in a room of Janus that two tasks watch."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from slicer import Engine, SliceParams, SliceStored, TaskSpec, VideoSpec
from tests.harness.network.namespace import own_network
from tests.harness.rooms.janus import EXECUTABLE, janus
from tests.harness.rooms.janus_publisher import ASKED
from tests.harness.rooms.janus_task import ROOM, publisher, url

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no Janus (Debian: janus)")


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    with own_network():
        yield


async def asked_of(process: asyncio.subprocess.Process, count: int) -> list[float]:
    """When the publisher was asked for its next keyframes."""
    assert process.stdout is not None
    asked: list[float] = []
    while len(asked) < count:
        word, _, when = (await process.stdout.readline()).decode().partition(" ")
        if word == ASKED:
            asked.append(float(when))
    return asked


@pytest.mark.parametrize(
    ("seconds", "interval"),
    [pytest.param(1, 1.0, id="flowing"), pytest.param(3, 0.9, id="paused between pictures")],
)
async def test_two_tasks_ask_as_seldom_as_one_may(
    tmp_path: Path, seconds: int, interval: float
) -> None:
    """Janus asks for each who comes, so nothing is said of the beginning."""
    pictures = SliceParams(None, VideoSpec(seconds, 0.0, keyframe_interval=interval), max_idle=60)
    async with janus(tmp_path / "janus") as server, Engine() as engine, asyncio.timeout(60):
        await server.create(ROOM)
        async with publisher("ada", tracks=("video",)) as ada:
            stored = dict[str, int]()
            for user in ("one", "two"):
                to = (tmp_path / user).as_uri()
                task = await engine.create(TaskSpec(url(), to, pictures, user=user))
                async with engine.events(task) as events:
                    async for event in events:
                        if isinstance(event, SliceStored):
                            break
            await asked_of(ada, 3)
            asked = await asked_of(ada, 6)
            for user in ("one", "two"):
                stored[user] = len([*(tmp_path / user).rglob("*.png")])
    gaps = [after - before for before, after in pairwise(asked)]
    assert min(gaps) >= interval / 2, "no two for one picture"
    assert sum(gaps) >= interval * len(gaps) - 0.5
    assert min(stored.values()) >= 3
