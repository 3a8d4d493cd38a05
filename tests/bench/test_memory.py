"""What slices and stays leave behind: no objects, also where nothing collects garbage."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from bench import memory
from slicer import Engine

LENGTH, TASKS = 20, 3


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with Engine() as engine:
        yield engine


async def test_slices_leave_nothing(engine: Engine, tmp_path: Path) -> None:
    replays = memory.Replays(engine, tmp_path, LENGTH)
    await replays.slices(1)
    grown = await memory.grown(partial(replays.slices, TASKS))
    assert grown.count >= TASKS * 2 * (LENGTH - 1)
    # Its last event is kept of each task (`engine.MAX_ENDED`), and nothing of a slice.
    assert grown.kept.objects - grown.before.objects == TASKS
    assert "each leaves" in grown.words


async def test_stays_leave_nothing(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "ABREAST", 4)
    room = memory.Stays(engine, tmp_path)
    await room.open()
    await room.stays(4)
    grown = await memory.grown(partial(room.stays, 8))
    await room.close()
    assert grown.count == 8
    assert grown.left.objects == grown.before.objects
