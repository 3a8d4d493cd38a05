"""Whether there is a console, with which token; that it watches, and that it closes."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from slicer.console import open_console
from slicer.console.media import identity_of
from slicer.console.token import FILE
from slicer.engine.events import TrackStarted
from slicer.rtp.parameters import Kind
from slicer.service.audit import Audit
from slicer.service.operations import Operations
from slicer.service.settings import ConsoleSettings
from tests.harness.clock import settle
from tests.harness.console.staged import TOKEN, Stage, console


@pytest.mark.parametrize(
    ("settings", "loopback", "source"),
    [
        (ConsoleSettings(), True, FILE),
        (ConsoleSettings(token=TOKEN), True, "console.token"),
        (ConsoleSettings(token=TOKEN), False, "console.token"),
        (ConsoleSettings(), False, None),
        (ConsoleSettings(enabled=False, token=TOKEN), True, None),
    ],
)
async def test_where_there_is_one(
    settings: ConsoleSettings, loopback: bool, source: str | None, tmp_path: Path
) -> None:
    stage = Stage(tmp_path)
    stage.audit = await Audit.open(tmp_path)
    opened = await open_console(settings, cast(Operations, stage), loopback)
    assert (opened is None) == (source is None)
    assert (tmp_path / FILE).exists() == (source == FILE), "no token is made for nobody"
    if opened is not None:
        assert source
        assert opened.token_source.endswith(source)
        assert TOKEN not in opened.token_source
        await opened.close()
    await stage.audit.close()


async def test_it_watches_until_it_closes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console(tmp_path) as (stage, opened):
        stage.begin("t", "150")
        stage.join("t", "ada", Kind.VIDEO)
        await settle()
        info = stage.make("t", "ada", b"picture")
        tile = opened.observer.wall.find("t", "ada")
        assert tile
        assert tile.picture == identity_of(info.key)

        def fail(_: TrackStarted) -> None:
            raise ValueError("a fault")

        with monkeypatch.context() as patched:
            patched.setattr(opened.observer, "on_event", fail)
            stage.join("t", "bo")
            await settle()
        stage.join("t", "cy")
        await settle()
        assert opened.observer.wall.find("t", "cy"), "a fault ends nothing"
        await opened.close()
    assert "cannot show TrackStarted" in caplog.text
    assert stage.watcher is None
    assert stage.stream.closed
    await asyncio.sleep(0)
