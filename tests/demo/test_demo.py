"""The demo, run whole: two anchors by WHIP, lists that change, a table and a contact sheet."""

import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from slicer.demo import demo
from slicer.demo.demo import ANCHORS, DemoOptions
from slicer.demo.progress import PlainProgress
from slicer.errors import BadInput, RoomError
from tests.harness.media.picture import read_frame_number
from tests.harness.media.slices import decode_ogg, read_picture


class Sources(HTMLParser):
    """The files a page shows and plays."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in {"img", "audio"}:
            self.found |= {value for name, value in attributes if name == "src" and value}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The demo's folder and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "slicer", "demo", "--seconds", "12"]
    run = subprocess.run(
        [*command, "--to", str(folder)], capture_output=True, text=True, timeout=150, check=False
    )
    assert run.returncode == 0, run.stderr
    return folder, run.stdout


def test_the_lists_were_in_force_and_changed(shown: tuple[Path, str]) -> None:
    lines = shown[1].splitlines()
    change = next(index for index, line in enumerate(lines) if line.startswith("modified"))
    stored = [(index, line) for index, line in enumerate(lines) if " stored " in line]
    assert all(index > change for index, line in stored if "anchor-amber/images" in line)
    assert any("anchor-amber/images" in line for _, line in stored)
    assert any(index < change for index, line in stored if "anchor-blue/images" in line)
    assert any("- anchor-amber audio" in line for line in lines[change:])
    assert "+ anchor-amber video" in "\n".join(lines[change:])


def test_what_landed_can_be_seen_and_heard(shown: tuple[Path, str]) -> None:
    pictures, sounds = list(shown[0].rglob("*.jpg")), list(shown[0].rglob("*.ogg"))
    assert {path.parts[-3] for path in pictures} == {name for name, _, _ in ANCHORS}
    assert {path.parts[-3] for path in sounds} == {name for name, _, _ in ANCHORS}
    for path in pictures:
        assert read_frame_number(read_picture(path.read_bytes())) is not None, path.name
    lengths = [decode_ogg(path.read_bytes()).shape[0] for path in sounds]
    assert lengths.count(5 * 48_000) >= 2
    assert max(lengths) == 5 * 48_000


def test_the_sheet_shows_every_slice(shown: tuple[Path, str]) -> None:
    sheet = Sources()
    sheet.feed((shown[0] / "contact-sheet.html").read_text(encoding="utf-8"))
    landed = {str(path.relative_to(shown[0])) for path in shown[0].rglob("*.*g")}
    assert {source.removeprefix("./") for source in sheet.found} >= landed
    assert f"{len(landed)} slices landed" in shown[1]
    assert "contact sheet:" in shown[1]


def test_samples_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"anchor-blue\.webm"):
        DemoOptions(tmp_path, tmp_path, 12)


class Nobody:
    """An engine in whose room nobody arrives, or a publisher."""

    anchors = ("anchor-blue",)
    alive = True

    def describe(self, _task: str) -> "Nobody":
        return self

    def is_alive(self) -> bool:
        return self.alive


async def test_why_nobody_is_in_the_room_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "CONNECT_TIMEOUT", -1.0)
    there, shown = Nobody(), PlainProgress(Console(file=StringIO()))
    play = partial(demo.play, there, "t", 12, shown, [there])  # type: ignore[arg-type, list-item]
    with pytest.raises(RoomError, match="1 of 2 anchors are in the room after -1 s: this machine"):
        await play()
    there.alive = False
    with pytest.raises(RoomError, match="could not publish; see the messages above"):
        await play()
