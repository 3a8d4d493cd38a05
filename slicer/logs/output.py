"""Has records written to a stream: the one place where logging is configured."""

import logging
from typing import TextIO

from slicer.logs.lines import JsonLines, TextLines
from slicer.logs.settings import Level, LogFormat, LogSettings

NAME = "slicer"
"""Of the root's handler, so that a second call replaces it."""


def open_log(settings: LogSettings, stream: TextIO, verbose: bool = False) -> None:
    """Write to *stream* from now on, in place of an earlier one. *verbose*: everything of ours.

    Of what others log, SDKs say, warnings alone: below are key ids, signatures and URLs with their
    queries.
    """
    root = logging.getLogger()
    for handler in [one for one in root.handlers if one.name == NAME]:
        root.removeHandler(handler)
    handler = logging.StreamHandler(stream)
    handler.set_name(NAME)
    handler.setFormatter(JsonLines() if settings.format is LogFormat.JSON else TextLines())
    root.addHandler(handler)
    levels = settings.of_modules()
    for name in _logged():
        # A level of an earlier call must not stay.
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name, level in ({"slicer": settings.level} | levels).items():
        logging.getLogger(name).setLevel(level.upper())
    if verbose:
        logging.getLogger("slicer").setLevel(Level.DEBUG.upper())


def _logged() -> list[str]:
    known = logging.getLogger().manager.loggerDict
    return [name for name in known if name == "slicer" or name.startswith("slicer.")]
