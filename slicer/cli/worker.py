"""slicer worker: slices what a fleet gives it, until a signal."""

import argparse
import asyncio
import logging
import os
import socket
import sys
from contextlib import AsyncExitStack
from dataclasses import replace

from slicer.api import open_health
from slicer.api.dispatch import is_loopback
from slicer.cli import garbage_collection
from slicer.cli.descriptors import raise_limit
from slicer.cli.exits import STORED
from slicer.cli.observability import Metrics
from slicer.cli.options import add_common, settings_to_serve
from slicer.cli.signals import end_on_signals
from slicer.config import split_authority
from slicer.console import open_console
from slicer.errors import BadInput
from slicer.http import Server, application, cannot_listen
from slicer.service.fleet_serving import working
from slicer.service.operations import Operations
from slicer.service.settings import ServiceSettings

logger = logging.getLogger(__name__)

DRAIN = 60.0
"""Seconds within which what runs is handed over at the end; what is left is taken over later."""


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    add_fleet(parser)
    parser.add_argument("--name", help="what this worker is called (fleet.name: the host's name)")
    parser.epilog = "What a fleet is, and how one is set up: docs/fleet.md."
    add_common(parser)
    parser.set_defaults(command=work, background=True)


def add_fleet(parser: argparse.ArgumentParser) -> None:
    """The fleet's servers."""
    parser.add_argument(
        "--fleet",
        metavar="URLS",
        help="NATS servers of a fleet, nats://HOST:PORT, with commas between (fleet.servers)",
    )


def in_fleet(settings: ServiceSettings, urls: str | None) -> ServiceSettings:
    """The settings with the servers that are named on the command line, if any."""
    if urls is None:
        return settings
    servers = tuple(url.strip() for url in urls.split(",") if url.strip())
    return replace(settings, fleet=replace(settings.fleet, servers=servers))


def work(options: argparse.Namespace) -> int:
    """Work until SIGINT or SIGTERM; what runs is handed over to other workers first."""
    raise_limit()
    settings = in_fleet(settings_to_serve(options.config, os.environ), options.fleet)
    if not settings.fleet.servers:
        raise BadInput("fleet.servers", "none", "the NATS servers of a fleet: --fleet URLS")
    if options.name is not None:
        settings = replace(settings, fleet=replace(settings.fleet, name=options.name))
    return asyncio.run(_work(settings))


def phase(began: asyncio.Event, ended: asyncio.Event) -> str:
    """What keeps a process from its work: its start or its end, or nothing."""
    if not began.is_set():
        return "starting"
    return "ending" if ended.is_set() else ""


async def _work(settings: ServiceSettings) -> int:
    began, ended = asyncio.Event(), asyncio.Event()
    end_on_signals(ended.set, _hung_up)

    def busy() -> str:
        return phase(began, ended) or here.busy

    async with AsyncExitStack() as stack:
        metrics = Metrics()
        port = await stack.enter_async_context(metrics.listening(settings.metrics.listen))
        health = None
        if settings.serve.health:
            health = open_health(settings.serve.health, busy)
            stack.push_async_callback(health.close)
            metrics.add_server("health", health)
        observe = await stack.enter_async_context(metrics.tracing(settings.tracing))
        here = await stack.enter_async_context(working(settings, observe))
        metrics.add(here.metrics)
        console = await _open_console(settings, here.service.operations, stack, metrics)
        began.set()
        _say(f"worker {here.worker.name} of fleet {settings.fleet.bucket}")
        if health:
            _say(f"health at port {health.port}: /healthz, /readyz")
        if port:
            _say(f"metrics at port {port}: /metrics")
        if console:
            _say(console)
        garbage_collection.tune()
        await ended.wait()
        _say("ending: tasks are handed over, what has been cut is delivered")
        try:
            async with asyncio.timeout(DRAIN):
                await here.worker.drain()
        except TimeoutError:
            _say("some tasks are left: others take them over once this worker is gone")
    return STORED


async def _open_console(
    settings: ServiceSettings, operations: Operations, stack: AsyncExitStack, metrics: Metrics
) -> str:
    """The page for operators, where the settings have one; gives what is said of it."""
    if not settings.console.listen:
        return ""
    host, port = split_authority("console.listen", settings.console.listen)
    names = (host, socket.gethostname())
    console = await open_console(settings.console, operations, is_loopback(host), names)
    if console is None:
        return "no console: console.enabled is off, or beyond loopback there is no console.token"
    stack.push_async_callback(console.close)
    try:
        server = Server(host, port, application(console.routes), settings=settings.engine.http)
    except OSError as error:
        raise cannot_listen("console.listen", settings.console.listen, error) from None
    stack.push_async_callback(server.close)
    stack.push_async_callback(console.close)  # its streams end before the server does
    metrics.add_plain(console.samples)
    metrics.add_server("console", server)
    return f"console at port {server.port}: /console, token: {console.token_source}"


def _hung_up() -> None:
    logger.warning("! SIGHUP: nothing is changed: a worker takes settings at its start alone")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
