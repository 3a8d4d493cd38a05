"""The settings of the log."""

from dataclasses import dataclass
from enum import StrEnum

from slicer.config import in_words
from slicer.errors import BadInput


class LogFormat(StrEnum):
    """How a line is written."""

    TEXT = "text"
    JSON = "json"


class Level(StrEnum):
    """From which severity on lines are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What the command logs to stderr, and how. Raises BadInput."""

    format: LogFormat = LogFormat.TEXT
    """text: a line for people; json: an object a line."""
    level: Level = Level.INFO
    """The least severe lines: info has what an operator must know, debug everything."""
    levels: tuple[str, ...] = ()
    """The same of a part of the program alone: MODULE=LEVEL, such as api=debug."""

    def __post_init__(self) -> None:
        self.of_modules()

    def of_modules(self) -> dict[str, Level]:
        """`levels` by the names of loggers. Raises BadInput."""
        found = {}
        for text in self.levels:
            module, equals, level = text.partition("=")
            name = module.strip().removeprefix("slicer.")
            if not equals or not name or level.strip() not in list(Level):
                allowed = f"MODULE=LEVEL, the level {in_words(list(Level))}"
                raise BadInput("log.levels", text, allowed)
            found[f"slicer.{name}"] = Level(level.strip())
        return found
