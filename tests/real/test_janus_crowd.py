"""Ten publishers of a room of Janus: seven come and go, one is killed, one frozen, one kicked.
Their slices are whole, each end is told once, and nothing is left of who has gone.
"""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from slicer import AnchorLeft, AnchorTrouble, Kind, Settings
from slicer.rooms.janus import room as room_module
from slicer.rooms.janus.settings import JanusSettings
from tests.harness.descriptors import descriptors
from tests.harness.network.namespace import own_network
from tests.harness.rooms.janus import EXECUTABLE, janus
from tests.harness.rooms.janus_task import ROOM, Watched, both, publisher, watching

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no Janus (Debian: janus)")
SECONDS = float(os.environ.get("JANUS_CROWD_SECONDS", "15"))
SILENCE, SESSION_TIMEOUT = 5.0, 20
NAMES = [f"guest{number}" for number in range(7)]


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    with own_network():
        yield


def left(watched: Watched) -> Counter[str]:
    return Counter(one.anchor for one in watched.told if isinstance(one, AnchorLeft))


async def crowd() -> asyncio.subprocess.Process:
    program = ("-m", "tests.harness.rooms.janus_crowd", ROOM, str(SECONDS), *NAMES)
    return await asyncio.create_subprocess_exec(
        sys.executable, *program, stdout=asyncio.subprocess.PIPE
    )


def hold_slices(watched: Watched, name: str, stays: int) -> None:
    """All of a second but the last of each stay, and one after the other."""
    told = sorted((one.slice for one in watched.stored(name, Kind.AUDIO)), key=lambda s: s.began)
    short = [one for one in told if abs(one.seconds - 1) > 1e-3]
    assert len(short) <= stays
    assert len(told) > 2 * stays
    for one, following in pairwise(told):
        if one not in short:
            assert (following.began - one.began).total_seconds() > 0.9


async def test_ten_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "LOOK", 0.5)
    settings = Settings(janus=JanusSettings(silence=SILENCE))
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            janus(tmp_path / "janus", session_timeout=SESSION_TIMEOUT)
        )
        await server.create(ROOM)
        watched = await stack.enter_async_context(watching(tmp_path, settings=settings))
        tasks, open_files = len(asyncio.all_tasks()), descriptors()
        three = {
            name: await stack.enter_async_context(publisher(name))
            for name in ("killed", "frozen", "kicked")
        }
        await watched.until(lambda: all(both(watched, name) for name in three))
        guests = await crowd()
        three["killed"].send_signal(signal.SIGKILL)
        three["frozen"].send_signal(signal.SIGSTOP)
        await server.admin("kick", ROOM, id="kicked")
        said, _ = await guests.communicate()
        stays = json.loads(said) | dict.fromkeys(three, 1)
        await watched.until(lambda: left(watched) == stays, SESSION_TIMEOUT + 20)
        told = [one.anchor for one in watched.told if isinstance(one, AnchorTrouble)]
        assert told == ["frozen"]
        for name in NAMES:
            hold_slices(watched, name, stays[name])
        for process in three.values():
            if process.returncode is None:
                process.kill()
            await process.wait()
        connector = watched.engine.connector("janus")
        await watched.until(lambda: connector.connections == 0)
        await watched.until(lambda: len(asyncio.all_tasks()) <= tasks)
        await watched.until(lambda: descriptors() <= open_files)
        assert watched.engine.describe(watched.task).anchors == ()
        watched.engine.delete(watched.task)
        assert (await watched.engine.finished(watched.task)).lost == 0
