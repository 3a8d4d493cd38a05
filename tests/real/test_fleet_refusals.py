"""A bus that refuses us: each reason its own words, by `slicer worker` and real NATS servers."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.fernet import Fernet

from slicer.cli.exits import BAD_INPUT
from tests.harness.fleet.nats_server import SERVER
from tests.harness.rooms.server_process import free_ports, running

KEY = Fernet.generate_key().decode()
PASSWORD = "a-password-that-nobody-prints"
ACCOUNTS = f"""
jetstream {{ store_dir: "STORE" }}
accounts {{
  WITHOUT {{ users: [{{ user: "plain", password: "{PASSWORD}" }}] }}
  WITH {{
    jetstream: enabled
    users: [
      {{ user: "bound", password: "{PASSWORD}", permissions: {{
          publish: ["$JS.API.INFO"], subscribe: ["_INBOX.>"] }} }}
    ]
  }}
}}
"""
OPEN = "server_name: alone\n"


@contextlib.asynccontextmanager
async def server(folder: Path, config: str, port: int) -> AsyncIterator[None]:
    """A server with this configuration."""
    path = folder / "nats.conf"
    path.write_text(config.replace("STORE", str(folder / "store")))
    words = [str(SERVER), "-a", "127.0.0.1", "-p", str(port), "-c", str(path)]
    async with running(words, port, folder / "nats.log"):
        yield


async def said(folder: Path, port: int, fleet: str, password: str) -> tuple[int, str]:
    """The exit code and the words of a worker that is started with these settings."""
    config = f"""
[[apps]]
sdk_app_id = 7
[spool]
folder = "{folder}/spool"
[serve]
state = "{folder}/state"
[fleet]
servers = ["nats://127.0.0.1:{port}"]
replicas = 1
name = "w0"
{fleet}
"""
    (folder / "slicer.toml").write_text(config)
    secrets = {"SLICER_STATE_KEY": KEY, "SLICER_FLEET_PASSWORD": password}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "slicer.cli", "worker", "--config", "slicer.toml",
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **secrets},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 90)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode()


@dataclass(frozen=True)
class Refusal:
    """The servers' configuration, the worker's settings, and what it says then."""

    config: str
    fleet: str
    password: str
    words: str


REFUSALS = {
    "wrong password": Refusal(
        ACCOUNTS,
        'user = "bound"',
        "wrong",
        "fleet.servers: got '127.0.0.1:PORT'; allowed: servers that answer and take us "
        "(nats: 'Authorization Violation')",
    ),
    "no user": Refusal(ACCOUNTS, "", "", "(nats: 'Authorization Violation')"),
    "an account without": Refusal(
        ACCOUNTS,
        'user = "plain"',
        PASSWORD,
        "fleet.servers: got 'no JetStream'; allowed: servers with JetStream (nats-server -js), "
        "and an account that has it",
    ),
    "a server without": Refusal(OPEN, "", "", "fleet.servers: got 'no JetStream'"),
    "no permission": Refusal(ACCOUNTS, 'user = "bound"', PASSWORD, "fleet.user: got "),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, int, str]]:
    """The port, the exit code and the words of each; all at a time, for each tries for 10 s."""

    async def outcome(refusal: Refusal, port: int) -> tuple[int, int, str]:
        folder = tmp_path_factory.mktemp("refusal")
        async with server(folder, refusal.config, port):
            code, text = await said(folder, port, refusal.fleet, refusal.password)
        return port, code, text

    ports = free_ports(len(REFUSALS))
    found = await asyncio.gather(*map(outcome, REFUSALS.values(), ports))
    return dict(zip(REFUSALS, found, strict=True))


@pytest.mark.parametrize("name", REFUSALS)
def test_a_bus_that_refuses_says_why(outcomes: dict[str, tuple[int, int, str]], name: str) -> None:
    words, (port, code, text) = REFUSALS[name].words, outcomes[name]
    assert code == BAD_INPUT, text
    assert words.replace("PORT", str(port)) in text
    assert PASSWORD not in text
    assert "Traceback" not in text
    if "fleet.user" in words:
        assert "ermissions" in text
        assert "samples/nats/nats.conf" in text
