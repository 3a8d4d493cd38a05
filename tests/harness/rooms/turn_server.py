"""coturn on loopback, for one user or for who has credentials of a shared secret."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from slicer.webrtc.ice_servers import IceServer
from tests.harness.rooms.server_process import free_ports, program, running


@contextlib.asynccontextmanager
async def turn_server(folder: Path, secret: str = "") -> AsyncIterator[IceServer]:
    """Runs it until it is left; skips the test where it is not installed. With a *secret* the
    server takes what is made of that, and the user given is nobody."""
    (port,) = free_ports(1)
    known = ("--use-auth-secret", f"--static-auth-secret={secret}")
    arguments = [
        program("turnserver"), "-n", "--no-cli", "--no-tls", "--no-dtls",
        *(known if secret else ("--lt-cred-mech", "--user=robot:s3cret")),
        "--realm=test", "--allow-loopback-peers", "--fingerprint",
        "--listening-ip=127.0.0.1", f"--listening-port={port}", "--relay-ip=127.0.0.1",
        f"--pidfile={folder / 'pid'}", "--log-file=stdout", f"--userdb={folder / 'users'}",
    ]  # fmt: skip
    async with running(arguments, port, folder / "log"):
        yield IceServer((f"turn:127.0.0.1:{port}?transport=udp",), "robot", "s3cret")
