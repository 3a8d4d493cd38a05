"""slicer callbacks: what is shown of messages, and which are sent again."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slicer.cli import main
from slicer.cli.exits import STORED
from slicer.service.leave_code import LeaveCode
from slicer.service.messages import Group, Origin
from slicer.webhooks.queue import Outcome, WebhookQueue

AT = datetime(2025, 1, 6, 14, 31, 43, tzinfo=UTC)
ORIGIN = Origin(1400000001, "task-1", Group.SLICE, "150", 1, "robot")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    async def fill() -> None:
        queue = await WebhookQueue.open(tmp_path / "slicer-state")
        await queue.add(ORIGIN.started(AT), 1_000.0)
        await queue.add(ORIGIN.left(AT, LeaveCode.STOPPED), 1_001.0)
        (first,) = await queue.due(2_000.0, 8)
        await queue.settle(first, Outcome.GIVEN_UP, "\x1b[2JHTTP 500", 2_000.0)
        await queue.close()

    (tmp_path / "slicer-state").mkdir(mode=0o700)
    asyncio.run(fill())
    return tmp_path


@pytest.mark.usefixtures("state")
def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["callbacks", "list"]) == STORED
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "given-up" in lines[0]
    assert "1001  task-1" in lines[0]
    assert lines[0].endswith(r"  \x1b[2JHTTP 500"), "a subscriber's words are not obeyed"
    assert "waiting" in lines[1]
    assert main(["callbacks", "list", "--outcome", "delivered"]) == STORED
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("state")
def test_resend(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["callbacks", "resend", "--task", "another"]) == STORED
    assert capsys.readouterr().out == "0 callbacks will be sent again\n"
    assert main(["callbacks", "resend", "--task", "task-1"]) == STORED
    assert capsys.readouterr().out == "1 callback will be sent again\n"
    assert main(["callbacks", "list", "--outcome", "given-up"]) == STORED
    assert capsys.readouterr().out == ""
