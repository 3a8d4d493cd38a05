"""What the README promises runs: its first lines, its targets, its program."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from slicer.service.settings import ServiceSettings
from tests.harness.rooms.replay import talk

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROGRAM = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_it_runs_within_25_lines() -> None:
    head = README.splitlines()[:25]
    assert any("make demo" in line for line in head)
    assert any("make test" in line for line in head)


def test_its_targets_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("file", sorted((ROOT / "samples").glob("*.toml")), ids=lambda f: f.name)
def test_the_sample_settings_are_right_as_they_are(file: Path) -> None:
    ServiceSettings.load(file, {})


def test_its_program_slices(tmp_path: Path) -> None:
    program = PROGRAM.search(README)
    assert program is not None
    text = program[1].replace(
        "whip://127.0.0.1:8080/lobby", talk(tmp_path / "speaker_1.rtpdump", 31)
    )
    text = text.replace("file:///tmp/slices", (tmp_path / "out").as_uri())
    run = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("SliceStored") == 3
    assert "TaskFinished" in run.stdout
    assert len(list((tmp_path / "out").rglob("*.ogg"))) == 3
