"""slicer callbacks list | resend: the messages of the service, also while it runs."""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from slicer.callbacks.mailbox import FILE, Fate, Letter, Mailbox
from slicer.cli.exits import STORED
from slicer.cli.options import add_common, settings_of
from slicer.errors import BadInput
from slicer.settings import Settings

FATES = {"waiting": Fate.WAITING, "delivered": Fate.DELIVERED, "given-up": Fate.GIVEN_UP}


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    verbs = parser.add_subparsers(required=True, metavar="list | resend")
    shown = verbs.add_parser("list", help="the latest messages, oldest first")
    shown.add_argument("--fate", choices=FATES, help="only those waiting, delivered or given up")
    shown.add_argument("--task", default="", help="only those of this task")
    shown.add_argument("--limit", type=int, default=100, help="how many (%(default)s)")
    shown.set_defaults(command=show)
    again = verbs.add_parser(
        "resend", help="send settled messages anew, each behind its task's line"
    )
    again.add_argument("--fate", choices=("delivered", "given-up"), default="given-up")
    again.add_argument("--task", default="", help="only those of this task")
    again.add_argument("--message", default="", help="only the one with this id")
    again.set_defaults(command=resend)
    for verb in (shown, again):
        add_common(verb)


def show(options: argparse.Namespace) -> int:
    """Print messages, one a line."""
    if options.limit < 1:
        raise BadInput("--limit", options.limit, "1 or more")
    for letter in asyncio.run(_letters(settings_of(options), options)):
        sys.stdout.write(line(letter) + "\n")
    return STORED


def resend(options: argparse.Namespace) -> int:
    """Have messages sent again; a running service does it at once."""
    count = asyncio.run(_resend(settings_of(options), options))
    sys.stdout.write(f"{count} message(s) will be sent again\n")
    return STORED


def line(letter: Letter) -> str:
    """A message in one line."""
    message = letter.message
    at = datetime.fromtimestamp(letter.since, UTC)
    fate = letter.fate.name.lower().replace("_", "-")
    said = f"  {letter.said}" if letter.said else ""
    return (
        f"{at:%Y-%m-%d %H:%M:%S}  {fate:<9}  {message.event}  {message.task}  {message.id}"
        f"  tries {letter.tries}{said}"
    )


async def _letters(settings: Settings, options: argparse.Namespace) -> list[Letter]:
    async with _mailbox(settings) as mailbox:
        fate = FATES[options.fate] if options.fate else None
        return await mailbox.letters(fate, options.task, options.limit)


async def _resend(settings: Settings, options: argparse.Namespace) -> int:
    async with _mailbox(settings) as mailbox:
        fate = FATES[options.fate]
        return await mailbox.resend(time.time(), fate, options.task, options.message)


@asynccontextmanager
async def _mailbox(settings: Settings) -> AsyncIterator[Mailbox]:
    folder = Path(settings.serve.state)
    if not (folder / FILE).is_file():
        raise BadInput("serve.state", str(folder), f"the state folder of a service, with {FILE}")
    mailbox = await Mailbox.open(folder, settings.callbacks.bound)
    try:
        yield mailbox
    finally:
        await mailbox.close()
