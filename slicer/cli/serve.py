"""slicer serve: the API, the rooms and the callbacks, until a signal."""

import argparse
import asyncio
import os
import socket
import sys
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from pathlib import Path

from starlette.routing import BaseRoute, Mount

from slicer.api import (
    ApiCounters,
    ApiSettings,
    Listen,
    check_listen,
    make_app,
    open_health,
    open_server,
)
from slicer.api.dispatch import is_loopback
from slicer.cli import garbage_collection
from slicer.cli.descriptors import raise_limit
from slicer.cli.exits import STORED
from slicer.cli.observability import Metrics, reopen_log
from slicer.cli.options import add_common, settings_to_serve, whole
from slicer.cli.reload import Running
from slicer.cli.signals import end_on_signals
from slicer.cli.worker import add_fleet, in_fleet, phase
from slicer.console import open_console
from slicer.engine.stages import Observe
from slicer.errors import counted
from slicer.logs.lines import escaped
from slicer.rooms.whip.endpoint import WhipApp
from slicer.service.fleet_orders import FleetOrders
from slicer.service.fleet_serving import ordering
from slicer.service.ports import check_ports, ports
from slicer.service.service import Service
from slicer.service.serving import serving
from slicer.service.settings import ServiceSettings


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("--host", help="address to listen on (serve.host: 127.0.0.1)")
    parser.add_argument(
        "--port", type=whole("--port", 0, 65_535), help="port; 0: any free one (serve.port: 8088)"
    )
    parser.add_argument(
        "--insecure", action="store_true", help="verify no API signatures; on loopback alone"
    )
    add_fleet(parser)
    parser.epilog = "Applications, rooms, TLS and where the state lies: slicer.example.toml."
    add_common(parser)
    parser.set_defaults(command=serve, background=True)


def serve(options: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; tasks go on at the next start. SIGHUP has keys, applications,
    the certificate and the log's settings read again."""
    raise_limit()
    settings = in_fleet(settings_to_serve(options.config, os.environ), options.fleet)
    listen = Listen(
        settings.serve.host if options.host is None else options.host,
        settings.serve.port if options.port is None else options.port,
        _path(settings.serve.tls_cert),
        _path(settings.serve.tls_key),
    )
    check_listen(listen, options.insecure)
    own = replace(settings.serve, host=listen.host, port=listen.port)
    check_ports(replace(settings, serve=own))
    return asyncio.run(_serve(settings, listen, options))


async def _serve(settings: ServiceSettings, listen: Listen, options: argparse.Namespace) -> int:
    insecure: bool = options.insecure
    began, ended = asyncio.Event(), asyncio.Event()
    end_on_signals(ended.set, lambda: _say("SIGHUP: not yet, the service is starting"))

    def busy() -> str:
        return phase(began, ended) or orders.busy

    async with AsyncExitStack() as stack:
        metrics, counters = Metrics(), ApiCounters()
        # Opened first, closed last, as health: the end is worth watching, too.
        port = await stack.enter_async_context(metrics.listening(settings.metrics.listen))
        health = open_health(settings.serve.health, busy) if settings.serve.health else None
        if health:  # it tells of the start and of the end, too
            stack.push_async_callback(health.close)
            metrics.add_server("health", health)
        observe = await stack.enter_async_context(metrics.tracing(settings.tracing))
        orders = await stack.enter_async_context(_orders(settings, observe))
        apps = {app.sdk_app_id: app for app in settings.apps}
        names = (listen.host, socket.gethostname(), *settings.serve.hosts)
        loopback = is_loopback(listen.host)
        console = await open_console(settings.console, orders.operations, loopback, names)
        beside = [*(console.routes if console else ()), *_lobby(settings, orders)]
        note = orders.operations.audit.note
        shared = orders.limits if isinstance(orders, FleetOrders) else None
        limits = _limits(settings, insecure)
        app = make_app(apps, orders, limits, busy, counters, beside, note=note, shared=shared)
        server = await open_server(app, listen, insecure, settings.engine.http)
        stack.push_async_callback(server.close)
        if console:  # its streams end before the server does
            stack.push_async_callback(console.close)
            metrics.add_plain(console.samples)
        metrics.add(orders.metrics)
        metrics.add_plain(counters.samples)
        metrics.add_server("api", server)
        own = replace(settings.serve, host=listen.host, port=server.port)
        listening = tuple(ports(replace(settings, serve=own)))
        reopen = lambda: reopen_log(options)  # noqa: E731
        running = Running(settings, orders, app, server, listening, reopen)
        end_on_signals(ended.set, lambda: _say(running.reload(options.config, os.environ)))
        began.set()
        scheme = "https" if listen.certificate else "http"
        url = f"{scheme}://{listen.host}:{server.port}"
        _say(f"serving {url} for {counted(len(apps), 'application')}")
        if health:
            _say(f"health at port {health.port}: /healthz, /readyz")
        if port:
            _say(f"metrics at port {port}: /metrics")
        if console:
            _say(f"console {url}/console, token: {console.token_source}")
        if insecure:
            _say("INSECURE: anyone on this machine may order tasks; signatures are not verified")
        garbage_collection.tune()
        await ended.wait()
        _say("ending: what has been cut is delivered; tasks go on at the next start")
    return STORED


def _orders(
    settings: ServiceSettings, observe: Observe | None
) -> AbstractAsyncContextManager[Service | FleetOrders]:
    """Who carries orders out: this process, or a fleet."""
    return ordering(settings) if settings.fleet.servers else serving(settings, observe)


def _limits(settings: ServiceSettings, insecure: bool) -> ApiSettings:
    return ApiSettings(
        insecure=insecure,
        regions=settings.serve.regions,
        hosts=settings.serve.hosts,
        default_supplier=settings.engine.moderation.default_supplier,
    )


def _lobby(settings: ServiceSettings, orders: Service | FleetOrders) -> list[BaseRoute]:
    """Where publishers are led on to the worker that has their room."""
    sessions = orders.lobby() if isinstance(orders, FleetOrders) else None
    if sessions is None:
        return []
    whip = settings.engine.whip
    return [Mount("/whip", WhipApp(sessions, whip.allow_origin, whip.max_body, at="").app)]


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _say(text: str) -> None:
    sys.stdout.write(escaped(text) + "\n")
    sys.stdout.flush()
