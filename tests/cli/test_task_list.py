"""slicer tasks against a service at work, and where none is."""

import asyncio
import json
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from slicer.cli import main
from slicer.cli.exits import BAD_INPUT, STORED
from slicer.cli.task_list import table
from slicer.service.serving import serving
from slicer.service.settings import ServiceSettings
from tests.harness.service.orders import SECRETS, slice_order

FILE = """
[[apps]]
sdk_app_id = 1
rooms = [{ pattern = "*", url = "whip://127.0.0.1:0/{room}" }]
"""


async def test_tasks_of_a_service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "slicer.toml").write_text(FILE)
    settings = ServiceSettings.load(tmp_path / "slicer.toml", {})
    async with serving(settings) as service:
        assert await asyncio.to_thread(main, ["tasks"]) == STORED
        assert capsys.readouterr().out == "0 tasks\n"
        task = await service.create(settings.apps[0], slice_order())
        assert await asyncio.to_thread(main, ["tasks", "--json"]) == STORED
        told = capsys.readouterr().out
        assert json.loads(told)["task"] == task
        assert not any(secret in told for secret in SECRETS)
        assert await asyncio.to_thread(main, ["tasks", "--config", "slicer.toml"]) == STORED
        shown = capsys.readouterr().out
        assert shown.endswith("1 task\n")
        assert "robot" in shown


def test_where_no_service_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks"]) == BAD_INPUT
    assert (
        "serve.state: got 'slicer-state'; allowed: the state folder of a service that runs "
        "(No such file or directory): start one with `slicer serve`"
    ) in capsys.readouterr().err


def test_no_id_is_obeyed_by_a_terminal() -> None:
    task = dict.fromkeys(("task", "status", "stored", "pending", "lost", "user"), "1")
    console = Console(width=80, file=None)
    with console.capture() as captured:
        console.print(table([task | {"room": "\x1b[31mred\n9", "anchors": []}]))
    assert r"\x1b[31mred\n9" in captured.get()
    assert "\x1b" not in captured.get()


@pytest.mark.parametrize("letter", ["R", "会", "\U0001f3a4"])
def test_ids_are_whole_at_60_columns(letter: str) -> None:
    task = dict.fromkeys(("status", "stored", "pending", "lost"), "1")
    row = task | {"task": "T" * 32, "room": letter * 64, "user": "U" * 32, "anchors": ["ada", "bo"]}
    console = Console(width=60, record=True, quiet=False, file=None)
    with console.capture() as captured:
        console.print(table([row]))
    text = captured.get()
    assert [text.count(one) for one in ("T", letter, "U")] == [32, 64, 32]
    assert all(cell_len(line) <= 60 for line in text.splitlines())
