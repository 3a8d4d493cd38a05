"""A room of Janus in a fleet of processes: the worker that has its robot is killed, the next one is
drained, and the one after that is frozen.

Janus, NATS, the store and the publisher are processes; each worker has a network of its own.
"""

import asyncio
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.harness.fleet.fault_stage import Stage, fault_stage
from tests.harness.network.hub import ADDRESS
from tests.harness.rooms.janus import API_SECRET, EXECUTABLE, PIN, Janus, janus
from tests.harness.rooms.janus_task import ROOM, publisher

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no Janus (Debian: janus)")
PATIENCE = 90.0
URL = f"janus://{ADDRESS}/{ROOM}?api_secret={API_SECRET}&pin={PIN}"
AUDIO, PICTURE = 1, 2


def files(stage: Stage, kind: int) -> list[dict[str, Any]]:
    """The payloads of stored files of a kind, by time."""
    told = [
        one.told["EventInfo"]["Payload"] for one in stage.customer.received if one.event == 1004
    ]
    return sorted((one for one in told if one["MediaType"] == kind), key=lambda f: f["StartTimeMs"])


async def until_seen(stage: Stage, since: float) -> None:
    """Wait until a picture that was taken since then is stored."""
    await stage.customer.until(
        lambda: any(one["StartTimeMs"] > since * 1000 for one in files(stage, PICTURE)), PATIENCE
    )


async def robots(server: Janus) -> list[str]:
    found = await server.admin("listparticipants", ROOM)
    return [one["id"] for one in found["participants"] if one["id"].startswith("robot")]


async def test_a_room_goes_on_with_another_worker(tmp_path: Path) -> None:
    async with (
        fault_stage(tmp_path, 2, 0, servers=1, room=URL) as stage,
        janus(tmp_path / "janus", addresses="127.0.0.,10.77.") as server,
    ):
        await server.create(ROOM)
        async with publisher("ada"):
            task = await stage.create(ROOM, pictures=True)
            await until_seen(stage, 0)
            first = await stage.worker_of(task)
            (other,) = stage.places.keys() - {first}
            killed = time.time()
            await stage.kill(first)
            await until_seen(stage, killed + 1)
            assert await robots(server) == [f"robot-{ROOM}"]
            await stage.start(first)
            ended = time.time()
            await stage.end(other)
            await until_seen(stage, ended + 1)
            assert await robots(server) == [f"robot-{ROOM}"]
            assert await stage.worker_of(task) == first
            await stage.start(other)
            frozen = time.time()
            stage.freeze(first)
            await until_seen(stage, frozen + 1)
            # The old one keeps its id for as long as Janus waits for it; its successor has another.
            old, new = sorted(await robots(server))
            assert old == f"robot-{ROOM}"
            assert new.startswith(f"{old}~")
            assert await stage.worker_of(task) == other
            stage.thaw(first)
            async with asyncio.timeout(PATIENCE):
                while await robots(server) != [new]:
                    await asyncio.sleep(0.2)
        await stage.finish()
        names = [one.headers["x-slicer-message"] for one in stage.customer.received]
        assert len(names) == len(set(names))
        slices = files(stage, AUDIO)
        assert len(slices) >= 2
        for one, after in pairwise(slices):
            assert after["StartTimeMs"] >= one["EndTimeMs"] - 5
        lost = [one.startswith(f"worker {first} is lost") for one in stage.messages()]
        assert sum(lost) == 2, "once killed, once frozen"
        assert not any(one.startswith(f"worker {other} is lost") for one in stage.messages())
