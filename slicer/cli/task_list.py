"""slicer tasks: what a running service is at, asked over the socket in its state folder."""

import argparse
import json
import socket
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from slicer.cli.exits import STORED
from slicer.cli.options import add_common, service_settings_of
from slicer.errors import BadInput, counted
from slicer.logs.lines import escaped
from slicer.service.control import FILE, TASKS

TIMEOUT = 10.0
COLUMNS = {
    "task": "task",
    "room": "room",
    "user": "robot",
    "status": "state",
    "anchors": "anchors",
    "stored": "stored",
    "pending": "waiting",
    "lost": "lost",
}
"""What is shown of a task, and its heading."""


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("--json", action="store_true", help="one object a line, with all there is")
    parser.epilog = "The service is found by serve.state; only its own user and root may ask."
    add_common(parser)
    parser.set_defaults(command=tasks)


def tasks(options: argparse.Namespace) -> int:
    """Print the tasks that have not ended, oldest first. Raises BadInput where none answers."""
    lines = _tasks_of(Path(service_settings_of(options).serve.state))
    if options.json:
        sys.stdout.write("".join(line + "\n" for line in lines))
    else:
        found = [json.loads(line) for line in lines]
        if found:
            Console().print(table(found))
        sys.stdout.write(f"{counted(len(found), 'task')}\n")
    return STORED


def ask(folder: Path, request: bytes) -> bytes:
    """What the service of a state folder answers. Raises OSError where none does."""
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(TIMEOUT)
        asked.connect(str(folder / FILE))
        asked.sendall(request)
        with asked.makefile("rb") as answer:
            return answer.read()


def table(found: Iterable[Mapping[str, Any]]) -> Table:
    """A row for each task; on a narrow terminal ids go on in a second line."""
    shown = Table(box=None, pad_edge=False)
    for name in COLUMNS.values():
        numbers = name in {"anchors", "stored", "waiting", "lost"}
        shown.add_column(name, overflow="fold", justify="right" if numbers else "left")
    for task in found:
        cells = dict(task) | {"anchors": len(task["anchors"])}
        # What callers name may hold what a terminal obeys.
        shown.add_row(*(Text(escaped(str(cells[name]))) for name in COLUMNS))
    return shown


def _tasks_of(folder: Path) -> list[str]:
    """A line for each task. Raises BadInput."""
    try:
        return ask(folder, TASKS).decode().splitlines()
    except OSError as error:
        allowed = (
            f"the state folder of a service that runs ({error.strerror or error}): start one with "
            "`slicer serve`, or name its settings with --config, or its folder with "
            "SLICER_SERVE_STATE"
        )
        raise BadInput("serve.state", str(folder), allowed) from None
