"""Levels of modules: what is taken, and what a mistake is told."""

import pytest

from slicer.errors import BadInput
from slicer.logs.settings import Level, LogSettings


def test_levels_of_modules() -> None:
    settings = LogSettings(levels=("api=debug", "slicer.rooms.whip = error"))
    assert settings.of_modules() == {"slicer.api": Level.DEBUG, "slicer.rooms.whip": Level.ERROR}


@pytest.mark.parametrize("text", ["api", "api=", "=debug", "api=loud"])
def test_a_mistake(text: str) -> None:
    allowed = "allowed: MODULE=LEVEL, the level debug, info, warning or error"
    with pytest.raises(BadInput, match=f"log.levels: got '{text}'; {allowed}"):
        LogSettings(levels=(text,))
