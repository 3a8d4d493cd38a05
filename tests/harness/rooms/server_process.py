"""Room servers that are programs of their own: started for a test, ended by their own pid."""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

READY = 20.0
"""Seconds until a server answers."""


def program(name: str) -> str:
    """The path of a program that may be at hand; skips the test where it is not."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not in PATH: install it to run this test, or put its binary there")
    return found


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on by TCP, and nobody has bound by UDP."""
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        while len(ports) < count:
            tcp = held.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = tcp.getsockname()[1]
            udp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", port))
                ports.append(port)
    return ports


@contextlib.asynccontextmanager
async def running(
    arguments: Sequence[str], port: int, log: Path, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """Run a server until it is left; it listens on this port once this is entered. Gives its
    pid."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(*arguments, stdout=output, stderr=output)
    try:
        async with asyncio.timeout(READY):
            while not await listens(port, host):
                assert process.returncode is None, log.read_text()[-2000:]
                await asyncio.sleep(0.02)
        yield process.pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody takes connections there, on loopback unless told otherwise."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True
