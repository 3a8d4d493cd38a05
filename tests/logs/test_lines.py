"""A record is one line, whatever an anchor is called; JSON has what it is about."""

import json
import logging
import sys

from slicer.logs import FIELDS
from slicer.logs.lines import JsonLines, TextLines, escaped


def record(text: str, *args: object) -> logging.LogRecord:
    made = logging.LogRecord("slicer.engine.running", logging.WARNING, "x.py", 1, text, args, None)
    made.created = 1_736_173_903.25
    return made


def failed() -> logging.LogRecord:
    made = record("it broke")
    try:
        int("planted")
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


def test_a_line_for_people() -> None:
    line = TextLines().format(record("! task %s: %s", "t1", "full"))
    assert line == "2025-01-06 14:31:43 WARNING engine.running: ! task t1: full"


def test_an_id_forges_no_line() -> None:
    line = TextLines().format(record("%s left", "eve\n2025-01-06 ERROR all is lost\x1b[2J\u2028"))
    assert line.endswith(r"eve\n2025-01-06 ERROR all is lost\x1b[2J\u2028 left")
    assert escaped("ünïcode 房间") == "ünïcode 房间"
    assert escaped("lone \ud800, \udcff").encode() == rb"lone \ud800, \udcff"
    assert escaped("eve \u202etfel\u2069") == r"eve \u202etfel\u2069", "it reads from the left"
    assert escaped("eve\u061c") == r"eve\u061c"
    told = JsonLines().format(record("%s left", "eve\n\x1b"))
    assert told.isascii()
    assert told.isprintable()


def test_a_line_for_machines() -> None:
    made = record("! task %s", "t1")
    about = dict(zip(FIELDS, ("t1", 1_400_000_001, "ada", "request-1"), strict=True))
    made.__dict__.update(about)
    assert json.loads(JsonLines().format(made)) == {
        "time": "2025-01-06T14:31:43.250+00:00",
        "level": "warning",
        "module": "engine.running",
        "message": "! task t1",
        **about,
    }
    assert not set(FIELDS) & json.loads(JsonLines().format(record("x"))).keys()


def test_an_unforeseen_error_has_its_trace() -> None:
    line, first, *_, last = TextLines().format(failed()).splitlines()
    assert line.endswith("it broke")
    assert (first, last) == (
        "Traceback (most recent call last):",
        "ValueError: invalid literal for int() with base 10: 'planted'",
    )
    assert json.loads(JsonLines().format(failed()))["trace"].endswith(
        "ValueError: invalid literal for int() with base 10: 'planted'"
    )
