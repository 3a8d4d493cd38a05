"""coturn on loopback, for one user."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from slicer.webrtc.ice_servers import IceServer
from tests.harness.rooms.server_process import free_ports, program, running


@contextlib.asynccontextmanager
async def turn_server(folder: Path) -> AsyncIterator[IceServer]:
    """Runs it until it is left; skips the test where it is not installed."""
    (port,) = free_ports(1)
    arguments = [
        program("turnserver"), "-n", "--no-cli", "--no-tls", "--no-dtls", "--lt-cred-mech",
        "--realm=test", "--user=robot:s3cret", "--allow-loopback-peers", "--fingerprint",
        "--listening-ip=127.0.0.1", f"--listening-port={port}", "--relay-ip=127.0.0.1",
        f"--pidfile={folder / 'pid'}", "--log-file=stdout", f"--userdb={folder / 'users'}",
    ]  # fmt: skip
    async with running(arguments, port, folder / "log"):
        yield IceServer((f"turn:127.0.0.1:{port}?transport=udp",), "robot", "s3cret")
