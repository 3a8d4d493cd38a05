"""Every counter of the console has its name and its text."""

from pathlib import Path

from slicer.console.metrics import METRICS
from tests.harness.clock import settle
from tests.harness.console.staged import console


async def test_what_the_console_counts(tmp_path: Path) -> None:
    async with console(tmp_path) as (stage, opened):
        opened.sessions.log_in("wrong", "", "192.0.2.1", 0.0)
        stage.begin("t", "150")
        stage.join("t", "ada")
        await settle()
        told = {one.name: one.value for one in opened.samples()}
        assert told.keys() == METRICS.keys()
        assert (told["console_logins_refused_total"], told["console_tiles"]) == (1, 1)
