"""slicer serve: what it refuses to start, and that it starts, answers and ends."""

import asyncio
import json
import re
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from slicer.api.signature import Message
from slicer.cli import main
from slicer.cli.exits import BAD_INPUT, NO_ROOM, STORED
from slicer.usersig import SdkApp
from tests.harness.service.api import HEADERS, authorize, seed
from tests.harness.service.serve import serve

APP = """
[serve]
port = 0
[[apps]]
sdk_app_id = 1400000001
rooms = [{ pattern = "*", url = "whip://127.0.0.1:0/{room}" }]
"""


def test_two_servers_on_one_port_do_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slicer.toml").write_text(APP.replace(":0/", ":18182/"))
    assert main(["serve", "--config", "slicer.toml", "--port", "18182"]) == BAD_INPUT
    says = "apps[0].rooms[0].url: got '127.0.0.1:18182'; allowed: another port than that of serve"
    assert says in capsys.readouterr().err


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
            assert "rtc-slicer" in (await client.get("/console/")).text
            answer = (await client.post("/", json={})).json()
            assert "Error" in answer["Response"]
        said = await served.end()
    assert f"console http://127.0.0.1:{served.port}/console, token: in slicer-state/" in said
    assert (tmp_path / "slicer-state/console-token").read_text().strip() not in said
    assert "INSECURE" in said
    assert "tasks go on at the next start" in said
    assert served.process.returncode == STORED
    assert (tmp_path / "slicer-state").stat().st_mode & 0o77 == 0


WATCHED = """
[serve]
port = 0
[metrics]
listen = "127.0.0.1:0"
[log]
format = "json"
[webhooks]
allow_private = true
[vendors]
s3_endpoint = "http://127.0.0.1:{closed}"
path_style = true
[[apps]]
sdk_app_id = 200806
rooms = [{{ pattern = "*", url = "whip://127.0.0.1:0/{{room}}" }}]
callback_url = "http://127.0.0.1:{closed}/hook?token=planted-token"
"""
SECRETS = {
    "SLICER_APP_200806_SECRETS": "AKIDwatched:planted-api-key",
    "SLICER_APP_200806_USERSIG_KEY": "planted-usersig-key",
    "SLICER_APP_200806_CALLBACK_KEY": "plantedCallbackKey",
}


async def call(
    client: httpx.AsyncClient, action: str, body: dict[str, object], key: str
) -> dict[str, Any]:
    """Send a signed request; gives its answer."""
    content, now = json.dumps(body).encode(), time.time()
    headers = {
        "content-type": "application/json",
        "host": "127.0.0.1",
        "x-tc-action": action,
        "x-tc-timestamp": str(int(now)),
        **{name.lower(): value for name, value in HEADERS.items()},
    }
    message = Message("POST", "/", "", headers, content)
    headers["authorization"] = authorize(message, now, "AKIDwatched", key)
    answer: dict[str, Any] = (await client.post("/", content=content, headers=headers)).json()
    return answer["Response"]  # type: ignore[no-any-return]


async def test_who_watches_it_sees_what_happens_and_no_secret(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        closed = other.getsockname()[1]
    params = {"SliceType": 3, "MaxIdleTime": 30, "SliceAudio": 15, "SliceVideo": 5}
    keys = {"AccessKey": "planted-access", "SecretKey": "planted-secret"}
    bucket = {"Vendor": 1, "Region": "us-east-1", "Bucket": "watched", **keys}
    body = seed("CreateCloudSliceTask") | {
        "UserSig": SdkApp(200806, "planted-usersig-key").usersig("inspect", int(time.time())),
        "SliceParams": params,
        "SliceStorageParams": {"CloudSliceStorage": bucket},
    }

    async def lines(*texts: str) -> list[dict[str, Any]]:
        """The log, once it has these texts."""
        async with asyncio.timeout(30):
            while any(text not in (log := (tmp_path / "serve.log").read_text()) for text in texts):
                await asyncio.sleep(0.05)
        return [json.loads(line) for line in log.splitlines()]

    config = WATCHED.format(closed=closed)
    async with serve(config, tmp_path, secrets=SECRETS) as served:
        line = await served.says("metrics at port")
        found = re.fullmatch(r"metrics at port (\d+): /metrics\n", line)
        assert found
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as client:
            wrong = await call(client, "CreateCloudSliceTask", body, "planted-wrong-key")
            answer = await call(client, "CreateCloudSliceTask", body, "planted-api-key")
            assert "Error" not in answer, answer
            log = await lines("signature refused", "is running", "are not taken", "no connection")
            metrics = (await client.get(f"http://127.0.0.1:{found[1]}/metrics")).text
        said = await served.end()
    (refused,) = [one for one in log if "signature refused" in one["message"]]
    assert refused["request"] == wrong["RequestId"]
    assert (refused["level"], refused["module"]) == ("warning", "api.app")
    (running,) = [one for one in log if "is running" in one["message"]]
    assert (running["level"], running["app"], len(running["task"])) == ("info", 200806, 32)
    assert 'slicer_tasks{state="running"} 1.0' in metrics
    name = 'slicer_api_requests_total{action="CreateCloudSliceTask",code='
    assert f'{name}"ok"}} 1.0' in metrics
    assert f'{name}"AuthFailure.SignatureFailure"}} 1.0' in metrics
    assert "slicer_callback_subscribers_failing 1.0" in metrics
    everything = said + metrics + (tmp_path / "serve.log").read_text()
    assert "planted" not in everything
    assert str(body["UserSig"]) not in everything


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
