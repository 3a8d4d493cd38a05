"""Commands are tried in an empty folder, without settings from outside."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("SLICER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
