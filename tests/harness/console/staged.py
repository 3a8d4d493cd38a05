"""A console over a service that a test directs: tasks, anchors, files and verdicts as it says."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from starlette.applications import Starlette

from slicer.console import Console, open_console
from slicer.engine.events import (
    EventStream,
    SliceJudged,
    SliceStored,
    TaskEvent,
    TaskState,
    TrackStarted,
)
from slicer.engine.operation import SpoolHealth, StoreHealth, SupplierHealth, WaitingSlice
from slicer.engine.task_status import TaskStatus
from slicer.http import Server
from slicer.media.slice import File, SliceInfo
from slicer.moderation import Label, Suggest, Verdict
from slicer.rtp.parameters import Kind
from slicer.service.audit import Audit
from slicer.service.operations import Health, Operations, TaskView, Waiting
from slicer.service.settings import ConsoleSettings
from slicer.slicing.outputs import State, TrackKey
from slicer.slicing.subscription import Subscription
from slicer.webhooks.queue import Outcome, QueuedWebhook, Webhook

HOST = "console.test"
TOKEN = "a-token-that-nobody-guesses"


@dataclass
class Stage:
    """Stands in for `Operations`; what is done to it is noted in *done*."""

    folder: Path
    views: list[TaskView] = field(default_factory=list)
    stores: list[StoreHealth] = field(default_factory=list)
    suppliers: list[SupplierHealth] = field(default_factory=list)
    spool: SpoolHealth | None = None
    slices: list[WaitingSlice] = field(default_factory=list)
    callbacks: list[QueuedWebhook] = field(default_factory=list)
    done: list[tuple[str, ...]] = field(default_factory=list)
    stream: EventStream = field(default_factory=lambda: EventStream(None))
    audit: Audit = field(init=False)
    watcher: Callable[[File], None] | None = None
    looked_at: Callable[[], bool] = lambda: False

    def tasks(self) -> list[TaskView]:
        return self.views

    def events(self) -> EventStream:
        return self.stream

    def watch(
        self, watch: Callable[[File], None] | None, looked_at: Callable[[], bool] = lambda: False
    ) -> None:
        self.watcher, self.looked_at = watch, looked_at

    async def health(self) -> Health:
        counts = {"waiting": len(self.callbacks), "given_up": 0, "delivered": 812, "failed": 3}
        return Health(self.stores, self.suppliers, self.spool, counts)

    async def waiting(self) -> Waiting:
        return Waiting(self.slices, self.callbacks)

    def try_slices_again(self) -> int:
        self.done.append(("slices again",))
        return len(self.slices)

    async def try_callbacks_again(self) -> int:
        self.done.append(("callbacks again",))
        return len(self.callbacks)

    def drop_slice(self, key: str, reason: str) -> bool:
        self.done.append(("drop slice", key, reason))
        kept = [one for one in self.slices if one.key != key]
        found, self.slices = len(kept) < len(self.slices), kept
        return found

    async def drop_callback(self, webhook: str, reason: str) -> bool:
        self.done.append(("drop callback", webhook, reason))
        kept = [one for one in self.callbacks if one.webhook.id != webhook]
        found, self.callbacks = len(kept) < len(self.callbacks), kept
        return found

    def tell(self, event: TaskEvent) -> None:
        """Have an event happen."""
        self.stream.tell(event)

    def begin(self, task: str, room: str, app: int = 200806) -> None:
        """A task runs."""
        status = TaskStatus(task, State.RUNNING, (), (), Subscription.of(), 0, 0, 0)
        created = datetime.now(UTC).timestamp() - 754
        self.views.append(TaskView(task, app, "moderation", room, "robot", created, status))
        self.tell(TaskState(task, datetime.now(UTC), State.RUNNING))

    def join(self, task: str, anchor: str, *kinds: Kind) -> None:
        """An anchor is cut."""
        for kind in kinds or tuple(Kind):
            self.tell(TrackStarted(task, datetime.now(UTC), anchor, kind))

    def make(
        self, task: str, anchor: str, data: bytes, kind: Kind = Kind.VIDEO, ago: float = 0.4
    ) -> SliceInfo:
        """A file is made, of a picture taken (or of audio that began) *ago* seconds ago."""
        began = datetime.now(UTC) - timedelta(seconds=ago)
        extension, content_type = ("jpg", "image/jpeg")
        if kind is Kind.AUDIO:
            extension, content_type = ("ogg", "audio/ogg")
        key = f"{task}/{anchor}/{began:%H%M%S%f}.{extension}"
        seconds = 5.0 if kind is Kind.AUDIO else 0.0
        info = SliceInfo(key, TrackKey(task, anchor, kind), began, seconds, len(data))
        assert self.watcher is not None
        self.watcher(File(info, data, content_type))
        return info

    def store(self, info: SliceInfo, to: str = "s3://bucket") -> None:
        """A store has it."""
        self.tell(SliceStored(info.task, datetime.now(UTC), info, "etag", to))

    def judge(
        self, info: SliceInfo, suggest: Suggest, label: Label, score: int, text: str = ""
    ) -> None:
        """A supplier has looked at it."""
        verdict = Verdict(suggest, label, score, text=text)
        self.tell(SliceJudged(info.task, datetime.now(UTC), info, verdict, True))


@contextlib.asynccontextmanager
async def console(folder: Path, **settings: object) -> AsyncIterator[tuple[Stage, Console]]:
    """A console on a stage, and the stage."""
    stage = Stage(folder)
    chosen = ConsoleSettings(**{"token": TOKEN, **settings})  # type: ignore[arg-type]
    stage.audit = await Audit.open(folder)
    opened = await open_console(chosen, cast(Operations, stage), loopback=True, hosts=(HOST,))
    assert opened is not None
    try:
        yield stage, opened
    finally:
        await opened.close()
        await stage.audit.close()


@contextlib.asynccontextmanager
async def served(folder: Path, **settings: object) -> AsyncIterator[tuple[Stage, str]]:
    """The same behind our own HTTP server, and the console's URL."""
    async with console(folder, **settings) as (stage, opened):
        server = Server("127.0.0.1", 0, Starlette(routes=opened.routes))
        try:
            yield stage, f"http://127.0.0.1:{server.port}/console/"
        finally:
            opened.live.close()
            await server.close()


def webhook(
    number: int, tries: int, detail: str, outcome: Outcome = Outcome.WAITING
) -> QueuedWebhook:
    """A callback that waits, or is given up."""
    now = datetime.now(UTC).timestamp()
    due = now + 42 if outcome is Outcome.WAITING else None
    one = Webhook(f"message-{number}", 200806, "task-1", 1_104, "{}")
    return QueuedWebhook(number, one, now - 95 * (number + 1), tries, due, outcome, detail)
