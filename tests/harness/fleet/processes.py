"""A fleet of real processes over a real NATS server: copies of the API, workers, a customer."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from cryptography.fernet import Fernet

from slicer.api.signature import Message
from slicer.fleet.bus import Bus
from slicer.fleet.record import TaskRecord
from slicer.fleet.settings import FleetSettings
from slicer.fleet.table import Table
from tests.harness.fleet.nats_server import Servers, nats_servers
from tests.harness.fleet.worker_process import Process, worker
from tests.harness.service.api import HEADERS, authorize
from tests.harness.service.customer import (
    APP,
    CALLBACK_KEY,
    KEY,
    KEY_ID,
    SECRETS,
    bucket,
    configuration,
    usersig,
)
from tests.harness.service.sdk import Sdk
from tests.harness.service.serve import Served, serve
from tests.harness.service.webhook_receiver import Receiver, receiver
from tests.harness.storage.seaweed import Seaweed, free_ports

PATIENCE = 60.0
"""Seconds that something which happens by itself may take."""


def order(bucket_name: str, room: str = "1", user: str = "inspect") -> str:
    """The body of a Create request for audio and pictures."""
    body = {
        "SdkAppId": APP,
        "RoomId": room,
        "RoomIdType": 0,
        "UserId": user,
        "UserSig": usersig(user),
        "SliceParams": {"SliceType": 3, "MaxIdleTime": 60, "SliceAudio": 15, "SliceVideo": 5},
        "SliceStorageParams": {"CloudSliceStorage": bucket(bucket_name)},
    }
    return json.dumps(body)


@dataclass
class Processes:
    """What a test starts; *ports*: where publishers reach each worker's rooms."""

    servers: Servers
    customer: Receiver
    store: str
    folder: Path
    stack: contextlib.AsyncExitStack
    bucket: str
    secrets: dict[str, str]
    ports: dict[str, int] = field(default_factory=dict)
    table: Table | None = None

    async def worker(self, name: str, more: str = "") -> Process:
        """A worker that announces its rooms."""
        if name not in self.ports:
            (self.ports[name],) = free_ports(1)
        rooms = f'rooms = "http://127.0.0.1:{self.ports[name]}"\n'
        config = self._config(name, self.ports[name], rooms + more)
        one = worker(name, config, self.folder / name, self.secrets)
        return await self.stack.enter_async_context(one)

    async def api(self, name: str, more: str = "", *arguments: str) -> Served:
        """A copy of the API that verifies signatures."""
        (self.folder / name).mkdir(exist_ok=True)
        config = self._config(name, free_ports(1)[0], f'name = "{name}"\n' + more)
        one = serve(config, self.folder / name, *arguments, secrets=self.secrets)
        return await self.stack.enter_async_context(one)

    def sdk(self, served: Served) -> Sdk:
        """Tencent's own, which calls this copy."""
        return Sdk(served.port, id=KEY_ID, key=KEY)

    async def call(self, served: Served, action: str, body: str) -> dict[str, object]:
        """The whole answer to a signed request: the SDK leaves out what it does not know."""
        given = {"content-type": "application/json", "host": "127.0.0.1", "x-tc-action": action}
        given |= {"x-tc-timestamp": str(int(time.time()))}
        given |= {name.lower(): value for name, value in HEADERS.items()}
        message = Message("POST", "/", "", given, body.encode())
        also = ("x-tc-action",)  # or two actions with one body within a second are one signature
        given["authorization"] = authorize(message, time.time(), KEY_ID, KEY, also)
        async with httpx.AsyncClient(trust_env=False) as client:
            url = f"http://127.0.0.1:{served.port}/"
            answer = await client.post(url, content=body, headers=given, timeout=20)
        found: dict[str, object] = answer.json()["Response"]
        return found

    async def records(self) -> dict[str, TaskRecord]:
        """Those of all tasks, as the bus has them now."""
        if self.table is None:
            bus = await Bus.connect(FleetSettings(self.servers.urls), "test")
            self.stack.push_async_callback(bus.close)
            self.table = Table(bus)
            await self.table.open(1)
            self.stack.push_async_callback(self.table.close)
        barrier = await self.table.barrier("test")
        async with asyncio.timeout(PATIENCE):
            while self.table.read < barrier:
                await asyncio.sleep(0.01)
        return self.table.records

    async def create(self, served: Served, room: str = "1") -> str:
        """A task, as soon as this copy has heard of a worker."""
        async with asyncio.timeout(PATIENCE):
            while True:
                (answer,) = await self.sdk(served).call(
                    ("CreateCloudSliceTask", order(self.bucket, room))
                )
                if "TaskId" in answer:
                    return str(answer["TaskId"])
                assert "no worker takes a task: none is there" in answer["message"]

    def _config(self, name: str, rooms: int, fleet: str) -> str:
        urls = json.dumps(self.servers.urls)
        more = f"[fleet]\nservers = {urls}\nreplicas = 1\n{fleet}"
        return configuration(rooms, self.customer.url, self.folder / name, self.store, more)


@contextlib.asynccontextmanager
async def processes(folder: Path, seaweed: Seaweed, bucket_name: str) -> AsyncIterator[Processes]:
    """A fleet without workers and copies."""
    seaweed.make_bucket(bucket_name)
    secrets = SECRETS | {"SLICER_STATE_KEY": Fernet.generate_key().decode()}
    async with contextlib.AsyncExitStack() as stack:
        customer = await stack.enter_async_context(receiver(CALLBACK_KEY))
        servers = await stack.enter_async_context(nats_servers(folder / "nats"))
        yield Processes(
            servers, customer, seaweed.endpoint, folder, stack, bucket_name, dict(secrets)
        )
