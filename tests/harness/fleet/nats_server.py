"""NATS servers with JetStream: one, or three that keep everything together, on loopback or each in
a network of its own."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.errors import Error

from tests.harness.network.hub import Place
from tests.harness.rooms.server_process import free_ports, running

SERVER = Path(sys.executable).with_name("nats-server")
ENDS = 30.0
"""Seconds that a server may take to end."""


@dataclass
class Servers:
    """Servers that run. *stacks*: of each, what ends it when it is closed."""

    folder: Path
    ports: list[int]
    arguments: list[list[str]]
    tls: str = ""
    """The certificate that they are known by."""
    places: Sequence[Place] = ()
    """Where each one runs, if not here."""
    monitor: int = 0
    """The port where the first one tells of itself by HTTP."""
    stacks: list[contextlib.AsyncExitStack] = field(default_factory=list)
    pids: dict[int, int] = field(default_factory=dict)

    @property
    def urls(self) -> tuple[str, ...]:
        scheme = "tls" if self.tls else "nats"
        numbered = enumerate(self.ports)
        return tuple(f"{scheme}://{self.host(number)}:{port}" for number, port in numbered)

    def host(self, number: int) -> str:
        return _host(self.places, number)

    async def start(self, number: int) -> None:
        """Start one (again)."""
        log = self.folder / f"{number}.log"
        words = [str(SERVER), *self.arguments[number]]
        if self.places:
            words = self.places[number].command(words)
        server = running(words, self.ports[number], log, self.host(number))
        self.pids[number] = await self.stacks[number].enter_async_context(server)

    async def end(self, number: int) -> None:
        """SIGTERM, as an upgrade does: it hands over what it leads before it goes."""
        pid = self.pids[number]
        os.kill(pid, signal.SIGTERM)
        async with asyncio.timeout(ENDS):
            while Path(f"/proc/{pid}").exists():
                await asyncio.sleep(0.05)
        await self.kill(number)

    async def kill(self, number: int) -> None:
        """End one at once; its files stay."""
        await self.stacks[number].aclose()

    async def until_ready(self) -> None:
        """Wait until JetStream answers."""
        while not self.tls:
            with contextlib.suppress(Error):
                client = await nats.connect(list(self.urls), allow_reconnect=False)
                try:
                    await client.jetstream(timeout=1).account_info()
                    return
                finally:
                    await client.close()
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def nats_servers(
    folder: Path,
    count: int = 1,
    *,
    config: Path | None = None,
    tls: str = "",
    places: Sequence[Place] = (),
) -> AsyncIterator[Servers]:
    """Run servers until this is left, with a configuration where one is given. *tls*: the file of
    the certificate they are known by; who connects waits until they are ready. *places*: where
    each one runs, if not here."""
    folder.mkdir(parents=True, exist_ok=True)
    *ports, monitor = free_ports(2 * count + 1)
    hosts = [_host(places, number) for number in range(count)]
    clusters = [f"nats://{host}:{port}" for host, port in zip(hosts, ports[count:], strict=True)]
    arguments = []
    for one in range(count):
        words = ["-a", hosts[one], "-p", str(ports[one]), "-n", f"n{one}"]
        words += ["-c", str(config)] if config else ["-js"]
        words += ["-sd", str(folder / f"{one}")]
        if count > 1:
            words += ["--cluster", clusters[one], "--routes", ",".join(clusters)]
            words += ["--cluster_name", "slicer"]
        arguments.append(words)
    arguments[0] += ["-m", str(monitor)]
    servers = Servers(folder, ports[:count], arguments, tls, places, monitor)
    async with contextlib.AsyncExitStack() as all_of_them:
        for number in range(count):
            stack = await all_of_them.enter_async_context(contextlib.AsyncExitStack())
            servers.stacks.append(stack)
            await servers.start(number)
        await asyncio.wait_for(servers.until_ready(), 60)
        yield servers


async def listening(client: Client) -> None:
    """Wait until the server knows what a client has subscribed to. nats-py writes the PING of a
    flush at once, before a subscription that waits to be written; the second one comes after it."""
    for _ in range(2):
        await client.flush()


def _host(places: Sequence[Place], number: int) -> str:
    return places[number].address if places else "127.0.0.1"
