"""`slicer worker`: what it needs; that it works, and ends, is in tests/real/test_fleet.py too."""

import asyncio
import re
import signal
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet

from slicer.cli import main
from slicer.cli.exits import BAD_INPUT
from slicer.cli.worker import in_fleet, phase
from slicer.service.settings import ServiceSettings
from tests.harness.fleet.in_process import until
from tests.harness.fleet.nats_server import nats_servers
from tests.harness.fleet.worker_process import worker
from tests.harness.rooms.server_process import free_ports

CONFIG = """
[[apps]]
sdk_app_id = 1
rooms = [{ pattern = "*", url = "whip://127.0.0.1:0/{room}" }]
[spool]
folder = "{folder}/spool"
[serve]
health = "127.0.0.1:0"
[metrics]
listen = "127.0.0.1:0"
"""


def test_servers_of_the_command_line_replace_those_of_the_file() -> None:
    settings = ServiceSettings()
    assert in_fleet(settings, None) is settings
    named = in_fleet(settings, "nats://a:4222, tls://b:4222,")
    assert named.fleet.servers == ("nats://a:4222", "tls://b:4222")


def test_without_servers_there_is_no_fleet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slicer.toml").write_text(CONFIG.replace("{folder}", str(tmp_path)))
    assert main(["worker", "--config", str(tmp_path / "slicer.toml")]) == BAD_INPUT
    assert "fleet.servers: got 'none'" in capsys.readouterr().err


def test_servers_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("slicer.fleet.bus.CONNECT", 0.5)
    monkeypatch.setenv("SLICER_STATE_KEY", Fernet.generate_key().decode())
    (tmp_path / "slicer.toml").write_text(CONFIG.replace("{folder}", str(tmp_path)))
    monkeypatch.chdir(tmp_path)
    fleet = ["--name", "w0", "--fleet", "nats://127.0.0.1:9"]
    assert main(["worker", "--config", "slicer.toml", *fleet]) == BAD_INPUT
    assert "fleet.servers: got '127.0.0.1:9'" in capsys.readouterr().err


async def test_it_works_and_ends(tmp_path: Path) -> None:
    secrets = {"SLICER_STATE_KEY": Fernet.generate_key().decode()}
    async with nats_servers(tmp_path / "nats") as servers:
        fleet = f'[fleet]\nservers = ["{servers.urls[0]}"]\nreplicas = 1\n'
        fleet += '[console]\nlisten = "127.0.0.1:0"\n'
        config = CONFIG.replace("{folder}", str(tmp_path))
        async with worker("w0", config + fleet, tmp_path / "w0", secrets) as one:
            one.process.send_signal(signal.SIGHUP)
            log = tmp_path / "w0" / "worker.log"
            await until(lambda: "SIGHUP: nothing is changed" in log.read_text())
            said = await one.end()
    assert "ending: tasks are handed over" in said
    assert re.search(r"console at port [1-9]\d*: /console, token: in .*console-token\n", said)
    assert one.process.returncode == 0


async def test_while_nats_is_away_it_lives_and_says_why_it_is_not_ready(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    secrets = {"SLICER_STATE_KEY": Fernet.generate_key().decode()}
    async with (
        nats_servers(tmp_path / "nats") as servers,
        httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as client,
    ):
        fleet = f'[fleet]\nservers = ["{servers.urls[0]}"]\nreplicas = 1\n'
        config = CONFIG.replace("{folder}", str(tmp_path)) + fleet
        config = config.replace('health = "127.0.0.1:0"', f'health = "127.0.0.1:{port}"')

        async def answers(code: int) -> dict[str, str]:
            async with asyncio.timeout(20):
                while (found := await client.get("/readyz")).status_code != code:
                    await asyncio.sleep(0.05)
            body: dict[str, str] = found.json()
            return body

        async with worker("w0", config, tmp_path / "w0", secrets):
            assert await answers(200) == {"status": "ready"}
            await servers.kill(0)
            reason = "the bus: no server is there"
            assert await answers(503) == {"status": "busy", "reason": reason}
            assert (await client.get("/healthz")).json() == {"status": "alive"}
            await servers.start(0)
            await answers(200)


def test_a_process_says_what_it_is_at() -> None:
    began, ended = asyncio.Event(), asyncio.Event()
    assert phase(began, ended) == "starting"
    began.set()
    assert phase(began, ended) == ""
    ended.set()
    assert phase(began, ended) == "ending"
