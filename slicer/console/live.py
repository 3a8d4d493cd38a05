"""The wall and the tasks as server-sent events (HTML Living Standard 9.2), for a bounded number of
pages.

Each page asks by itself, PACE seconds after its last answer was read: nothing is queued for it. A
page that reads nothing is cut off by its connection's own bound (http/connection.py).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from slicer.clock import Clock
from slicer.console.views import of_changes, of_task
from slicer.console.wall import Wall
from slicer.service.operations import TaskView

MAX_PAGES = 32
"""Pages that are told at once; one more is refused, and counted."""
PACE = 0.5
"""Seconds between two answers to one page at least."""
TASKS_EVERY = 2.0
"""Seconds for which a list of tasks is good."""
HEARTBEAT = 10.0
"""Seconds after which a page hears something in any case: proxies and people see that it lives."""


class Live:
    """The open streams. *tasks*: those that have not ended."""

    def __init__(self, wall: Wall, tasks: Callable[[], list[TaskView]], clock: Clock) -> None:
        self.pages = self.refused = 0
        self._wall, self._tasks, self._clock = wall, tasks, clock
        self._listed: tuple[float, str] = (float("-inf"), "")
        self._closing = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether one more page is refused; that is counted where it is asked for."""
        if self.pages >= MAX_PAGES:
            self.refused += 1
        return self.pages >= MAX_PAGES

    def close(self) -> None:
        """End every stream, at its next turn."""
        self._closing.set()

    async def stream(self, renew: Callable[[], None], on: Callable[[], bool]) -> AsyncIterator[str]:
        """The events of one page, until it goes, the session ends (*on* is asked) or the console
        closes. *renew* is called when the page has read an event."""
        self.pages += 1
        try:
            seen, tasks, last = -1, "", float("-inf")
            while not self._closing.is_set() and on():
                changes = self._wall.since(seen)
                if changes.whole or changes.tiles or changes.gone:
                    seen, last = changes.number, self._clock.now()
                    yield _event("wall", of_changes(changes))
                if (listed := self._tasks_now()) != tasks:
                    tasks, last = listed, self._clock.now()
                    yield f"event: tasks\ndata: {tasks}\n\n"
                if self._clock.now() - last >= HEARTBEAT:
                    last = self._clock.now()
                    yield _event("beat", {"left_out": self._wall.left_out})
                renew()
                await self._pause()
        finally:
            self.pages -= 1

    async def _pause(self) -> None:
        sleep = asyncio.ensure_future(self._clock.sleep(PACE))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait((sleep, closing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            closing.cancel()

    def _tasks_now(self) -> str:
        """The same text for all pages, and no older than TASKS_EVERY."""
        at, text = self._listed
        now = self._clock.now()
        if now - at >= TASKS_EVERY:
            text = _json([of_task(task) for task in self._tasks()])
            self._listed = now, text
        return text


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {_json(data)}\n\n"


def _json(data: Any) -> str:
    """On one line, as an event wants it; ASCII, whatever an anchor is called."""
    return json.dumps(data, separators=(",", ":"))
