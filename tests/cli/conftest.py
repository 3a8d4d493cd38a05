"""Commands are tried in an empty folder, without settings from outside, and log for themselves."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("SLICER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    ours = logging.getLogger("slicer")
    handlers, level = logging.getLogger().handlers[:], ours.level
    yield
    logging.getLogger().handlers[:] = handlers
    ours.setLevel(level)
