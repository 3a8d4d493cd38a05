"""What all commands take."""

import argparse
from pathlib import Path

import pytest

from slicer.cli.options import add_common, add_plain, settings_of
from slicer.errors import BadInput


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_common(parser)
    add_plain(parser)
    return parser.parse_args(arguments)


def test_settings_come_from_the_file_and_the_environment_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s.toml").write_text("[slicing]\naudio = 20\nvideo = 7\n")
    monkeypatch.setenv("SLICER_SLICING_VIDEO", "9")
    settings = settings_of(options("--config", str(tmp_path / "s.toml")))
    assert (settings.slicing.audio, settings.slicing.video) == (20, 9)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(BadInput, match=r"nowhere\.toml"):
        settings_of(options("--config", "nowhere.toml"))


def test_defaults() -> None:
    chosen = options()
    assert (chosen.config, chosen.verbose, chosen.plain) == (None, False, False)
