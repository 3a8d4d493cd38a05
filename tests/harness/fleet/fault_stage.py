"""A fleet of real processes, each in a network of its own, whose tasks hear numbered audio.

    hub       copies of the API, the customer, the store, who sends the audio
    n0 n1 n2  NATS servers        w0 w1 …  workers; each task's room is a port of any worker

Which packets a task's files hold says what was lost or doubled; which ports a worker's process
listens on says where robots are.
"""

import asyncio
import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import httpx
import nats
from cryptography.fernet import Fernet

from slicer.fleet.bus import Bus
from slicer.fleet.settings import FleetSettings
from slicer.fleet.table import Table
from tests.harness.fleet.calling import call
from tests.harness.fleet.nats_server import Servers, nats_servers
from tests.harness.fleet.numbered_audio import ROOM, NumberedAudio, numbers
from tests.harness.fleet.small_disk import SmallDisk, small_disk
from tests.harness.fleet.worker_process import Process, worker
from tests.harness.network.hub import ADDRESS, Hub, Place, hub
from tests.harness.service.api import seed
from tests.harness.service.customer import (
    APP,
    CALLBACK_KEY,
    SECRETS,
    bucket,
    configuration,
    usersig,
)
from tests.harness.service.serve import Served, serve
from tests.harness.service.webhook_receiver import Receiver, receiver
from tests.harness.storage.seaweed import OWNER, Seaweed, Server, serving

BUCKET, COPIES = "faults", "copies"
FIRST_PORT = 21_000
LOOK = 0.05
"""Seconds between two looks where robots are."""
SLICE = 15.0
"""Seconds of an audio slice: the least that the API allows."""
PATIENCE = 90.0
UNSURE = 1.0
"""Seconds from a callback to the death of a copy of the API, within which it may not have noted
that the callback was taken."""
_LOST = re.compile("worker (.*?) is lost")


@dataclass(frozen=True)
class Seen:
    """Where the robots of a task were found, at a time of `time.time`. *reachable*: those of them
    whose workers are not cut off."""

    at: float
    workers: frozenset[str]
    reachable: frozenset[str]


@dataclass(frozen=True)
class Gap:
    """Packets of a task that no file holds. *after*, *before*: when those around were sent."""

    task: str
    after: float
    before: float


@dataclass(frozen=True)
class Yield:
    """What came of all tasks. *doubled*: packets that two files hold."""

    packets: int
    doubled: int
    gaps: Sequence[Gap]


@dataclass(frozen=True)
class Repeated:
    """A callback that came once more, so many seconds later. *explained*: whether a copy of the API
    was killed as it came: nobody can know then that it was taken."""

    id: str
    later: float
    explained: bool


