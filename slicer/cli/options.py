"""Options that all subcommands share, and the settings that they lead to."""

import argparse
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from slicer.cli.account_options import SECRET
from slicer.config import in_words
from slicer.engine.settings import Settings
from slicer.errors import BadInput, SlicerError
from slicer.logs.settings import LogFormat
from slicer.service.settings import ServiceSettings

FIELDS = {
    "room.speed": "--speed",
    "room.audio": "--audio-type",
    "room.video": "--video-type",
    "room.anchor": "--anchor",
    "keys": "--keys",
    "prefix": "--prefix",
    "supplier.app_id": "--supplier-app",
    "supplier.secret_id": "--supplier-id",
    "supplier.secret_key": SECRET,
    "supplier.audio_type": "--supplier-audio-type",
    "supplier.image_type": "--supplier-image-type",
}
"""Fields of a task, and the option or the variable that each is given by on a command line."""


def by_option(error: SlicerError, options: argparse.Namespace) -> SlicerError:
    """The same error, which names what was typed and not the field that it went into; a command
    without that option was given the field otherwise, in a room's URL for example."""
    if not isinstance(error, BadInput) or error.field not in FIELDS:
        return error
    name = FIELDS[error.field]
    option = "--supplier-id" if name == SECRET else name
    if option.removeprefix("--").replace("-", "_") not in options:
        return error
    return BadInput(name, error.got, error.allowed)


def add_common(parser: argparse.ArgumentParser) -> None:
    """Settings and logging."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings, as slicer.example.toml"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log everything")
    parser.add_argument(
        "--log-format", type=one_of("--log-format", LogFormat), metavar="FORMAT",
        help=f"of log lines on stderr: {in_words(list(LogFormat))} (log.format: text)",
    )  # fmt: skip


def add_plain(parser: argparse.ArgumentParser) -> None:
    """How progress is shown."""
    parser.add_argument("--plain", action="store_true", help="plain lines, also on a terminal")


def whole(option: str, low: int, high: int, unit: str = "") -> Callable[[str], int]:
    """The type of an option that takes a whole number. It raises BadInput, which argparse lets
    pass: an error names the option, what came and what is allowed."""
    allowed = f"a whole number{f' of {unit}' if unit else ''}, {low} to {high}"

    def read(text: str) -> int:
        # No more digits than the bound has: a number of thousands cannot even be read.
        plain = text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 20
        if not plain or not low <= int(text) <= high:
            raise BadInput(option, text, allowed)
        return int(text)

    return read


def number(option: str, low: float, high: float, unit: str) -> Callable[[str], float]:
    """The type of an option that takes a number, as `whole`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:  # nor is a NaN between them
            raise BadInput(option, text, f"a number of {unit}, {low:g} to {high:.10g}")
        return value

    return read


@dataclass(frozen=True, slots=True)
class OneOf:
    """The type of an option that takes one of these words; it raises BadInput as `whole` does."""

    option: str
    words: tuple[str, ...]

    def __call__(self, text: str) -> str:
        if text not in self.words:
            raise BadInput(self.option, text, in_words(self.words))
        return text


def one_of(option: str, allowed: Iterable[str]) -> OneOf:
    """The type of an option that takes one of these words."""
    return OneOf(option, tuple(map(str, allowed)))


def settings_of(options: argparse.Namespace) -> Settings:
    """An engine's settings: the file, if one is named, and the environment. Raises BadInput."""
    return Settings.load(options.config, os.environ)


def service_settings_of(options: argparse.Namespace) -> ServiceSettings:
    """The service's settings, likewise. Raises BadInput."""
    return ServiceSettings.load(options.config, os.environ)


def settings_to_serve(file: Path | None, environment: Mapping[str, str]) -> ServiceSettings:
    """The service's settings, with an application to serve. Raises BadInput."""
    settings = ServiceSettings.load(file, environment)
    if not settings.apps:
        raise BadInput("apps", "none", "at least one [[apps]] in the settings (--config FILE)")
    return settings
