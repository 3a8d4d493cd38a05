"""What those who watch the process get from every command: its log, its metrics, its traces."""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from slicer import __version__
from slicer.api import counters as api
from slicer.clock import LoopClock
from slicer.config.reader import SettingsReader
from slicer.console import metrics as console
from slicer.engine import metrics as engine
from slicer.engine.sample import Sample
from slicer.engine.settings import MOVED
from slicer.engine.stages import Observe
from slicer.fleet import metrics as fleet
from slicer.http import Server
from slicer.logs.output import open_log
from slicer.logs.settings import Level, LogFormat, LogSettings
from slicer.metrics import process, tracing
from slicer.metrics.endpoint import Source, open_metrics
from slicer.metrics.settings import MetricsSettings, TracingSettings
from slicer.service import audit, publishers
from slicer.service import metrics as service

TEXTS = {
    **engine.METRICS,
    **service.METRICS,
    **audit.METRICS,
    **api.METRICS,
    **console.METRICS,
    **fleet.METRICS,
    **publishers.METRICS,
    **process.METRICS,
    **tracing.METRICS,
    "http_refusals_total": "connections that an HTTP server of ours refused, closed or cut off; "
    "server, reason",
}
"""What each metric means, whichever command has it."""


@dataclass(frozen=True, slots=True)
class Observability:
    """The tables of the settings that every command heeds."""

    log: LogSettings
    metrics: MetricsSettings
    tracing: TracingSettings

    @classmethod
    def load(cls, options: argparse.Namespace) -> "Observability":
        """Of the file, if one is named, and the environment. Raises BadInput."""
        reader = SettingsReader.read(options.config, os.environ, MOVED)
        return cls(
            reader.take("log", LogSettings),
            reader.take("metrics", MetricsSettings),
            reader.take("tracing", TracingSettings),
        )


def log_settings_of(options: argparse.Namespace) -> LogSettings:
    """How a command logs. Raises BadInput.

    At the default level one that stays in the background tells what an operator must know; of the
    others the screen shows it.
    """
    log = Observability.load(options).log if hasattr(options, "config") else LogSettings()
    if not getattr(options, "background", False) and log.level is Level.INFO:
        log = replace(log, level=Level.WARNING)
    chosen = getattr(options, "log_format", None)
    return replace(log, format=LogFormat(chosen)) if chosen else log


def reopen_log(options: argparse.Namespace) -> None:
    """Log as the settings of a command say now. Raises BadInput, and nothing has changed then."""
    open_log(log_settings_of(options), sys.stderr, options.verbose)


class Metrics:
    """Metrics of one process; what is watched is added while it is opened."""

    def __init__(self) -> None:
        self._sources: list[Source] = []

    def add(self, source: Source) -> None:
        """Have this read at every look."""
        self._sources.append(source)

    def add_plain(self, source: Callable[[], Iterable[Sample]]) -> None:
        """The same of what need not be waited for."""

        async def read() -> list[Sample]:
            return list(source())

        self._sources.append(read)

    def add_server(self, name: str, server: Server) -> None:
        """The connections of an HTTP server."""

        def read() -> Iterable[Sample]:
            for reason, count in sorted(server.counters.items()):
                labels = (("server", name), ("reason", reason))
                yield Sample("http_refusals_total", count, labels)

        self.add_plain(read)

    @asynccontextmanager
    async def tracing(self, settings: TracingSettings) -> AsyncIterator[Observe | None]:
        """Trace slices, where there is an endpoint for it; gives what an Engine takes. Raises
        BadInput."""
        if not settings.endpoint:
            yield None
            return
        tracer = tracing.SliceTracer(settings, __version__)
        self.add_plain(tracer.samples)
        try:
            yield tracer.observe
        finally:
            await asyncio.to_thread(tracer.close)

    async def samples(self) -> list[Sample]:
        """All that there is now."""
        return [sample for source in self._sources for sample in await source()]

    @asynccontextmanager
    async def listening(self, listen: str, field: str = "metrics.listen") -> AsyncIterator[int]:
        """Serve them at HOST:PORT, gives the port; at none where *listen* is empty (0). Raises
        BadInput that names *field*."""
        if not listen:
            yield 0
            return
        loop = process.EventLoop(LoopClock())
        self.add_plain(loop.samples)
        self.add_plain(lambda: [process.build_info(__version__)])
        try:
            server = open_metrics(listen, self.samples, TEXTS, field)
            self.add_server("metrics", server)
            try:
                yield server.port
            finally:
                await server.close()
        finally:
            loop.close()
