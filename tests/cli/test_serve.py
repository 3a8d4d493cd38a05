"""slicer serve: what it refuses to start, and that it starts, answers and ends."""

import re
import socket
from pathlib import Path

import httpx
import pytest

from slicer.cli import main
from slicer.cli.exits import BAD_INPUT, NO_ROOM, STORED
from tests.harness.service.serve import serve

APP = """
[serve]
port = 0
[[apps]]
sdk_app_id = 1400000001
rooms = [{ pattern = "*", url = "whip://127.0.0.1:0/{room}" }]
"""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0", "--insecure"], "loopback"),
        (["--port", "70000"], "port"),
        (["--host", ""], "serve.host: got ''; allowed: an address of this machine"),
    ],
)
def test_what_it_does_not_start(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slicer.toml").write_text(APP)
    assert main(["serve", "--config", "slicer.toml", *arguments]) == BAD_INPUT
    assert says in capsys.readouterr().err.lower()
    assert not (tmp_path / "slicer-state").exists()


async def test_health_has_a_door_of_its_own(tmp_path: Path) -> None:
    config = APP.replace("port = 0", 'port = 0\nhealth = "127.0.0.1:0"')
    async with serve(config, tmp_path) as served:
        assert served.process.stdout is not None
        line = (await served.process.stdout.readline()).decode()
        found = re.fullmatch(r"health at port (\d+): /healthz, /readyz\n", line)
        assert found
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{found[1]}") as client:
            assert (await client.get("/healthz")).json() == {"status": "alive"}
            assert (await client.get("/readyz")).json() == {"status": "ready"}


async def test_it_serves_and_ends(tmp_path: Path) -> None:
    async with serve(APP, tmp_path, "--insecure") as served:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as client:
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/readyz")).status_code == 200
            answer = (await client.post("/", json={})).json()
            assert "Error" in answer["Response"]
        said = await served.end()
    assert "INSECURE" in said
    assert "tasks go on at the next start" in said
    assert served.process.returncode == STORED
    assert (tmp_path / "slicer-state").stat().st_mode & 0o77 == 0


def test_an_api_port_in_use_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slicer.toml").write_text(APP)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["serve", "--config", "slicer.toml", "--port", str(port)]) == BAD_INPUT
    said = capsys.readouterr().err
    assert f"serve.port: got {port}; allowed: a free port" in said
    assert "Address already in use" in said


def test_a_host_that_is_not_here_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slicer.toml").write_text(APP)
    command = ["serve", "--config", "slicer.toml", "--host", "192.0.2.1"]
    assert main(command) == BAD_INPUT
    said = capsys.readouterr().err
    assert "serve.host: got '192.0.2.1'; allowed:" in said
    assert "while attempting" not in said


def test_a_room_port_in_use_is_a_room_that_cannot_be_entered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = ["run", f"whip://127.0.0.1:{port}/lobby", "--to", f"file://{tmp_path}"]
        assert main(command) == NO_ROOM
    assert f"cannot listen on 127.0.0.1 port {port}" in capsys.readouterr().err
