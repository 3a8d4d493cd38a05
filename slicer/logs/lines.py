"""One record to one line: for people, or as a JSON object."""

import json
import logging
import re
from datetime import UTC, datetime

from slicer.logs import FIELDS

CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What an id of a room or an anchor may hold to forge a line, to have a terminal obey or write from
right to left, or to break what writes it: half of a surrogate pair has no UTF-8."""


def escaped(text: str) -> str:
    """The text on one line, its control characters as `\\n`, `\\x1b` and the like."""
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


class TextLines(logging.Formatter):
    """Time, level, module, message; the trace of an error on the lines below it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        at, module = f"{_time(record):%Y-%m-%d %H:%M:%S}", _module(record)
        line = f"{at} {record.levelname:<7} {module}: {escaped(record.getMessage())}"
        trace = _trace(self, record)
        return f"{line}\n{trace}" if trace else line


class JsonLines(logging.Formatter):
    """An object a line: `time` (UTC, ISO 8601), `level`, `module`, `message`; then those of FIELDS
    that the line is about, and `trace` where it tells of an unforeseen error."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        line: dict[str, object] = {
            "time": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "module": _module(record),
            "message": record.getMessage(),
        }
        about = {name: getattr(record, name, None) for name in FIELDS}
        line |= {name: value for name, value in about.items() if value}
        if trace := _trace(self, record):
            line["trace"] = trace
        return json.dumps(line)  # in ASCII: nothing that a terminal obeys, and no half of a pair


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _module(record: logging.LogRecord) -> str:
    return record.name.removeprefix("slicer.")


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else ""
