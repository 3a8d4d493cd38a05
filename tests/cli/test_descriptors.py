"""The limit of descriptors is raised, or the start is refused with the numbers."""

import resource
from pathlib import Path

import pytest

from slicer.cli import main
from slicer.cli.descriptors import LEAST, MOST, raise_limit
from slicer.cli.exits import BAD_INPUT

NO_LIMIT = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "after"),
    [
        (1024, 4096, 4096),
        (1024, 1_048_576, MOST),
        (64, NO_LIMIT, MOST),
        (4096, 4096, None),
        (200_000, 200_000, None),
        (NO_LIMIT, NO_LIMIT, None),
    ],
)
def test_it_is_raised(
    soft: int, hard: int, after: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    assert raise_limit() == (soft, after or soft)
    assert limits == ([] if after is None else [(after, hard)])


@pytest.mark.parametrize(
    "command", [["run", "whip://127.0.0.1:1/l", "--to", "out"], ["serve", "--config", "a.toml"]]
)
def test_too_few_are_refused_at_the_start(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "a.toml").touch()  # what it logs, and how, is read before
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, LEAST - 1))
    assert main(command) == BAD_INPUT
    assert f"file descriptors: got {LEAST - 1}; allowed: at least {LEAST}" in (
        capsys.readouterr().err
    )
