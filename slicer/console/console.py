"""The console opened over the service's operations, and closed again."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount

from slicer.clock import LoopClock
from slicer.console.guard import guarded
from slicer.console.live import Live
from slicer.console.metrics import of_console
from slicer.console.observer import Observer
from slicer.console.requests import Operated, Requests
from slicer.console.sessions import Sessions
from slicer.console.token import FILE, token_of
from slicer.engine.events import EventStream
from slicer.engine.sample import Sample
from slicer.http import resource
from slicer.service.settings import ConsoleSettings

logger = logging.getLogger(__name__)


async def open_console(
    settings: ConsoleSettings, operations: Operated, loopback: bool, hosts: Sequence[str] = ()
) -> "Console | None":
    """The console, watching from now on; None where it is off, or would be open to other machines
    (not *loopback*) by a token that nobody has chosen. *hosts*: names of this service, beside
    those of the settings. Raises BadInput."""
    if not settings.enabled or not (loopback or settings.token):
        return None
    folder = operations.folder
    token = settings.token or await asyncio.to_thread(token_of, folder)
    source = "console.token" if settings.token else f"in {folder / FILE}"
    return Console(settings, operations, token, source, hosts)


class Console:
    """Everything that shows. *token_source*: where its token is, for people."""

    def __init__(
        self,
        settings: ConsoleSettings,
        operations: Operated,
        token: str,
        token_source: str,
        hosts: Sequence[str] = (),
    ) -> None:
        self.token_source = token_source
        clock = LoopClock()
        self._operations = operations
        self._hosts = frozenset(name.lower() for name in (*settings.hosts, *hosts))
        events = operations.events()  # before the tasks are read: nothing is missed between
        self.observer = Observer(operations.tasks, clock, settings.memory)
        self.live = Live(self.observer.wall, operations.tasks, clock)
        self.sessions = Sessions(token)
        operations.watch(self.observer.on_file, self.observer.looked_at)
        self._events = events
        self._watching = asyncio.ensure_future(self._watch(events))
        requests = Requests(operations, self.observer, self.live, self.sessions, clock)
        self._app = Starlette(routes=requests.routes)

    @property
    def routes(self) -> list[BaseRoute]:
        """For the server that it is served by: /console and all below it."""

        async def page(_: Request) -> Response:
            return RedirectResponse("console/", 308)

        return [
            resource("/console", {"GET": page}),
            Mount("/console", guarded(self._app, self._hosts)),
        ]

    def samples(self) -> Iterator[Sample]:
        """What it counts."""
        return of_console(self.observer, self.live, self.sessions)

    async def close(self) -> None:
        """Watch no more, and end the streams of all pages. May be called twice."""
        self.live.close()
        self._operations.watch(None)
        self._events.close()
        self._watching.cancel()
        with suppress(asyncio.CancelledError):
            await self._watching

    async def _watch(self, events: EventStream) -> None:
        async for event in events:
            try:
                self.observer.on_event(event)
            except Exception:  # what is shown may be wrong; the service goes on, and so does this
                logger.exception("! the console cannot show %s", type(event).__name__)
