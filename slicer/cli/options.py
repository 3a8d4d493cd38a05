"""Options that all subcommands share, and the settings that they lead to."""

import argparse
import os
from pathlib import Path

from slicer.engine.settings import Settings
from slicer.service.settings import ServiceSettings


def add_common(parser: argparse.ArgumentParser) -> None:
    """Settings and logging."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings, as slicer.example.toml"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log everything")


def add_plain(parser: argparse.ArgumentParser) -> None:
    """How progress is shown."""
    parser.add_argument("--plain", action="store_true", help="plain lines, also on a terminal")


def settings_of(options: argparse.Namespace) -> Settings:
    """An engine's settings: the file, if one is named, and the environment. Raises BadInput."""
    return Settings.load(options.config, os.environ)


def service_settings_of(options: argparse.Namespace) -> ServiceSettings:
    """The service's settings, likewise. Raises BadInput."""
    return ServiceSettings.load(options.config, os.environ)
