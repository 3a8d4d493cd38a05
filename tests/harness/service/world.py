"""One process of the service in the test's own, with an engine, a registry and what was told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from slicer.engine.engine import Engine
from slicer.engine.settings import EngineSettings, Settings
from slicer.errors import TaskEnded, TaskNotExist
from slicer.service.applications import Application
from slicer.service.encryption import Encryption
from slicer.service.notifier import Notifier
from slicer.service.registry import Registry
from slicer.service.service import Service
from slicer.service.settings import ServiceSettings, VendorSettings
from slicer.service.sqlite_registry import SqliteRegistry
from slicer.slicing.outputs import State
from slicer.webhooks.queue import Webhook
from tests.harness.clock import ManualClock

HERE = "whip://127.0.0.1:0/{room}"
APP = Application(200806, rooms=(("*", HERE),), max_streams=3)
OTHER = Application(7, rooms=(("*", HERE),))
VENDORS = VendorSettings(s3_endpoint="http://127.0.0.1:9")


@dataclass
class World:
    """One process of the service, on a folder that survives it."""

    engine: Engine
    registry: Registry
    service: Service
    clock: ManualClock
    told: dict[str, Webhook]
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, message: Webhook) -> None:
        self.told.setdefault(message.id, message)
        self.news.set()

    def events(self, task: str) -> list[tuple[int, object]]:
        """What was told of a task, troubles apart, as event and payload's only value."""
        return [
            (message.event, next(iter(json.loads(message.payload)["Payload"].values())))
            for message in self.told.values()
            if message.line == task and message.event % 100 != 6
        ]

    def state(self, task: str) -> State | None:
        """Of a task that runs here."""
        try:
            return self.engine.describe(task).state
        except (TaskEnded, TaskNotExist):
            return None

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not done():
                await asyncio.sleep(0.005)

    async def ended(self, task: str) -> None:
        def done() -> bool:
            record = self.registry.get(task)
            return record is not None and record.ended is not None

        await self.until(done)


@asynccontextmanager
async def world(
    folder: Path,
    apps: tuple[Application, ...] = (APP, OTHER),
    max_tasks: int = 100,
    clock: ManualClock | None = None,
) -> AsyncIterator[World]:
    engine_settings = Settings(engine=EngineSettings(max_tasks))
    settings = ServiceSettings(engine_settings, vendors=VENDORS, apps=apps)
    clock = clock or ManualClock()
    registry = await SqliteRegistry.open(folder / "state", Encryption.open("", folder / "key"))
    told: dict[str, Webhook] = {}

    async def tell(message: Webhook) -> None:
        told.setdefault(message.id, message)

    notifier = Notifier(registry, tell, clock)
    async with Engine(engine_settings, lookup=notifier.lookup, confirm=notifier.confirm) as engine:
        service = Service(engine, registry, notifier, settings, clock)
        await service.start()
        try:
            yield World(engine, registry, service, clock, told)
        finally:
            await service.close()
            await registry.close()
