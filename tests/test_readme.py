"""What the README promises runs: its commands parse, its program slices."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from slicer.cli import arguments_parser
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


def test_its_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_its_commands_are_understood() -> None:
    console = README.replace("\\\n", " ")
    commands = re.findall(r"^\$ slicer (.+)$", console, re.MULTILINE)
    commands += re.findall(r"`slicer ((?:run|replay|usersig) [^`]+)`", console)
    assert len(commands) >= 3
    for command in commands:
        arguments_parser().parse_args(command.replace("'", "").split())


def test_the_programs_of_all_documents_pass_mypy_strict(tmp_path: Path) -> None:
    """As an embedding program's author would run it: the package is typed, and so are they."""
    found = 0
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for number, program in enumerate(PROGRAM.findall(page.read_text())):
            (tmp_path / f"{page.stem.lower()}_{number}.py").write_text(program)
            found += 1
    assert found >= 3
    options = ["--strict", "--config-file", "pyproject.toml", "--cache-dir", ".mypy_cache"]
    programs = [str(path) for path in sorted(tmp_path.glob("*.py"))]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *programs],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


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
