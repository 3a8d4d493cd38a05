"""NATS servers with JetStream on loopback: one, or three that keep everything together."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import nats
from nats.errors import Error

from tests.harness.rooms.server_process import free_ports, running

SERVER = Path(sys.executable).with_name("nats-server")


@dataclass
class Servers:
    """Servers that run. *stacks*: of each, what ends it when it is closed."""

    folder: Path
    ports: list[int]
    arguments: list[list[str]]
    tls: str = ""
    """The certificate that they are known by."""
    stacks: list[contextlib.AsyncExitStack] = field(default_factory=list)

    @property
    def urls(self) -> tuple[str, ...]:
        scheme = "tls" if self.tls else "nats"
        return tuple(f"{scheme}://127.0.0.1:{port}" for port in self.ports)

    async def start(self, number: int) -> None:
        """Start one (again)."""
        log = self.folder / f"{number}.log"
        server = running([str(SERVER), *self.arguments[number]], self.ports[number], log)
        await self.stacks[number].enter_async_context(server)

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
    folder: Path, count: int = 1, *, config: Path | None = None, tls: str = ""
) -> AsyncIterator[Servers]:
    """Run servers until this is left, with a configuration where one is given. *tls*: the file of
    the certificate they are known by; who connects waits until they are ready."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = free_ports(2 * count)
    routes = ",".join(f"nats://127.0.0.1:{port}" for port in ports[count:])
    arguments = []
    for one in range(count):
        words = ["-a", "127.0.0.1", "-p", str(ports[one]), "-n", f"n{one}"]
        words += ["-c", str(config)] if config else ["-js"]
        words += ["-sd", str(folder / f"{one}")]
        if count > 1:
            cluster = f"nats://127.0.0.1:{ports[count + one]}"
            words += ["--cluster", cluster, "--routes", routes, "--cluster_name", "slicer"]
        arguments.append(words)
    servers = Servers(folder, ports[:count], arguments, tls)
    async with contextlib.AsyncExitStack() as all_of_them:
        for number in range(count):
            stack = await all_of_them.enter_async_context(contextlib.AsyncExitStack())
            servers.stacks.append(stack)
            await servers.start(number)
        await asyncio.wait_for(servers.until_ready(), 20)
        yield servers