@dataclass
class Stage:
    """What runs, and what is done to it."""

    folder: Path
    hub: Hub
    servers: Servers
    store: Server
    customer: Receiver
    places: dict[str, Place]
    secrets: dict[str, str]
    sound: NumberedAudio
    spare: Seaweed | None
    """Where slices have copies, if they have."""
    room: str = ""
    """The URL of rooms that are no ports."""
    ports: dict[str, int] = field(default_factory=dict)
    """Of each task."""
    running: dict[str, Process] = field(default_factory=dict)
    copies: dict[str, Served] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    seen: dict[str, list[Seen]] = field(default_factory=dict)
    began: dict[str, float] = field(default_factory=dict)
    stacks: dict[str, AsyncExitStack] = field(default_factory=dict)
    disks: dict[str, SmallDisk] = field(default_factory=dict)
    """Of each worker's spool, where it has one of its own."""
    killed: list[tuple[float, str]] = field(default_factory=list)
    """When processes were killed, in seconds of `time.time`."""

    async def start(self, name: str) -> None:
        """Start a worker, w…, or a copy of the API, a…, unless it runs."""
        if name in self.stacks:
            return
        folder, stack = self.folder / name, AsyncExitStack()
        self.stacks[name] = stack
        folder.mkdir(exist_ok=True)
        config = self._config(folder)
        if name in self.places:
            one = worker(name, config, folder, self.secrets, self.places[name])
            self.running[name] = await stack.enter_async_context(one)
        else:
            copy = serve(config, folder, "--insecure", secrets=self.secrets)
            self.copies[name] = await stack.enter_async_context(copy)

    async def kill(self, name: str) -> None:
        """End a process at once; its folder stays."""
        self.killed.append((time.time(), name))
        await self._drop(name)

    async def end(self, name: str) -> None:
        """SIGTERM, and wait until it has ended."""
        process = self.running.get(name) or self.copies.get(name)
        if process is not None:
            await process.end()
            await self._drop(name)

    def freeze(self, name: str) -> None:
        if name in self.running:
            self.running[name].freeze()
            self.frozen.add(name)

    def thaw(self, name: str) -> None:
        if name in self.frozen:
            self.frozen.discard(name)
            self.running[name].thaw()

    def cut_off(self, name: str) -> None:
        """From NATS alone."""
        for place in self.servers.places:
            self.hub.cut(self.places[name], place)
        self.cut.add(name)

    def join(self, name: str) -> None:
        for place in self.servers.places:
            self.hub.join(self.places[name], place)
        self.cut.discard(name)

    def unplug(self, name: str) -> None:
        """From everything."""
        self.hub.unplug(self.places[name])
        self.cut.add(name)

    def plug(self, name: str) -> None:
        self.hub.plug(self.places[name])
        self.cut.discard(name)

    async def leader(self) -> int:
        """Which server leads the stream of records."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(Exception):
                    client = await nats.connect(list(self.servers.urls), allow_reconnect=False)
                    try:
                        info = await client.jetstream(timeout=2).stream_info("KV_slicer_tasks")
                        if info.cluster is not None and info.cluster.leader:
                            return int(info.cluster.leader.removeprefix("n"))
                    finally:
                        await client.close()
                await asyncio.sleep(0.1)

    async def create(self, room: str = "", pictures: bool = False) -> str:
        """A task more, as soon as the fleet takes one, in a room of its own or in this one."""
        port = FIRST_PORT + len(self.ports)
        body = order(room or str(port), pictures)
        async with asyncio.timeout(PATIENCE):
            while True:
                copy = next(iter(self.copies.values()))
                with contextlib.suppress(OSError, httpx.HTTPError):  # it ends just now
                    answer = await call(copy.port, "CreateCloudSliceTask", body)
                    if "Error" not in answer:
                        break
                await asyncio.sleep(0.2)
        task = str(answer["TaskId"])
        self.ports[task], self.seen[task], self.began[task] = port, [], time.time()
        return task

    async def worker_of(self, task: str) -> str:
        """Who has a task, by its record."""
        bus = await Bus.connect(FleetSettings(self.servers.urls), "test")
        table = Table(bus)
        await table.open(1)
        await table.close()
        await bus.close()
        return table.records[task].worker

    def robots(self, task: str) -> frozenset[str]:
        """The workers that have a robot of a task in its room, those that are frozen left out."""
        wanted = f":{self.ports[task]:04X} "
        return frozenset(
            name
            for name, process in self.running.items()
            if name not in self.frozen and wanted in _sockets(process.process.pid)
        )

    def holders(self, task: str) -> frozenset[str]:
        """Those of them that are not cut off."""
        return self.robots(task) - self.cut

    async def watch(self) -> None:
        """Note where robots are, until this is cancelled."""
        while True:
            listening = {
                name: _sockets(process.process.pid)
                for name, process in self.running.items()
                if name not in self.frozen
            }
            now = time.time()
            for task, port in self.ports.items():
                found = frozenset(n for n, text in listening.items() if f":{port:04X} " in text)
                seen, before = Seen(now, found, found - self.cut), self.seen[task][-1:]
                if not before or before[0] != replace(seen, at=before[0].at):
                    self.seen[task].append(seen)
            await asyncio.sleep(LOOK)

    async def until_sliced(self, seconds: float = PATIENCE) -> None:
        """Wait until each task has a robot that is not cut off."""
        async with asyncio.timeout(seconds):
            while not all(self.holders(task) for task in self.ports):
                await asyncio.sleep(LOOK)

    async def finish(self) -> None:
        """Delete all tasks, and wait until everything is told."""
        copy = next(iter(self.copies.values()))
        for task in self.ports:
            about = {"SdkAppId": APP, "TaskId": task}
            answer = await call(copy.port, "DeleteCloudSliceTask", about)
            told = [one.told for one in self.customer.received if one.task == task]
            assert "Error" not in answer, (answer, told[-5:])
        await self.customer.until(lambda: self.ended() >= set(self.ports), 2 * PATIENCE)

    def ended(self) -> set[str]:
        return {one.task for one in self.customer.received if one.event == 1005}

    async def landed(self) -> Yield:
        """What is in the store now."""
        found: dict[str, list[int]] = {task: [] for task in self.ports}
        store = self.store.store
        for key in await asyncio.to_thread(store.keys, BUCKET):
            task = next((one for one in found if one in key), None)
            if task is not None and key.endswith(".ogg"):
                data, _ = await asyncio.to_thread(store.read, BUCKET, key)
                found[task] += numbers(data)
        gaps = list[Gap]()
        for task, held in found.items():
            for one, after in pairwise(sorted(set(held))):
                if after - one > 1:
                    gaps.append(Gap(task, self.sound.sent[one], self.sound.sent[after]))
        every = sum(len(held) for held in found.values())
        return Yield(every, every - sum(len(set(held)) for held in found.values()), gaps)

    def repeated(self) -> list[Repeated]:
        """What the customer was told more than once, by the ids of callbacks."""
        kills = [at for at, name in self.killed if name not in self.places]
        times: dict[str, list[float]] = {}
        for one in self.customer.received:
            times.setdefault(one.headers["x-slicer-message"], []).append(one.at)
        return [
            Repeated(name, again - at, any(-UNSURE < kill - at < UNSURE for kill in kills))
            for name, seen in times.items()
            for at, again in pairwise(seen)
        ]

    def lost(self) -> list[str]:
        """What the customer was told to be lost, but for what another worker has cut."""
        told = [one for one in self.messages() if " is lost: " in one]
        return [one for one in told if "another worker has its task" not in one]

    def taken_for_dead(self) -> Counter[str]:
        """Workers, as often as the customer was told that they are lost."""
        told = [_LOST.match(one) for one in self.messages()]
        return Counter(found[1] for found in told if found is not None)

    def messages(self) -> list[str]:
        """What the customer was told of troubles."""
        payloads = [
            one.told["EventInfo"]["Payload"] for one in self.customer.received if one.event == 1006
        ]
        return [str(one["Message"]) for one in payloads]

    async def until_spools_are_empty(self) -> None:
        """Wait until nothing is in the spool of any worker."""
        async with asyncio.timeout(PATIENCE):
            while any(self.folder.glob("w*/spool/*/*.*")):
                await asyncio.sleep(0.1)

    async def _drop(self, name: str) -> None:
        stack = self.stacks.pop(name, None)
        if stack is not None:
            self.running.pop(name, None)
            self.copies.pop(name, None)
            self.frozen.discard(name)
            await stack.aclose()

    def _config(self, folder: Path) -> str:
        rooms = {str(port): ROOM.format(port=port) for port in self.room_ports()}
        lines = ""
        if self.spare is not None:
            url = json.dumps(self.spare.url(COPIES, "fleet"))
            lines = f"""copies = {url}
