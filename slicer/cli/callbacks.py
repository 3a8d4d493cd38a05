"""slicer callbacks list | resend: the messages of the service, also while it runs."""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from slicer.cli.exits import STORED
from slicer.cli.options import add_common, service_settings_of
from slicer.errors import BadInput
from slicer.service.settings import ServiceSettings
from slicer.webhooks.queue import FILE, Outcome, QueuedWebhook, WebhookQueue

OUTCOMES = {one.name.lower().replace("_", "-"): one for one in Outcome}


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    verbs = parser.add_subparsers(required=True, metavar="list | resend")
    shown = verbs.add_parser("list", help="the latest messages, oldest first")
    shown.add_argument("--outcome", choices=OUTCOMES, help="only those of this outcome")
    shown.add_argument("--task", default="", help="only those of this task")
    shown.add_argument("--limit", type=int, default=100, help="how many (%(default)s)")
    shown.set_defaults(command=show)
    again = verbs.add_parser(
        "resend", help="send settled messages anew, each behind its task's line"
    )
    again.add_argument("--outcome", choices=("delivered", "given-up"), default="given-up")
    again.add_argument("--task", default="", help="only those of this task")
    again.add_argument("--message", default="", help="only the one with this id")
    again.set_defaults(command=resend)
    for verb in (shown, again):
        add_common(verb)


def show(options: argparse.Namespace) -> int:
    """Print messages, one a line."""
    if options.limit < 1:
        raise BadInput("--limit", options.limit, "1 or more")
    for queued in asyncio.run(_webhooks(service_settings_of(options), options)):
        sys.stdout.write(line(queued) + "\n")
    return STORED


def resend(options: argparse.Namespace) -> int:
    """Have messages sent again; a running service does it at once."""
    count = asyncio.run(_resend(service_settings_of(options), options))
    sys.stdout.write(f"{count} message(s) will be sent again\n")
    return STORED


def line(queued: QueuedWebhook) -> str:
    """A message in one line."""
    webhook = queued.webhook
    at = datetime.fromtimestamp(queued.since, UTC)
    outcome = queued.outcome.name.lower().replace("_", "-")
    detail = f"  {queued.detail}" if queued.detail else ""
    return (
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
