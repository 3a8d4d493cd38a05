"""slicer config: the settings' schema, a check of a file, and what is in force."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from slicer.cli.exits import STORED
from slicer.config.schema import DIALECT, table_schema
from slicer.config.toml import table_lines
from slicer.errors import counted
from slicer.rooms.whip.ice_servers import check_secret
from slicer.service.applications import Application
from slicer.service.ports import check_ports
from slicer.service.settings import ServiceSettings


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--schema", action="store_true", help="print the JSON Schema of a file")
    chosen.add_argument(
        "--check", type=Path, metavar="FILE", help="check a file, and the environment over it"
    )
    chosen.add_argument(
        "--show",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="FILE",
        help="print the settings in force as TOML: of a file, if one is named, and the environment",
    )
    parser.epilog = "Secrets are never printed."
    parser.set_defaults(command=config, verbose=False)


def config(options: argparse.Namespace) -> int:
    """Print what is asked for. Raises BadInput for settings that cannot work."""
    if options.check is not None:
        settings = ServiceSettings.load(options.check, os.environ)
        check_ports(settings)
        check_secret(settings.engine.whip)
        text = f"{options.check}: right, with {counted(len(settings.apps), 'application')}"
    elif options.show is not None:
        file = None if options.show == Path() else options.show
        text = shown(ServiceSettings.load(file, os.environ))
    else:
        text = json.dumps(schema(), indent=2, ensure_ascii=False)
    sys.stdout.write(text + "\n")
    return STORED


def schema() -> dict[str, Any]:
    """The JSON Schema of a settings' file."""
    tables = {
        name: table_schema(type(section)) for name, section in ServiceSettings().tables().items()
    }
    apps = {"type": "array", "items": table_schema(Application)}
    return {
        "$schema": DIALECT,
        "title": "Settings of rtc-slicer",
        "type": "object",
        "properties": tables | {"apps": apps},
        "additionalProperties": False,
    }


def shown(settings: ServiceSettings) -> str:
    """All settings as a file that would give them, but for its secrets."""
    tables = [table_lines(f"[{name}]", section) for name, section in settings.tables().items()]
    apps = [table_lines("[[apps]]", app) for app in settings.apps]
    return "\n\n".join("\n".join(lines) for lines in (*tables, *apps))
