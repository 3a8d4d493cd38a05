"""slicer callbacks list | resend: what the service tells its applications, also while it runs."""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from slicer.cli.exits import STORED
from slicer.cli.options import add_common, one_of, service_settings_of, whole
from slicer.config import in_words
from slicer.errors import BadInput, counted
from slicer.logs.lines import escaped
from slicer.service.settings import ServiceSettings
from slicer.webhooks.queue import FILE, Outcome, QueuedWebhook, WebhookQueue

OUTCOMES = {one.name.lower().replace("_", "-"): one for one in Outcome}
SETTLED = ("delivered", "given-up")
"""Outcomes after which a callback is not sent again by itself."""
MAX_LIMIT = 1_000_000
"""Most callbacks in one list; the queue keeps fewer."""


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    verbs = parser.add_subparsers(required=True, metavar="list | resend")
    shown = verbs.add_parser("list", help="the latest ones, oldest first")
    shown.add_argument(
        "--outcome", type=one_of("--outcome", OUTCOMES), metavar="OUTCOME",
        help=f"only those that are {in_words(list(OUTCOMES))}",
    )  # fmt: skip
    shown.add_argument("--task", default="", help="only those of this task")
    shown.add_argument(
        "--limit", type=whole("--limit", 1, MAX_LIMIT), default=100, help="how many (%(default)s)"
    )
    shown.set_defaults(command=show)
    again = verbs.add_parser(
        "resend", help="send settled ones anew, each behind the others of its task"
    )
    again.add_argument(
        "--outcome", type=one_of("--outcome", SETTLED), metavar="OUTCOME", default="given-up",
        help=f"{in_words(SETTLED)} (%(default)s)",
    )  # fmt: skip
    again.add_argument("--task", default="", help="only those of this task")
    again.add_argument("--message", default="", help="only the one with this id")
    again.set_defaults(command=resend)
    for verb in (shown, again):
        add_common(verb)


def show(options: argparse.Namespace) -> int:
    """Print callbacks, one a line."""
    for queued in asyncio.run(_webhooks(service_settings_of(options), options)):
        sys.stdout.write(line(queued) + "\n")
    return STORED


def resend(options: argparse.Namespace) -> int:
    """Have callbacks sent again; a running service does it at once."""
    count = asyncio.run(_resend(service_settings_of(options), options))
    sys.stdout.write(f"{counted(count, 'callback')} will be sent again\n")
    return STORED


def line(queued: QueuedWebhook) -> str:
    """A callback in one line, of which a terminal obeys nothing."""
    webhook = queued.webhook
    at = datetime.fromtimestamp(queued.since, UTC)
    outcome = queued.outcome.name.lower().replace("_", "-")
    detail = f"  {queued.detail}" if queued.detail else ""
    return escaped(
        f"{at:%Y-%m-%d %H:%M:%S}  {outcome:<9}  {webhook.event}  {webhook.line}  {webhook.id}"
        f"  tries {queued.tries}{detail}"
    )


async def _webhooks(settings: ServiceSettings, options: argparse.Namespace) -> list[QueuedWebhook]:
    async with _queue(settings) as queue:
        outcome = OUTCOMES[options.outcome] if options.outcome else None
        return await queue.webhooks(outcome, options.task, options.limit)


async def _resend(settings: ServiceSettings, options: argparse.Namespace) -> int:
    async with _queue(settings) as queue:
        outcome = OUTCOMES[options.outcome]
        return await queue.resend(time.time(), outcome, options.task, options.message)


@asynccontextmanager
async def _queue(settings: ServiceSettings) -> AsyncIterator[WebhookQueue]:
    folder = Path(settings.serve.state)
    if not (folder / FILE).is_file():
        raise BadInput("serve.state", str(folder), f"the state folder of a service, with {FILE}")
    queue = await WebhookQueue.open(folder, settings.webhooks.bound)
    try:
        yield queue
    finally:
        await queue.close()
