"""What is written, and what is not: levels of ours, of one module, and of others."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from slicer.logs.output import NAME, open_log
from slicer.logs.settings import Level, LogFormat, LogSettings


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    root = logging.getLogger()
    for handler in [one for one in root.handlers if one.name == NAME]:
        root.removeHandler(handler)
    for name in ("slicer", "slicer.api", "slicer.api.app"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def said(settings: LogSettings, verbose: bool = False) -> list[str]:
    """The messages that are written, of a line of each level by each of three loggers."""
    stream = io.StringIO()
    open_log(settings, stream, verbose)
    for name in ("slicer.api.app", "slicer.engine", "vendor.sdk"):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING):
            logging.getLogger(name).log(level, "%s %s", name, logging.getLevelName(level))
    return [json.loads(line)["message"] for line in stream.getvalue().splitlines()]


JSON = LogFormat.JSON
OTHERS = ["vendor.sdk WARNING"]
API, ENGINE = (
    [f"{name} {level}" for level in ("DEBUG", "INFO", "WARNING")]
    for name in ("slicer.api.app", "slicer.engine")
)


def test_levels() -> None:
    assert said(LogSettings(JSON)) == [*API[1:], *ENGINE[1:], *OTHERS]
    assert said(LogSettings(JSON, Level.WARNING)) == [*API[2:], *ENGINE[2:], *OTHERS]
    assert said(LogSettings(JSON), verbose=True) == [*API, *ENGINE, *OTHERS]


def test_a_level_of_one_module_alone_and_not_for_ever() -> None:
    chosen = LogSettings(JSON, Level.WARNING, ("api=debug",))
    assert said(chosen) == [*API, *ENGINE[2:], *OTHERS]
    assert said(LogSettings(JSON, Level.WARNING)) == [*API[2:], *ENGINE[2:], *OTHERS]


def test_text_is_the_default() -> None:
    stream = io.StringIO()
    open_log(LogSettings(), stream)
    logging.getLogger("slicer.api.app").info("hello")
    assert stream.getvalue().endswith(" INFO    api.app: hello\n")
