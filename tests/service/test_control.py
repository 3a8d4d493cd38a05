"""The operator's socket: who may reach it, and what it answers to which words."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slicer.engine.task_status import TaskStatus
from slicer.service import control as module
from slicer.service.control import FILE, REGISTRY, TASKS, control, shown
from slicer.service.operations import TaskView
from slicer.slicing.outputs import State
from slicer.slicing.subscription import Subscription

STATUS = TaskStatus("t", State.RUNNING, ("ada",), (), Subscription(), 5, 1, 2)
RUNNING = TaskView("t", 1, "slice", "150", "robot", 0.0, STATUS)
COMING = TaskView("u", 1, "slice", "151", "robot", 0.0, None)


async def asked(folder: Path, words: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(folder / FILE)
    writer.write(words)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer


async def test_tasks_are_told_a_line_each(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("left by a process that was killed")
    async with control(tmp_path, lambda: [RUNNING, COMING]):
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
        first, second = map(json.loads, (await asked(tmp_path, TASKS)).splitlines())
    assert first == shown(RUNNING)
    assert (first["status"], first["anchors"], first["stored"]) == ("running", ["ada"], 5)
    assert datetime.fromisoformat(first["created"]) == datetime.fromtimestamp(0, UTC)
    assert (second["status"], second["anchors"], second["lost"]) == ("waiting", [], 0)
    assert not (tmp_path / FILE).exists()


async def test_the_registry_is_given_with_its_length(tmp_path: Path) -> None:
    async def registry() -> bytes:
        return b"a file\n\0"

    async with control(tmp_path, lambda: [], registry):
        assert await asked(tmp_path, REGISTRY) == b"8\na file\n\0"
    async with control(tmp_path, lambda: []):  # of a fleet: it is no file
        assert await asked(tmp_path, REGISTRY) == b"0\n"


@pytest.mark.parametrize("words", [b"stop\n", b"x" * 200_000 + b"\n"])
async def test_other_words_are_not_answered(words: bytes, tmp_path: Path) -> None:
    async with control(tmp_path, lambda: [RUNNING]):
        try:
            assert await asked(tmp_path, words) == b""
        except ConnectionError:
            assert len(words) > len(REGISTRY), "what was not read is refused"
        assert await asked(tmp_path, TASKS)


async def test_who_says_nothing_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.01)
    async with control(tmp_path, lambda: [RUNNING]):
        assert await asked(tmp_path, b"") == b""


async def test_a_path_too_long_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    async with control(folder, lambda: []):
        assert not (folder / FILE).exists()
    assert "no control socket" in caplog.text