copies_access_key = "{OWNER.access_key}"
copies_secret_key = "{OWNER.secret_key}"
"""
        if self.room:
            rooms["*"] = self.room
        more = f"""
[fleet]
servers = {json.dumps(self.servers.urls)}
replicas = {len(self.servers.ports)}
{lines}
[slicing]
preroll = 0.0
"""
        endpoint = self.store.store.endpoint
        text = configuration(rooms, self.customer.url, folder, endpoint, more)
        return text.replace("[spool]\n", "[spool]\nreserve_bytes = 0\n")

    def room_ports(self) -> Sequence[int]:
        return sorted({port for _, port in self.sound.targets})


def order(room: str, pictures: bool = False) -> dict[str, object]:
    """A request for a task in a room, with audio alone unless *pictures* are wanted too."""
    user, kinds = f"robot-{room}", 3 if pictures else 1
    return seed("CreateCloudSliceTask") | {
        "RoomId": room,
        "RoomIdType": 0,
        "UserId": user,
        "UserSig": usersig(user),
        "SliceParams": {
            "SliceType": kinds,
            "MaxIdleTime": 300,
            "SliceAudio": int(SLICE),
            "SliceVideo": 5,
        },
        "SliceStorageParams": {"CloudSliceStorage": bucket(BUCKET)},
    }


@asynccontextmanager
async def fault_stage(
    folder: Path,
    workers: int,
    tasks: int,
    *,
    servers: int = 3,
    apis: int = 1,
    with_copies: bool = False,
    rooms: int = 0,
    room: str = "",
    disk: int = 0,
) -> AsyncIterator[Stage]:
    """A fleet that slices *tasks* tasks; *apis*: copies of the API; *with_copies*: whether slices
    have copies in a store of their own; *rooms*: for tasks that a test creates later, with *room*
    as the URL of any other; *disk*: MiB of a disk of its own for each
    worker's spool, if it has one."""
    secrets = SECRETS | {"SLICER_STATE_KEY": Fernet.generate_key().decode()}
    (folder / "store").mkdir(parents=True)
    with (
        hub() as network,
        serving(folder / "store", ADDRESS) as store,
        contextlib.ExitStack() as parts,
    ):
        store.store.make_bucket(BUCKET)
        copies = None
        if with_copies:
            (folder / "copies").mkdir()
            copies = parts.enter_context(serving(folder / "copies", ADDRESS)).store
            copies.make_bucket(COPIES)
        at = [network.add() for _ in range(servers)]
        places = {f"w{number}": network.add() for number in range(workers)}
        ports = range(FIRST_PORT, FIRST_PORT + tasks + rooms)
        targets = [(place.address, port) for place in places.values() for port in ports]
        sound = NumberedAudio(targets)
        async with AsyncExitStack() as stack:
            customer = await stack.enter_async_context(receiver(CALLBACK_KEY))
            running = nats_servers(folder / "nats", servers, places=at)
            bus = await stack.enter_async_context(running)
            made = (folder, network, bus, store, customer, places, secrets, sound, copies)
            stage = Stage(*made)
            stage.room = room
            for name in places if disk else ():
                stage.disks[name] = parts.enter_context(small_disk(folder / name / "spool", disk))
            background = [asyncio.ensure_future(one) for one in (sound.run(), stage.watch())]
            stack.push_async_callback(_cancelled, background)
            try:
                for name in (*places, *(f"a{number}" for number in range(apis))):
                    await stage.start(name)
                for _ in range(tasks):
                    await stage.create()
                await stage.until_sliced()
                yield stage
            finally:
                for name in list(stage.stacks):
                    await stage.kill(name)


async def _cancelled(tasks: "Sequence[asyncio.Future[None]]") -> None:
    for one in tasks:
        one.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _sockets(pid: int) -> str:
    """The UDP sockets of a process's network."""
    try:
        return Path(f"/proc/{pid}/net/udp").read_text()
    except OSError:  # it has just ended
        return ""
