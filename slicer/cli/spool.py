"""slicer spool list | send | drop: what waits on the disk for its store."""

import argparse
import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from slicer.cli.exits import LOST, STORED
from slicer.cli.options import add_common, number, one_of, settings_of
from slicer.config import DAY, in_words
from slicer.delivery.spool.folder import SpooledFile
from slicer.demo.progress import PlainProgress, bytes_text
from slicer.engine.salvage import Choice, drop, send, stuck
from slicer.engine.settings import Settings
from slicer.errors import BadInput, counted
from slicer.logs.lines import escaped
from slicer.rtp.parameters import Kind
from slicer.storage import Credentials

MAX_HOURS = 24 * 3_650


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    verbs = parser.add_subparsers(required=True, metavar="list | send | drop")
    shown = verbs.add_parser("list", help="what waits, oldest first; also while an engine sends it")
    sent = verbs.add_parser("send", help="send it now, without an engine")
    sent.add_argument(
        "--within", type=number("--within", 0, DAY, "seconds"), default=60.0, metavar="S",
        help="seconds (%(default)s)",
    )  # fmt: skip
    dropped = verbs.add_parser("drop", help="delete what is chosen, for good")
    dropped.add_argument("--all", action="store_true", help="everything that is whole")
    for verb in (shown, dropped):
        _add_choice(verb)
    for verb, command in ((shown, show), (sent, send_now), (dropped, drop_chosen)):
        add_common(verb)
        verb.set_defaults(command=command)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", default="", help="only of this task")
    parser.add_argument("--anchor", default="", help="only of this anchor")
    parser.add_argument(
        "--kind", type=one_of("--kind", Kind), metavar="KIND",
        help=f"only {in_words(list(Kind))} (pictures)",
    )  # fmt: skip
    parser.add_argument(
        "--older-than", type=number("--older-than", 0, MAX_HOURS, "hours"), metavar="H",
        help="only older than H hours",
    )  # fmt: skip
    parser.add_argument("--damaged", action="store_true", help="only damaged records")


def show(options: argparse.Namespace) -> int:
    """Print records, one a line."""
    count = size = 0
    for found in stuck(_folder(settings_of(options)), _choice(options)):
        sys.stdout.write(line(found) + "\n")
        count, size = count + 1, size + found.size
    sys.stdout.write(f"{counted(count, 'record')}, {bytes_text(size)}\n")
    return STORED


def send_now(options: argparse.Namespace) -> int:
    """Send everything, and say what stays."""
    settings = settings_of(options)
    _folder(settings)
    progress = PlainProgress(Console())
    left = asyncio.run(send(settings, lambda *_: _keys(settings), progress.show, options.within))
    sys.stdout.write(f"{counted(left, 'record')} left in the spool\n")
    return LOST if left else STORED


def drop_chosen(options: argparse.Namespace) -> int:
    """Delete records, and say which."""
    choice = _choice(options)
    if choice is None and not options.all:
        raise BadInput(
            "drop", "no choice", "--task, --anchor, --kind, --older-than, --damaged or --all"
        )
    gone = drop(_folder(settings_of(options)), choice or Choice())
    for found in gone:
        sys.stdout.write(line(found) + "\n")
    sys.stdout.write(f"{counted(len(gone), 'record')} dropped\n")
    return STORED


def line(found: SpooledFile) -> str:
    """A record in one line, of which a terminal obeys nothing."""
    at = datetime.fromtimestamp(found.written, UTC)
    what = f"DAMAGED  {bytes_text(found.size):>7}  {found.path.name}"
    if found.header is not None:
        key, to = found.header.info.key, found.header.urls.to
        what = f"{bytes_text(found.size):>7}  {key}  → {to}"
    return escaped(f"{at:%Y-%m-%d %H:%M:%S}  {what}")


def _folder(settings: Settings) -> Path:
    if not settings.spool.folder:
        raise BadInput("spool.folder", "", "the spool's folder, in the settings (--config FILE)")
    return Path(settings.spool.folder)


def _choice(options: argparse.Namespace) -> Choice | None:
    """What is asked for; None where that is everything."""
    older = None if options.older_than is None else timedelta(hours=options.older_than)
    kind = Kind(options.kind) if options.kind else None
    choice = Choice(options.task, options.anchor, kind, older, options.damaged)
    return None if choice == Choice() else choice


def _keys(settings: Settings) -> Credentials | None:
    return settings.storage.credentials()
